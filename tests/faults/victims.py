"""The processes of one local Cloudflare, and their sudden end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from local.cli import instance
from local.cli.instance import Instance, InstanceError
from local.cli.processes import ProcessRecord
from tests.faults.events import Events

CONTROL_PLANE, DATA_PLANE, WORKERD, EVERYTHING = "control plane", "data plane", "workerd", "everything"

LOAD, DEPLOY, START = "load", "deploy", "start"
"""The moments of kills: while it serves, while it serves and a stack is being deployed, while it comes back."""

RETURN_SECONDS = 60
"""A killed process is running again after so long, on the busiest machine."""

_POLL_SECONDS = 0.01


class Victims:
    """Kills by name, counts the kills by victim and moment, and sees to it that there is somebody to kill."""

    def __init__(self, state: Path, events: Events) -> None:
        self.state = state
        self.kills: Counter[tuple[str, str]] = Counter()
        self._events = events
        self._find: dict[str, Callable[[], list[int]]] = {
            CONTROL_PLANE: self._control_plane,
            DATA_PLANE: self._data_plane,
            WORKERD: self._workerd,
            EVERYTHING: lambda: [*self._control_plane(), *self._data_plane(), *self._workerd()],
        }

    def count(self, victim: str, moment: str) -> None:
        """Count a kill."""
        self.kills[victim, moment] += 1
        self._events.note(f"killed {victim} ({moment})")

    def kill(self, victim: str, moment: str) -> bool:
        """Kill a process with SIGKILL, unless it is not running just now; whether it was. It is gone at the return."""
        processes: list[ProcessRecord] = []
        for pid in self._find[victim]():
            with suppress(ProcessLookupError):
                process = ProcessRecord.of(pid)
                os.kill(pid, signal.SIGKILL)
                processes.append(process)
        if not processes:
            return False
        self.count(victim, moment)
        while any(process.is_running() for process in processes):
            time.sleep(_POLL_SECONDS)
        return True

    def kill_when_there(self, victim: str, moment: str, seconds: float = RETURN_SECONDS) -> None:
        """Kill a process as soon as there is one: whoever restarts it has that long."""
        deadline = time.monotonic() + seconds
        while not self.kill(victim, moment):
            assert time.monotonic() < deadline, f"the {victim} did not come back within {seconds} s"
            time.sleep(_POLL_SECONDS)

    def restart(self) -> Instance:
        """Start the control plane unless it runs; again when it is killed while it starts."""
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            try:
                running, started = instance.start(self.state)
            except InstanceError as error:
                self._events.note(f"no start: {error}")
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                if started:
                    self._events.note("the control plane is ready")
                return running

    def _control_plane(self) -> list[int]:
        with suppress(FileNotFoundError, ValueError):
            record = ProcessRecord(**json.loads((self.state / "instance.lock").read_text())["process"])
            return [record.pid] if record.is_running() else []
        return []

    def _data_plane(self) -> list[int]:
        with suppress(FileNotFoundError, ValueError):
            record = ProcessRecord(**json.loads((self.state / "data_plane.json").read_text()))
            return [record.pid] if record.is_running() else []
        return []

    def _workerd(self) -> list[int]:
        """Find each workerd by what it wrote; a pid that is somebody else's by now is not in the data plane's group."""
        found: list[int] = []
        for path in (self.state / "tmp").glob("*/workerd.pid"):
            with suppress(FileNotFoundError, ValueError, ProcessLookupError):
                pid = int(path.read_text())
                group = os.getpgid(pid)
                is_alive = ProcessRecord.of(pid).is_running()
                found += [pid] if is_alive and pid != group and [group] == self._data_plane() else []
        return found
