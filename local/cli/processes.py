"""Processes by pid: whether a recorded process is still running, and how to end a whole process group.

A pid alone proves nothing, because it is reused after a crash or a reboot; so a record also has the boot id and the
start time. On Linux this works without `ps`, which small images lack; elsewhere `ps` is used.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessRecord:
    """One process, identified within one boot of this computer."""

    pid: int
    started: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessRecord":
        """Describe a running process. Raises ProcessLookupError if there is none."""
        started = _start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started, _boot())

    def is_running(self) -> bool:
        """Whether this process, and not another one with its pid, is still running."""
        return self.boot == _boot() and self.started == _start_time(self.pid)

    def group_is_running(self) -> bool:
        """Whether the process group that this process leads (or led) still has a living member."""
        if self.boot != _boot():
            return False
        started = _start_time(self.pid)
        if started is not None and started != self.started:
            return False  # the pid now belongs to another process
        return bool(_group_members(self.pid))


def stop_group(leader: ProcessRecord, *, grace_seconds: float) -> None:
    """Wait for a group to end by itself, kill what is left, and return when none of it is running."""
    if not wait_until_gone(leader, grace_seconds):
        _signal_group(leader.pid, signal.SIGKILL)
        wait_until_gone(leader, 10)


def wait_until_gone(leader: ProcessRecord, seconds: float) -> bool:
    """Wait until no process of the group is left. Return False if some are still running after the given time."""
    deadline = time.monotonic() + seconds
    while leader.group_is_running():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _signal_group(pgid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return


def _boot() -> str:
    if sys.platform == "linux":
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return _output("sysctl", "-n", "kern.boottime")


def _start_time(pid: int) -> str | None:
    """Return the start time of a living process, as text to compare. None if it has ended or is a zombie."""
    if sys.platform == "linux":
        stat = _linux_stat(pid)
        return None if stat is None or stat[0] in "ZX" else stat[19]
    state, _, started = _output("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _group_members(pgid: int) -> list[int]:
    if sys.platform == "linux":
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        stats = {pid: _linux_stat(pid) for pid in pids}
        return [pid for pid, stat in stats.items() if stat and stat[0] not in "ZX" and int(stat[2]) == pgid]
    rows = [line.split() for line in _output("ps", "-axo", "pid=,pgid=,stat=").splitlines()]
    return [int(pid) for pid, group, state in rows if int(group) == pgid and not state.startswith("Z")]


def _linux_stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third (state) on: the second one, the name, may contain spaces."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
