"""Measures the memory of a system that was just started, without other systems."""

from __future__ import annotations

from bench import throughput
from bench.delivery import delivered
from bench.load_generator import LoadGenerator
from bench.system import System

_MEBIBYTE = 2**20


def measure(
    system: System, load: LoadGenerator, *, tasks: int, concurrency: int, payload_bytes: int
) -> dict[str, float]:
    """Measure before and after a load; resident memory of all its processes, in MiB."""
    idle = system.memory_bytes()
    measured = delivered(
        system,
        lambda each: throughput.measure(each, load, tasks=tasks, concurrency=concurrency, payload_bytes=payload_bytes),
    )
    counts = {name: measured[name] for name in ("tasks", "completed", "attempts") if name in measured}
    return counts | {"idle_mib": idle / _MEBIBYTE, "loaded_mib": system.memory_bytes() / _MEBIBYTE}
