"""Somebody who deploys one change after the other, and is killed now and then."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.commands.command import COMMAND_SECONDS, Process, start
from tests.faults.conftest import configure
from tests.faults.ledger import Ledger
from tests.faults.victims import DEPLOY, Victims
from tests.journey.project import Project

DEPLOYER = "deployer"

DELAYS_SECONDS = (1, 2)
"""What it changes: the longest wait before a retry."""

PAUSE_PER_DEPLOY = 2
"""How long it pauses, as a multiple of the last deploy's time: the rest of the machine has work too."""


def up(project: Project, stack: str) -> Process:
    """Start ``up``."""
    return start("local", "up", "--stack", stack, "--state", project.state, cwd=project.folder)


class Deployer:
    """Deploys changes of some stacks in turn."""

    def __init__(self, project: Project, stacks: list[str], victims: Victims, ledger: Ledger) -> None:
        self.ends: Counter[str] = Counter()
        self._project = project
        self._stacks = stacks
        self._victims = victims
        self._ledger = ledger
        self._process: Process | None = None
        self._stopping = threading.Event()

    @property
    def is_deploying(self) -> bool:
        """Whether a deploy is under way."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> bool:
        """Kill the deploy that is under way; whether there was one."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        process.kill()
        self._victims.count(DEPLOYER, DEPLOY)
        return True

    @contextmanager
    def running(self) -> Generator[None]:
        """Deploy until the block has ended; the deploy that is under way then is waited for."""
        self._stopping.clear()
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(self._work)
            try:
                yield
            finally:
                self._stopping.set()
        work.result()

    def _work(self) -> None:
        for number, stack in enumerate(itertools.cycle(self._stacks)):
            delay_seconds = DELAYS_SECONDS[number // len(self._stacks) % len(DELAYS_SECONDS)]
            configure(self._project, stack, retry_max_delay_seconds=delay_seconds)
            began = time.monotonic()
            self._process = up(self._project, stack)
            output, _ = self._process.communicate(timeout=COMMAND_SECONDS)
            self._take_end(stack, self._process.wait(), output)
            if self._stopping.wait((time.monotonic() - began) * PAUSE_PER_DEPLOY):
                return

    def _take_end(self, stack: str, code: int, output: str) -> None:
        """Count how a deploy has ended: well, by a kill, or with an error that says why, which is a line."""
        end = "ended well" if code == 0 else "killed" if code < 0 else "ended with an error"
        self.ends[end] += 1
        if "Traceback" in output or (code > 0 and "\nerror: " not in f"\n{output}"):
            self._ledger.complain(f"up of {stack} ended with {code}: {output}")
