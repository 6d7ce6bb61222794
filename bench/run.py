"""One run: starts the systems, measures them, and saves the results after every part."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from bench import machine, memory, results
from bench.baseline import Baseline
from bench.cloud import LocalCloud
from bench.combinations import measure_engine
from bench.comparison import Comparison
from bench.document import WorkerSource
from bench.features import measure_features
from bench.growth import Growth
from bench.load_generator import LoadGenerator
from bench.profile import Profile
from bench.progress import Progress
from bench.results import Results
from bench.rivals import rivals
from bench.system import System
from bench.task_runner import TaskRunner
from components.task_runner_args import Engine

COMPARED = ("throughput", "lone", "steady", "delayed", "units", "reload")
PARTS = (*COMPARED, "memory", "combinations", "features", "growth")
"""The parts in the order in which they run."""

_LARGEST_BATCH = 100

Maker = Callable[[LocalCloud], System]
"""Creates a system that is not started yet; systems without Cloudflare ignore the argument."""


class Run:
    """What is to be measured, and the results so far.

    Args:
        baseline: the Worker to compare with; None leaves the comparison out.
        parts: some of PARTS.
        folder: the folder for the results.
        with_rivals: whether to measure the common alternatives.
        earlier: the results of a run that is resumed.
    """

    def __init__(
        self,
        profile: Profile,
        baseline: WorkerSource | None,
        parts: Sequence[str],
        folder: Path,
        progress: Progress,
        *,
        with_rivals: bool,
        earlier: Results | None = None,
    ) -> None:
        self._profile = profile
        self._baseline = baseline
        self._parts = parts
        self._folder = folder
        self._progress = progress
        self._with_rivals = with_rivals
        self.results: Results = earlier or {
            "made_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "profile": asdict(profile),
            "systems": {},
        }

    def measure(self) -> None:
        """Measure everything that was requested."""
        with LoadGenerator() as load:
            compared = [part for part in self._parts if part in COMPARED]
            if compared:
                self._compare(compared, load)
            if "memory" in self._parts:
                self._measure_memory(load)
            if "combinations" in self._parts:
                self._count_combinations(load)
            if "features" in self._parts:
                self._count_features()
            if "growth" in self._parts:
                self._measure_growth(load)

    def _compare(self, parts: Sequence[str], load: LoadGenerator) -> None:
        with _cloud() as cloud, ExitStack() as stack:
            systems = [self._start(stack, make(cloud)) for make in self._makers()]
            self.results["systems"] = {system.name: system.durability for system in systems}
            comparison = Comparison(systems, load, self._profile, self._progress)
            comparison.results = {part: self.results[part] for part in COMPARED if part in self.results}
            for part in parts:
                getattr(comparison, part)()
                self.results |= comparison.results
                results.save(self.results, self._folder)

    def _measure_memory(self, load: LoadGenerator) -> None:
        """Measure each system alone: on a shared cloud, nobody could say whose memory it is."""
        self.results["memory"] = {}
        profile = self._profile
        for make in self._makers():
            with _cloud() as cloud, ExitStack() as stack:
                system = self._start(stack, make(cloud))
                measured = memory.measure(
                    system,
                    load,
                    tasks=profile.growth_tasks,
                    concurrency=profile.concurrency,
                    payload_bytes=profile.payload_bytes,
                )
                self.results["memory"][system.name] = [measured]
                self._progress.measured("memory", system.name, measured)
        results.save(self.results, self._folder)

    def _measure_growth(self, load: LoadGenerator) -> None:
        self.results["growth"] = {}
        for measure in (Growth.with_work, Growth.with_table):
            with _cloud() as cloud, TaskRunner("ephemera", cloud) as runner:
                self.results["growth"] |= measure(Growth(runner, load, self._profile, self._progress))
        results.save(self.results, self._folder)

    def _count_combinations(self, load: LoadGenerator) -> None:
        self.results["combinations"] = {}
        for engine in get_args(Engine):
            with _cloud() as cloud:
                self.results["combinations"] |= measure_engine(engine, cloud, load, self._profile, self._progress)
        results.save(self.results, self._folder)

    def _count_features(self) -> None:
        self.results["features"] = {}
        for engine in get_args(Engine):
            with _cloud() as cloud:
                self.results["features"] |= measure_features(engine, cloud, self._progress)
        results.save(self.results, self._folder)

    def _makers(self) -> list[Maker]:
        """Return the factories of the systems to compare, in the order of the tables."""
        makers: list[Maker] = []
        if self._baseline is not None:
            makers.append(partial(Baseline, source=self._baseline))
        makers.append(partial(TaskRunner, "ephemera"))
        in_large_batches = f"ephemera, batches of {_LARGEST_BATCH}"
        makers.append(partial(TaskRunner, in_large_batches, env="uat", batch_size=_LARGEST_BATCH))
        return makers + (rivals(self._profile.redis_fsyncs) if self._with_rivals else [])

    def _start(self, stack: ExitStack, system: System) -> System:
        self._progress.say(f"starting {system.name}")
        return stack.enter_context(system)


@contextmanager
def _cloud() -> Generator[LocalCloud]:
    with TemporaryDirectory(prefix="bench-cloudflare-") as folder, LocalCloud(Path(folder) / "state") as cloud:
        yield cloud
