"""The rates that numbers of shards reach on Cloudflare, computed from its published limits, not measured there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.report import table
from components.task_runner_args import MAX_CONCURRENCY, MAX_SHARDS
from ops.cost import KEPT_BYTES

AS_OF = "2026-11"

QUEUE_MESSAGES_PER_SECOND = 5_000
QUEUE_SOURCE = "https://developers.cloudflare.com/queues/platform/limits/"

DATABASE_QUERIES_PER_SECOND = 1_000
"""The limit of one database, which runs one query at a time, if a query takes 1 ms: Cloudflare's own example."""

DATABASE_SOURCE = "https://developers.cloudflare.com/d1/platform/limits/"

DATABASE_BYTES = 10_000_000_000
KEPT_SECONDS = 86_400
"""The default time to live."""

WORKFLOW_INSTANCES_PER_SECOND = 100
WORKFLOW_SOURCE = "https://developers.cloudflare.com/workflows/reference/limits/"

BATCH_SIZE = 10
HANDLER_SECONDS = 1
RATES_PER_SECOND = (500, 1_000, 2_500, 5_000, 10_000)


@dataclass(frozen=True)
class Needed:
    """How many shards a rate needs, by limit."""

    databases: int
    storage: int
    queues: int
    consumers: int

    @property
    def shards(self) -> int:
        """The number that the tightest limit requires."""
        return max(self.databases, self.storage, self.queues, self.consumers)


def needed(tasks_per_second: float, round_trips: float) -> Needed:
    """Compute the shards for a rate.

    Args:
        tasks_per_second: tasks submitted and worked off a second.
        round_trips: D1 queries for each task.
    """
    consumed_per_second = MAX_CONCURRENCY * BATCH_SIZE / HANDLER_SECONDS
    return Needed(
        databases=math.ceil(tasks_per_second * round_trips / DATABASE_QUERIES_PER_SECOND),
        storage=math.ceil(tasks_per_second * KEPT_SECONDS * KEPT_BYTES / DATABASE_BYTES),
        queues=math.ceil(tasks_per_second / QUEUE_MESSAGES_PER_SECOND),
        consumers=math.ceil(tasks_per_second / consumed_per_second),
    )


def scale_text(round_trips: float) -> str:
    """Return a table of rates and the shards that they need, with the limits and their sources."""
    rows: list[list[str]] = []
    for rate in RATES_PER_SECOND:
        need = needed(rate, round_trips)
        bounds = (need.databases, need.storage, need.queues, need.consumers)
        rows.append([f"{rate:,}", *map(str, bounds), f"**{need.shards}**" if need.shards <= MAX_SHARDS else "too many"])
    by_queries = MAX_SHARDS * DATABASE_QUERIES_PER_SECOND / round_trips
    by_storage = MAX_SHARDS * DATABASE_BYTES / KEPT_BYTES / KEPT_SECONDS
    highest = math.floor(min(by_queries, by_storage) / 100) * 100
    head = table(["tasks/s", "databases, by queries", "by storage", "queues", "consumers", "`shards`"], rows)
    return (
        f"{head}\n\nComputed from limits of {AS_OF}: [one D1 database]({DATABASE_SOURCE}) runs one query at a time, "
        f"{DATABASE_QUERIES_PER_SECOND:,} a second at 1 ms each, and a task takes {round_trips:g} in full batches of "
        f"{BATCH_SIZE}, joined with those of its isolate; it holds {DATABASE_BYTES / 1e9:g} GB, here of tasks that "
        f"leave {KEPT_BYTES} bytes for a day; [a queue]({QUEUE_SOURCE}) takes {QUEUE_MESSAGES_PER_SECOND:,} messages a "
        f"second and has up to {MAX_CONCURRENCY} consumers at once, here of {BATCH_SIZE} tasks that take "
        f"{HANDLER_SECONDS} s. "
        f"{MAX_SHARDS} shards reach some {highest:,} tasks/s. Larger batches take fewer queries a task, "
        f"a shorter time to live less storage. {_payload_text()} With `workflow` nothing of this helps: "
        f"[a Workflow]({WORKFLOW_SOURCE}) makes {WORKFLOW_INSTANCES_PER_SECOND} instances a second."
    )


def _payload_text() -> str:
    """Return how many tasks a second fill one database, by the stored size of each and the time it is kept."""
    hours = (1, 24, 168)
    rates = [
        f"{kept:,} bytes {' / '.join(f'{DATABASE_BYTES / kept / (hour * 3600):,.0f}' for hour in hours)}"
        for kept in (KEPT_BYTES, 1_000, 10_000, 100_000)
    ]
    times = " / ".join(f"{hour} h" for hour in hours)
    return f"Tasks a second that fill one database, kept for {times}: {'; '.join(rates)}."
