"""Measures systems in alternating turns, so that other load on the computer affects all of them equally."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bench import latency, reload, throughput, units
from bench.delivery import delivered
from bench.deployed_worker import DeployedWorker
from bench.load_generator import LoadGenerator
from bench.profile import Profile
from bench.progress import Progress
from bench.system import System

S = TypeVar("S", bound=System)

Turns = dict[str, list[dict[str, float]]]
"""The measurements of each turn, by the system's name."""


class Comparison:
    """Measures running systems.

    Attributes:
        results: the results of each measurement, by its name.
    """

    def __init__(self, systems: Sequence[System], load: LoadGenerator, profile: Profile, progress: Progress) -> None:
        self._systems = systems
        self._workers = [system for system in systems if isinstance(system, DeployedWorker)]
        self._load = load
        self._profile = profile
        self._progress = progress
        self.results: dict[str, Any] = {}

    def throughput(self) -> None:
        """Submit a backlog, and measure how fast it is worked off."""
        profile = self._profile
        self.results["throughput"] = self._in_turns(
            "throughput",
            self._systems,
            profile.rounds,
            lambda system: throughput.measure_all(
                system,
                self._load,
                tasks=profile.backlog_tasks,
                concurrency=profile.concurrency,
                payload_bytes=profile.payload_bytes,
            ),
        )

    def lone(self) -> None:
        """Follow tasks one by one."""
        profile = self._profile
        self.results["lone"] = self._in_turns(
            "lone task",
            self._systems,
            profile.rounds,
            lambda system: latency.measure_lone(
                system, self._load, tasks=profile.lone_tasks, payload_bytes=profile.payload_bytes
            ),
        )

    def steady(self) -> None:
        """Load each system at parts of its capacity, which `throughput` has measured."""
        profile = self._profile
        capacities = {name: _capacity(turns) for name, turns in self.results["throughput"].items()}
        self.results["steady"] = self._in_turns(
            "steady load",
            self._systems,
            profile.rounds,
            lambda system: latency.measure_steady(
                system,
                self._load,
                capacity=capacities[system.name],
                seconds=profile.steady_seconds,
                payload_bytes=profile.payload_bytes,
            ),
        )

    def delayed(self) -> None:
        """Follow delayed tasks, if the system supports delays."""
        profile = self._profile
        self.results["delayed"] = self._in_turns(
            "delayed tasks",
            [system for system in self._systems if "delays" in system.abilities],
            1,
            lambda system: latency.measure_delayed(
                system,
                self._load,
                tasks=profile.delayed_tasks,
                delay_seconds=profile.delay_seconds,
                payload_bytes=profile.payload_bytes,
            ),
        )

    def units(self) -> None:
        """Count the units a task uses that Cloudflare bills; the count is the same every time."""
        self.results["units"] = {}
        for worker in self._workers:
            counted = units.measure(
                worker, self._load, tasks=self._profile.units_tasks, payload_bytes=self._profile.payload_bytes
            )
            self.results["units"][worker.name] = counted
            for kind, values in counted.items():
                self._progress.measured(f"units, {kind}", worker.name, values)

    def reload(self) -> None:
        """Deploy each system again."""
        payload_bytes = self._profile.payload_bytes
        self.results["reload"] = self._in_turns(
            "reload",
            self._workers,
            self._profile.reloads,
            lambda worker: reload.measure(worker, self._load, payload_bytes=payload_bytes),
        )

    def _in_turns(
        self, what: str, systems: Sequence[S], rounds: int, measure: Callable[[S], dict[str, float]]
    ) -> Turns:
        turns: Turns = {system.name: [] for system in systems}
        for number in range(1, rounds + 1):
            for system in systems:
                values = delivered(system, measure)
                turns[system.name].append(values)
                self._progress.measured(f"{what}, round {number} of {rounds}", system.name, values)
        return turns


def _capacity(turns: Sequence[dict[str, float]]) -> float:
    rates = [statistics.median(turn[name] for turn in turns) for name in ("post_per_second", "drain_per_second")]
    return latency.capacity(*rates)
