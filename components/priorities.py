"""Priorities: the queues of their own that high and low tasks have, and the share of each in what the store bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .shards import shard_binding

Priority = Literal["high", "normal", "low"]

OWN_PRIORITIES: tuple[Priority, ...] = ("high", "low")
"""Those whose queues a stack has only with the setting ``priorities``."""

SHARES: Mapping[Priority, float] = {"high": 0.5, "normal": 0.4, "low": 0.1}
"""The part that each has of the batches in work, of our choice. The sum is one, so that the store bears no more than
without priorities; each has a part of its own, so that none waits for another."""


def share_of(concurrency: int, priority: Priority) -> int:
    """Return how many of so many batches a priority's consumer may have in work: one at least, or it would stand."""
    return max(1, int(concurrency * SHARES[priority]))


def queue_resource(name: str, priority: Priority) -> str:
    """Return the Pulumi name of a queue: ``task-runner-queue``, ``task-runner-queue-high``."""
    return _of(f"{name}-queue", priority, "-")


def queue_binding(priority: Priority, shard: int) -> str:
    """Return the binding of a queue (``worker/priority.js`` says the same): ``TASK_QUEUE``, ``TASK_QUEUE_HIGH_1``."""
    return shard_binding(_of("TASK_QUEUE", "normal" if priority == "normal" else priority.upper(), "_"), shard)


def _of(name: str, priority: str, separator: str) -> str:
    return name if priority == "normal" else f"{name}{separator}{priority}"
