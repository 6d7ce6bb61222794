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
"""The index of a process's user time in the fields of its stat after its name; the system time follows it:
https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""


_OF_WORKERS = b"unix:worker-"
"""A part of the command line of a workerd that runs Workers: its socket for logs."""


class _Process(NamedTuple):
    pid: int
    parent: int
    kibibytes: int


def cpu_seconds(root: int) -> dict[str, float]:
    """Return the CPU time in seconds of a process and its descendants, by program; empty except on Linux.

    In a local Cloudflare, the workerd of the stores and queues is distinguished from those that run Workers.
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
    """Return the total resident memory in bytes of a process and its descendants; each counts its shared pages."""
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
        if "VmRSS" in fields:  # kernel threads have none
            yield _Process(int(folder.name), int(fields["PPid"]), int(fields["VmRSS"].split()[0]))


def _ps_processes() -> Iterator[_Process]:
    printed = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    for line in printed.splitlines():
        yield _Process(*map(int, line.split()))
