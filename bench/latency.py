"""Measures how long one task takes from its submission to its completion."""

from __future__ import annotations

from bench.load_generator import Load, LoadGenerator, Target
from bench.statistics import percentile
from bench.system import System

_POLL_MS = 2
_PAUSE_MS = 100
_DELAYED_POLL_MS = 5
_FOLLOWED_PER_SECOND = 10

LOADS = (25, 50, 75)
"""In per cent of the capacity."""


def measure_lone(system: System, load: LoadGenerator, *, tasks: int, payload_bytes: int) -> dict[str, float]:
    """Follow tasks one by one, without other load."""
    target = Target(system.url, system.headers, payload_bytes)
    return _percentiles(load.lone(target, tasks=tasks, pause_ms=_PAUSE_MS, poll_ms=_POLL_MS))


def measure_steady(
    system: System, load: LoadGenerator, *, capacity: float, seconds: float, payload_bytes: int
) -> dict[str, float]:
    """Follow some of many tasks submitted at fixed rates, `LOADS` of the capacity, however fast the answers are."""
    target = Target(system.url, system.headers, payload_bytes)
    measured = {"tasks": 0.0}
    for percent in LOADS:
        rate = capacity * percent / 100
        seen = load.steady(
            target, tasks_per_second=rate, seconds=seconds, followed_per_second=_FOLLOWED_PER_SECOND, poll_ms=_POLL_MS
        )
        of_rate = {"tasks_per_second": rate, **_percentiles(seen)}
        measured["tasks"] += of_rate.pop("tasks")
        measured |= {f"{name}_at_{percent}": value for name, value in of_rate.items()}
    return measured


def measure_delayed(
    system: System, load: LoadGenerator, *, tasks: int, delay_seconds: int, payload_bytes: int
) -> dict[str, float]:
    """Follow delayed tasks; the lateness of their completion counts from the end of their delay, in milliseconds."""
    target = Target(system.url, system.headers, payload_bytes)
    seen = load.delayed(target, tasks=tasks, delay_seconds=delay_seconds, poll_ms=_DELAYED_POLL_MS)
    return {
        "tasks": float(len(seen.post_ms)),
        **{f"late_p{percent}_ms": percentile(seen.completed_ms, percent) for percent in (50, 99)},
    }


def capacity(post_per_second: float, drain_per_second: float) -> float:
    """Return the rate at which submitting and working off together take all the time."""
    return 1 / (1 / post_per_second + 1 / drain_per_second)


def _percentiles(seen: Load) -> dict[str, float]:
    """Return percentiles in milliseconds; all kinds count from the moment when the task was to be sent."""
    kinds = {"post": seen.post_ms, "completed": seen.completed_ms, "pickup": seen.pickup_ms}
    return {"tasks": float(len(seen.post_ms))} | {
        f"{kind}_p{percent}_ms": percentile(values, percent)
        for kind, values in kinds.items()
        for percent in (50, 95, 99)
        if values
    }
