"""What rate so many shards reach on Cloudflare, computed from its published limits; nothing here is measured on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.report import table
from components.task_runner_args import MAX_CONCURRENCY, MAX_SHARDS

AS_OF = "2026-11"

QUEUE_MESSAGES_PER_SECOND = 5_000
QUEUE_SOURCE = "https://developers.cloudflare.com/queues/platform/limits/"

DATABASE_QUERIES_PER_SECOND = 1_000
"""Of one database, which runs one query at a time, when a query takes 1 ms: Cloudflare's own example."""

DATABASE_SOURCE = "https://developers.cloudflare.com/d1/platform/limits/"

BATCH_SIZE = 10
HANDLER_SECONDS = 1
RATES_PER_SECOND = (500, 1_000, 2_500, 5_000, 10_000)


@dataclass(frozen=True)
class Needed:
    """How many shards a rate needs, by what bounds it."""

    databases: int
    queues: int
    consumers: int

    @property
    def shards(self) -> int:
        """As many as the tightest bound asks for."""
        return max(self.databases, self.queues, self.consumers)


def needed(tasks_per_second: float, round_trips: float) -> Needed:
    """Compute the shards for a rate.

    Args:
        tasks_per_second: submitted and worked off.
        round_trips: D1 queries a task.
    """
    consumed_per_second = MAX_CONCURRENCY * BATCH_SIZE / HANDLER_SECONDS
    return Needed(
        databases=math.ceil(tasks_per_second * round_trips / DATABASE_QUERIES_PER_SECOND),
        queues=math.ceil(tasks_per_second / QUEUE_MESSAGES_PER_SECOND),
        consumers=math.ceil(tasks_per_second / consumed_per_second),
    )


def scale_text(round_trips: float) -> str:
    """Put rates and the shards that they need side by side, with the limits and their sources."""
    rows: list[list[str]] = []
    for rate in RATES_PER_SECOND:
        need = needed(rate, round_trips)
        rows.append([f"{rate:,}", str(need.databases), str(need.queues), str(need.consumers), f"**{need.shards}**"])
    highest = math.floor(MAX_SHARDS * DATABASE_QUERIES_PER_SECOND / round_trips / 100) * 100
    head = table(["tasks/s", "databases", "queues", "consumers", "`shards`"], rows)
    return (
        f"{head}\n\nComputed from limits of {AS_OF}: [one D1 database]({DATABASE_SOURCE}) runs one query at a time, "
        f"{DATABASE_QUERIES_PER_SECOND:,} a second at 1 ms each, and a task takes {round_trips:g} in full batches of "
        f"{BATCH_SIZE}; [a queue]({QUEUE_SOURCE}) takes {QUEUE_MESSAGES_PER_SECOND:,} messages a second and has up to "
        f"{MAX_CONCURRENCY} consumers at once, here of {BATCH_SIZE} tasks that take {HANDLER_SECONDS} s. "
        f"{MAX_SHARDS} shards reach some {highest:,} tasks/s. Larger batches take fewer queries a task."
    )
