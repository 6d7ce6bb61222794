"""Capacity: how many tasks a day the Free plan carries, and how many a database holds; computed, not measured there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bench.report import table
from ops.cost import BASELINE, MeasuredUnits, Units, billed

AS_OF = "2026-11"


@dataclass(frozen=True)
class Daily:
    """The daily allowance of a unit on the Free plan, for the whole account."""

    name: str
    units: int
    source: str


FREE_PLAN = {
    "requests": Daily("Worker requests", 100_000, "https://developers.cloudflare.com/workers/platform/limits/"),
    "queue_operations": Daily("queue operations", 10_000, "https://developers.cloudflare.com/queues/platform/pricing/"),
    "d1_rows_written": Daily("D1 rows written", 100_000, "https://developers.cloudflare.com/d1/platform/pricing/"),
    "kv_writes": Daily("KV writes", 1_000, "https://developers.cloudflare.com/kv/platform/limits/"),
    "object_rows_written": Daily(
        "Durable Object rows written", 100_000, "https://developers.cloudflare.com/durable-objects/platform/pricing/"
    ),
    "object_requests": Daily(
        "Durable Object requests", 100_000, "https://developers.cloudflare.com/durable-objects/platform/pricing/"
    ),
}

DATABASE_BYTES = {"Free plan, 500 MB": 500_000_000, "Paid plan, 10 GB": 10_000_000_000}
"""https://developers.cloudflare.com/d1/platform/limits/"""

ROW_BYTES = 160
"""The size of a completed task's row without payload and result, indexes and free space included.
``tests/bench/test_capacity.py`` measures it, and fails if a migration changes it by more than a quarter."""

KEPT_BYTES = (0, 1_000, 10_000, 100_000)


def tasks_a_day(units: Units) -> tuple[int, Daily]:
    """Return how many tasks a day the Free plan carries, and the unit that is used up first."""
    bounds = [
        (math.floor(FREE_PLAN[unit].units / used), FREE_PLAN[unit])
        for unit, used in billed(units).items()
        if used and unit in FREE_PLAN
    ]
    return min(bounds, key=lambda bound: bound[0])


def capacity_text(measured: MeasuredUnits) -> str:
    """Return both tables, with the sources of the limits."""
    return f"{_plan_table(measured.lone_tasks)}\n\n{_database_table()}"


def _plan_table(lone_tasks: Mapping[str, Units]) -> str:
    rows: list[list[str]] = []
    for name, units in lone_tasks.items():
        if name == BASELINE or "workflow" in name:
            continue
        tasks, daily = tasks_a_day(units)
        rows.append([name, f"{tasks:,}", f"[{daily.name}]({daily.source}): {daily.units:,} a day"])
    head = table(["Free plan", "tasks a day", "what ends first"], rows)
    return f"{head}\n\nTasks that come one by one and succeed at once, without polls, by limits of {AS_OF}."


def _database_table() -> str:
    rows = [
        [f"{kept:,} bytes", *(f"{capacity // (ROW_BYTES + kept):,}" for capacity in DATABASE_BYTES.values())]
        for kept in KEPT_BYTES
    ]
    return table(["result of a completed task, or payload of another one", *DATABASE_BYTES], rows)
