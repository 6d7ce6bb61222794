"""Priorities: the separate queues for tasks of high and low priority, and each priority's share of the concurrency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .shards import shard_binding

Priority = Literal["high", "normal", "low"]

OWN_PRIORITIES: tuple[Priority, ...] = ("high", "low")
"""The priorities that have queues of their own, in a stack with the setting ``priorities``."""

SHARES: Mapping[Priority, float] = {"high": 0.5, "normal": 0.4, "low": 0.1}
"""Each priority's share of the concurrent batches; we chose the numbers. Their sum is one, so that the store has no
more load than without priorities. Each priority has its own share, so that none waits for another."""


def share_of(concurrency: int, priority: Priority) -> int:
    """Return how many of the concurrent batches a priority's consumer gets: at least one, so that its tasks run."""
    return max(1, int(concurrency * SHARES[priority]))


def queue_resource(name: str, priority: Priority) -> str:
    """Return the Pulumi name of a queue: ``task-runner-queue``, ``task-runner-queue-high``."""
    return _of(f"{name}-queue", priority, "-")


def queue_binding(priority: Priority, shard: int) -> str:
    """Return the binding of a queue (the same as in ``worker/priority.js``): ``TASK_QUEUE``, ``TASK_QUEUE_HIGH_1``."""
    return shard_binding(_of("TASK_QUEUE", "normal" if priority == "normal" else priority.upper(), "_"), shard)


def _of(name: str, priority: str, separator: str) -> str:
    return name if priority == "normal" else f"{name}{separator}{priority}"
