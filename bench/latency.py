"""How long one task takes from its submission to completed."""

from __future__ import annotations

from bench.load_generator import Load, LoadGenerator, Target
from bench.statistics import percentile
from bench.system import System

_POLL_MS = 2
_PAUSE_MS = 100
_FOLLOWED_PER_SECOND = 10


def measure_lone(system: System, load: LoadGenerator, *, tasks: int, payload_bytes: int) -> dict[str, float]:
    """Follow tasks one by one, with nothing else to do."""
    target = Target(system.url, system.headers, payload_bytes)
    return _percentiles(load.lone(target, tasks=tasks, pause_ms=_PAUSE_MS, poll_ms=_POLL_MS))


def measure_steady(
    system: System, load: LoadGenerator, *, tasks_per_second: float, seconds: float, payload_bytes: int
) -> dict[str, float]:
    """Follow some of many tasks that come at a fixed rate."""
    target = Target(system.url, system.headers, payload_bytes)
    seen = load.steady(
        target,
        tasks_per_second=tasks_per_second,
        seconds=seconds,
        followed_per_second=_FOLLOWED_PER_SECOND,
        poll_ms=_POLL_MS,
    )
    return {"tasks_per_second": tasks_per_second, **_percentiles(seen)}


def half_capacity(post_per_second: float, drain_per_second: float) -> float:
    """Return half the rate at which taking tasks and working them off fill all the time between them."""
    return 0.5 / (1 / post_per_second + 1 / drain_per_second)


def _percentiles(seen: Load) -> dict[str, float]:
    """Return percentiles in milliseconds; both kinds begin when the task was to be sent."""
    kinds = {"post": seen.post_ms, "completed": seen.completed_ms}
    return {
        f"{kind}_p{percent}_ms": percentile(values, percent)
        for kind, values in kinds.items()
        for percent in (50, 95, 99)
    }
