"""How fast tasks are taken, and how fast a backlog of them is worked off."""

from __future__ import annotations

import time

from bench.load_generator import LoadGenerator, Target
from bench.patience import eventually
from bench.statistics import percentile
from bench.system import System

_DRAIN_SECONDS = 600


def measure(
    system: System, load: LoadGenerator, *, tasks: int, concurrency: int, payload_bytes: int
) -> dict[str, float]:
    """Submit a backlog while nothing is worked off, then let go and wait until all of it is completed.

    Returns:
        Rates (tasks a second) and the latency of a POST at this concurrency (milliseconds).
    """
    before = system.completed()
    system.hold()
    try:
        posted = load.flood(Target(system.url, system.headers, payload_bytes), tasks=tasks, concurrency=concurrency)
    finally:
        began = time.perf_counter()
        system.release()
    eventually(lambda: system.backlog() == 0 or None, seconds=_DRAIN_SECONDS, expected="an empty queue")
    drained = time.perf_counter() - began
    eventually(lambda: system.completed() - before >= tasks or None, seconds=60, expected=f"{tasks} completed tasks")
    return {
        "post_per_second": posted.tasks_per_second,
        "post_p50_ms": percentile(posted.post_ms, 50),
        "post_p95_ms": percentile(posted.post_ms, 95),
        "post_p99_ms": percentile(posted.post_ms, 99),
        "drain_per_second": tasks / drained,
    }
