"""Measures what a task uses in the units that Cloudflare bills."""

from __future__ import annotations

import time
from collections import Counter

from bench.deployed_worker import DeployedWorker
from bench.load_generator import LoadGenerator, Target
from bench.meter import Counts, Meter, metered
from bench.patience import eventually

Units = dict[str, float]
"""How much of each unit a task uses."""

_SWEEP = "scheduled"
"""What starts the sweep. It runs once a minute, however many tasks there are, so it is not part of a task's cost."""

_SECONDS = 120
_QUIET_SECONDS = 0.5
"""Tasks have ended if nothing was counted for this long, with the queue empty."""

_LONE_TASKS = 3
_CONNECTIONS = 16


def measure(worker: DeployedWorker, load: LoadGenerator, *, tasks: int, payload_bytes: int) -> dict[str, Units]:
    """Count what tasks use that succeed at once, without the requests that look at them.

    Returns:
        `backlog`: units of tasks worked off from a backlog, in full batches. `lone`: units of tasks in batches of one.
    """
    target = Target(worker.url, worker.headers, payload_bytes)
    before = worker.completed()
    with metered(worker) as meter:
        load.flood(target, tasks=1, concurrency=1)  # does what an object or an isolate does once
        settled(worker, meter)
        backlog = _backlog(worker, load, target, meter, tasks)
        lone = _lone(worker, load, target, meter)
    submitted = 1 + tasks + _LONE_TASKS
    eventually(lambda: worker.completed() - before >= submitted or None, seconds=60, expected=f"{submitted} completed")
    return {"backlog": backlog, "lone": lone}


def per_task(counts: Counts, tasks: int, *, sweeps: bool = False) -> Units:
    """Divide counts by the number of tasks, whatever started the code; the sweep's counts only if `sweeps` says so."""
    total: Counter[str] = Counter()
    for trigger, units in counts.items():
        if sweeps or trigger != _SWEEP:
            total.update(units)
    return {unit: amount / tasks for unit, amount in sorted(total.items())}


def _backlog(worker: DeployedWorker, load: LoadGenerator, target: Target, meter: Meter, tasks: int) -> Units:
    worker.hold()
    try:
        meter.reset()
        load.flood(target, tasks=tasks, concurrency=_CONNECTIONS)
    finally:
        worker.release()
    return per_task(settled(worker, meter), tasks)


def _lone(worker: DeployedWorker, load: LoadGenerator, target: Target, meter: Meter) -> Units:
    meter.reset()
    for _ in range(_LONE_TASKS):
        load.flood(target, tasks=1, concurrency=1)
        settled(worker, meter)
    return per_task(meter.read(), _LONE_TASKS)


def settled(worker: DeployedWorker, meter: Meter, quiet_seconds: float = _QUIET_SECONDS) -> Counts:
    """Wait until nothing is running any more; only the meter is asked, because that counts nothing."""

    def look() -> Counts | None:
        seen = meter.read()
        time.sleep(quiet_seconds)
        return seen if worker.backlog() == 0 and meter.read() == seen else None

    return eventually(look, seconds=_SECONDS, expected="an empty queue")
