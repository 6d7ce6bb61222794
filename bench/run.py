"""One run: starts the systems, measures them, and keeps what was measured after every part."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import machine, memory, results
from bench.baseline import Baseline
from bench.cloud import LocalCloud
from bench.comparison import Comparison
from bench.document import WorkerSource
from bench.load_generator import LoadGenerator
from bench.profile import Profile
from bench.progress import Progress
from bench.results import Results
from bench.system import System
from bench.task_runner import TaskRunner

PARTS = ("throughput", "lone", "steady", "units", "reload", "memory")
"""In the order in which they run."""

_LARGEST_BATCH = 100


class Run:
    """What is to be measured, and what was.

    Args:
        baseline: the Worker to be compared with; None leaves the comparison out.
        parts: of PARTS.
        folder: takes the results.
    """

    def __init__(
        self, profile: Profile, baseline: WorkerSource | None, parts: Sequence[str], folder: Path, progress: Progress
    ) -> None:
        self._profile = profile
        self._baseline = baseline
        self._parts = parts
        self._folder = folder
        self._progress = progress
        self.results: Results = {
            "made_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "machine": machine.describe(),
            "profile": asdict(profile),
            "systems": {},
        }

    def measure(self) -> None:
        """Measure all that is asked for."""
        with LoadGenerator() as load:
            comparing = [part for part in self._parts if part != "memory"]
            if comparing:
                self._compare(comparing, load)
            if "memory" in self._parts:
                self._measure_memory(load)

    def _compare(self, parts: Sequence[str], load: LoadGenerator) -> None:
        with _cloud() as cloud, ExitStack() as stack:
            systems = [stack.enter_context(system) for system in self._starting(self._systems(cloud))]
            self.results["systems"] = {system.name: system.durability for system in systems}
            comparison = Comparison(systems, load, self._profile, self._progress)
            for part in parts:
                getattr(comparison, part)()
                self.results |= comparison.results
                results.save(self.results, self._folder)

    def _measure_memory(self, load: LoadGenerator) -> None:
        """Measure each system alone: on one cloud nobody's memory could be told from another's."""
        self.results["memory"] = {}
        profile = self._profile
        for number in range(len(self._systems(LocalCloud(Path())))):
            with _cloud() as cloud, ExitStack() as stack:
                [system] = [
                    stack.enter_context(each) for each in self._starting(self._systems(cloud)[number : number + 1])
                ]
                measured = memory.measure(
                    system,
                    load,
                    tasks=profile.backlog_tasks,
                    concurrency=profile.concurrency,
                    payload_bytes=profile.payload_bytes,
                )
                self.results["memory"][system.name] = [measured]
                self._progress.measured("memory", system.name, measured)
        results.save(self.results, self._folder)

    def _systems(self, cloud: LocalCloud) -> list[System]:
        ours = [
            TaskRunner("ephemera", cloud),
            TaskRunner(f"ephemera, batches of {_LARGEST_BATCH}", cloud, env="uat", batch_size=_LARGEST_BATCH),
        ]
        baselines = [] if self._baseline is None else [Baseline(cloud, self._baseline)]
        return [*baselines, *ours]

    def _starting(self, systems: Sequence[System]) -> Iterator[System]:
        for system in systems:
            self._progress.say(f"starting {system.name}")
            yield system


@contextmanager
def _cloud() -> Generator[LocalCloud]:
    with TemporaryDirectory(prefix="bench-cloudflare-") as folder, LocalCloud(Path(folder) / "state") as cloud:
        yield cloud
