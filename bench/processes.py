"""The memory of processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class _Process(NamedTuple):
    pid: int
    parent: int
    kibibytes: int


def resident_bytes(root: int) -> int:
    """Return the resident memory of a process and of all its descendants together; shared pages count in each."""
    processes = list(_linux_processes() if sys.platform == "linux" else _ps_processes())
    members = {root}
    while grown := {each.pid for each in processes if each.parent in members} - members:
        members |= grown
    return sum(each.kibibytes * 1024 for each in processes if each.pid in members)


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
