"""The memory and the CPU time of processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")

_USER_TICKS = 11
"""Where a process's user time is, with its system time after it, in the fields of its stat that follow its name:
https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""


_OF_WORKERS = b"unix:worker-"
"""In the command line of a workerd that runs Workers: where it is asked for its logs."""


class _Process(NamedTuple):
    pid: int
    parent: int
    kibibytes: int


def cpu_seconds(root: int) -> dict[str, float]:
    """Return the CPU time of a process and its descendants, by the names of their programs; none but on Linux.

    Of a local Cloudflare the workerd that has the stores and queues is told apart from those that run Workers.
    """
    if sys.platform != "linux":
        return {}
    seconds: dict[str, float] = {}
    for pid in _members(root, list(_linux_processes())):
        try:
            *_, fields = (_PROC / str(pid) / "stat").read_text().rpartition(") ")
            program = re.sub(r"[0-9.]+$", "", (_PROC / str(pid) / "exe").readlink().name)
            if program == "workerd":
                program += " of Workers" if _OF_WORKERS in (_PROC / str(pid) / "cmdline").read_bytes() else " of stores"
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks = sum(int(each) for each in fields.split()[_USER_TICKS : _USER_TICKS + 2])
        seconds[program] = seconds.get(program, 0) + ticks / os.sysconf("SC_CLK_TCK")
    return seconds


def resident_bytes(root: int) -> int:
    """Return the resident memory of a process and of all its descendants together; shared pages count in each."""
    processes = list(_linux_processes() if sys.platform == "linux" else _ps_processes())
    members = _members(root, processes)
    return sum(each.kibibytes * 1024 for each in processes if each.pid in members)


def _members(root: int, processes: Sequence[_Process]) -> set[int]:
    members = {root}
    while grown := {each.pid for each in processes if each.parent in members} - members:
        members |= grown
    return members


def _linux_processes() -> Iterator[_Process]:
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            lines = (folder / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = dict(line.split(":", 1) for line in lines)
        if "VmRSS" in fields:  # the kernel's own have none
            yield _Process(int(folder.name), int(fields["PPid"]), int(fields["VmRSS"].split()[0]))


def _ps_processes() -> Iterator[_Process]:
    printed = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    for line in printed.splitlines():
        yield _Process(*map(int, line.split()))
