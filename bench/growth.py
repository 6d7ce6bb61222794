"""How cost and speed change as the work grows: one setting or size changes, all others are as in the comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from bench import throughput
from bench.delivery import delivered
from bench.load_generator import LoadGenerator
from bench.meter import Meter, metered
from bench.profile import Profile
from bench.progress import Progress
from bench.task_runner import Setting, TaskRunner
from bench.task_table import fill

Points = list[dict[str, float]]
"""The measurements at each size; the size itself is the first value."""

_LARGEST_BACKLOG_BYTES = 32 * 2**20
"""The limit of a backlog's payloads in total."""

_LISTS = {"list": "/tasks?limit=100", "failed": "/tasks?limit=100&status=failed", "stats": "/stats"}
"""Routes that read many rows, by the name of what they read."""


class Growth:
    """Measures one task runner at several sizes."""

    def __init__(self, runner: TaskRunner, load: LoadGenerator, profile: Profile, progress: Progress) -> None:
        self._runner = runner
        self._load = load
        self._profile = profile
        self._progress = progress

    def with_work(self) -> dict[str, Points]:
        """Increase batches, payloads, connections and, at last, shards, one at a time."""
        return {
            "batch_size": self._grow(
                "batch_size", self._profile.batch_sizes, lambda size: self._with_settings(batch_size=size)
            ),
            "payload_bytes": self._grow("payload_bytes", self._profile.payloads_bytes, self._with_payload),
            "concurrency": self._grow("concurrency", self._profile.concurrencies, self._with_concurrency),
            "shards": self._grow("shards", self._profile.shards, self._with_shards),
        }

    def with_table(self) -> dict[str, Points]:
        """Increase the table of a task runner that has no tasks yet."""
        return {"table_rows": self._grow("table_rows", self._profile.tables_rows, self._with_table)}

    def _grow(self, name: str, sizes: Sequence[int], measure: Callable[[int], dict[str, float]]) -> Points:
        points: Points = []
        for size in sizes:
            point = {name: float(size), **measure(size)}
            self._progress.measured("growth", self._runner.name, point)
            points.append(point)
        return points

    def _with_settings(self, **settings: Setting) -> dict[str, float]:
        self._runner.configure(**{**self._runner.settings, **settings})
        self._runner.look_again()
        try:
            return self._throughput()
        finally:
            self._runner.configure(**self._runner.settings)
            self._runner.look_again()

    def _with_shards(self, size: int) -> dict[str, float]:
        """Measure with more shards than before. They stay: fewer would lose what is in the others."""
        self._runner.configure(**{**self._runner.settings, "shards": size})
        self._runner.look_again()
        return self._throughput()

    def _with_payload(self, size: int) -> dict[str, float]:
        tasks = max(1, min(self._profile.growth_tasks, _LARGEST_BACKLOG_BYTES // size))
        return self._throughput(tasks=tasks, payload_bytes=size)

    def _with_concurrency(self, size: int) -> dict[str, float]:
        return self._throughput(concurrency=size)

    def _with_table(self, size: int) -> dict[str, float]:
        [database_id] = self._runner.database_ids
        fill(self._runner, database_id, size)
        with metered(self._runner) as meter:
            rows = {f"{name}_rows_read": self._rows_read(meter, path) for name, path in _LISTS.items()}
            rows["sweep_rows_read"] = float(meter.sweep().get("d1_rows_read", 0))
        return rows | self._throughput()

    def _rows_read(self, meter: Meter, path: str) -> float:
        meter.reset()
        httpx.get(self._runner.url + path, trust_env=False, timeout=60).raise_for_status()
        return float(meter.read()["fetch"].get("d1_rows_read", 0))

    def _throughput(
        self, *, tasks: int | None = None, payload_bytes: int | None = None, concurrency: int | None = None
    ) -> dict[str, float]:
        measured = delivered(
            self._runner,
            lambda runner: throughput.measure(
                runner,
                self._load,
                tasks=tasks or self._profile.growth_tasks,
                concurrency=concurrency or self._profile.concurrency,
                payload_bytes=payload_bytes or self._profile.payload_bytes,
            ),
        )
        return {name: value for name, value in measured.items() if name.startswith(("post_", "drain_"))}
