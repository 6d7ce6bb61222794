"""Measures how fast tasks are accepted, and how fast a backlog of them is worked off."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bench.load_generator import Load, LoadGenerator, Target
from bench.patience import eventually
from bench.statistics import percentile
from bench.system import System

MANY_CONNECTIONS = 64
BATCH_TASKS = 100
"""The most tasks of a `POST /tasks`."""

_BATCH_CONNECTIONS = 4
_DRAIN_SECONDS = 600


def measure(
    system: System, load: LoadGenerator, *, tasks: int, concurrency: int, payload_bytes: int
) -> dict[str, float]:
    """Submit a backlog while delivery is paused, then resume and wait until all of it is completed.

    Returns:
        `tasks` submitted; rates (tasks a second); the latency of a POST at this concurrency (milliseconds); CPU time of
        each process in milliseconds a task, for its POST and for working it off.
    """
    return _measure(system, load, [concurrency], tasks, payload_bytes)


def measure_all(
    system: System, load: LoadGenerator, *, tasks: int, concurrency: int, payload_bytes: int
) -> dict[str, float]:
    """The same, with as many tasks again over `MANY_CONNECTIONS`, and in batches if the system supports them."""
    measured = _measure(system, load, [concurrency, MANY_CONNECTIONS], tasks, payload_bytes)
    if "batches" not in system.abilities:
        return measured
    target = Target(system.url, system.headers, payload_bytes)
    system.hold()
    try:
        posted = load.batches(target, tasks=tasks, concurrency=_BATCH_CONNECTIONS, batch=BATCH_TASKS)
    finally:
        system.release()
    _drained(system)
    return measured | {"tasks": measured["tasks"] + tasks, "batch_post_per_second": posted.tasks_per_second}


def _measure(
    system: System, load: LoadGenerator, connections: list[int], tasks: int, payload_bytes: int
) -> dict[str, float]:
    target = Target(system.url, system.headers, payload_bytes)
    cpu: dict[str, float] = {}
    floods: list[Load] = []
    used = system.cpu_seconds()
    system.hold()
    try:
        for each in connections:
            floods.append(load.flood(target, tasks=tasks, concurrency=each))
            before, used = used, system.cpu_seconds()
            cpu |= _cpu_ms(before, used, f"POST over {each} connections", tasks)
    finally:
        began = time.perf_counter()
        system.release()
    _drained(system)
    drained_seconds = time.perf_counter() - began
    submitted = tasks * len(floods)
    cpu |= _cpu_ms(used, system.cpu_seconds(), "worked off", submitted)
    rates = {
        f"post_per_second_{each}": flood.tasks_per_second
        for each, flood in zip(connections[1:], floods[1:], strict=True)
    }
    return {
        "tasks": submitted,
        "post_per_second": floods[0].tasks_per_second,
        **rates,
        **_latency(floods[0]),
        "drain_per_second": submitted / drained_seconds,
        **cpu,
    }


def _cpu_ms(before: Mapping[str, float], after: Mapping[str, float], what: str, tasks: int) -> dict[str, float]:
    used_ms = {name: (seconds - before.get(name, 0)) * 1000 / tasks for name, seconds in after.items()}
    return {f"cpu_ms_{what}: {name}": each for name, each in used_ms.items()}


def _latency(posted: Load) -> dict[str, float]:
    return {f"post_p{percent}_ms": percentile(posted.post_ms, percent) for percent in (50, 95, 99)}


def _drained(system: System) -> None:
    eventually(lambda: system.backlog() == 0 or None, seconds=_DRAIN_SECONDS, expected="an empty queue")
