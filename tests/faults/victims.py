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

from local import instance
from local.instance import Instance, InstanceError
from local.processes import ProcessRecord

CONTROL_PLANE, DATA_PLANE, WORKERD = "control plane", "data plane", "workerd"

RETURN_SECONDS = 60
"""A killed process is running again after so long, on the busiest machine."""

_POLL_SECONDS = 0.01


class Victims:
    """Kills by name, counts the kills, and sees to it that there is somebody to kill."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.kills: Counter[str] = Counter()

    def kill(self, name: str) -> bool:
        """Kill a process with SIGKILL, unless it is not running just now; whether it was. It is gone at the return."""
        find: dict[str, Callable[[], int | None]] = {
            CONTROL_PLANE: self._control_plane,
            DATA_PLANE: self._data_plane,
            WORKERD: self._workerd,
        }
        pid = find[name]()
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            process = ProcessRecord.of(pid)
            os.kill(pid, signal.SIGKILL)
            self.kills[name] += 1
            while process.is_running():  # a start that came earlier would find the dying one, and leave it at that
                time.sleep(_POLL_SECONDS)
            return True
        return False

    def kill_when_there(self, name: str, seconds: float = RETURN_SECONDS) -> None:
        """Kill a process as soon as there is one: whoever restarts it has that long."""
        deadline = time.monotonic() + seconds
        while not self.kill(name):
            assert time.monotonic() < deadline, f"the {name} did not come back within {seconds} s"
            time.sleep(_POLL_SECONDS)

    def restart(self) -> Instance:
        """Start the control plane unless it runs; one that is not quite dead yet holds the folder for a moment."""
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            try:
                return instance.start(self.state)[0]
            except InstanceError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def _control_plane(self) -> int | None:
        running = Instance.find(self.state)
        return None if running is None else running.pid

    def _data_plane(self) -> int | None:
        with suppress(FileNotFoundError, ValueError):
            record = ProcessRecord(**json.loads((self.state / "data_plane.json").read_text()))
            return record.pid if record.is_running() else None
        return None

    def _workerd(self) -> int | None:
        """Find workerd by what it wrote; a pid that is somebody else's by now is not in the data plane's group."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int((self.state / "tmp" / "workerd.pid").read_text())
            group = os.getpgid(pid)
            is_alive = ProcessRecord.of(pid).is_running()
            return pid if is_alive and pid != group and group == self._data_plane() else None
        return None
