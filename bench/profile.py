"""How much is measured: enough for a first impression, or enough to publish."""

from __future__ import annotations

from dataclasses import dataclass

from bench.rivals.redis_server import Fsync


@dataclass(frozen=True)
class Profile:
    """The size of a run.

    Attributes:
        name: quick or full.
        rounds: how many turns each system has; turns alternate.
        backlog_tasks: how many tasks are submitted, then worked off, in a turn.
        concurrency: how many connections submit them.
        payload_bytes: the default size of a payload.
        lone_tasks: how many tasks are followed one by one in a turn.
        steady_seconds: how long the load at each part of the capacity lasts in a turn.
        delayed_tasks, delay_seconds: how many tasks are delayed, and for how long.
        units_tasks: how many tasks' billed units are counted.
        reloads: how many deployments of the same Worker are timed.
        redis_fsyncs: the durabilities with which rivals are measured.
        growth_tasks: the size of each backlog in the measurements of growth and memory.
        batch_sizes, payloads_bytes, concurrencies, shards, tables_rows: the sizes to measure, one kind at a time.
    """

    name: str
    rounds: int
    backlog_tasks: int
    lone_tasks: int
    steady_seconds: float
    units_tasks: int
    reloads: int
    redis_fsyncs: tuple[Fsync, ...]
    growth_tasks: int
    batch_sizes: tuple[int, ...]
    payloads_bytes: tuple[int, ...]
    concurrencies: tuple[int, ...]
    shards: tuple[int, ...]
    tables_rows: tuple[int, ...]
    delayed_tasks: int = 50
    delay_seconds: int = 3
    concurrency: int = 16
    payload_bytes: int = 100


QUICK = Profile(
    "quick",
    rounds=2,
    backlog_tasks=500,
    lone_tasks=2,
    steady_seconds=3,
    units_tasks=100,
    reloads=2,
    redis_fsyncs=("always",),
    growth_tasks=200,
    batch_sizes=(1, 10, 100),
    payloads_bytes=(100, 10_000, 2**20),
    concurrencies=(1, 10, 50),
    shards=(1, 4),
    tables_rows=(100, 10_000),
)
FULL = Profile(
    "full",
    rounds=3,
    backlog_tasks=4_000,
    lone_tasks=5,
    steady_seconds=6,
    units_tasks=500,
    reloads=5,
    redis_fsyncs=("always", "everysec"),
    growth_tasks=1_000,
    batch_sizes=(1, 3, 10, 30, 100),
    payloads_bytes=(100, 1_000, 10_000, 100_000, 2**20),
    concurrencies=(1, 2, 5, 10, 20, 50),
    shards=(1, 2, 4, 8, 16),
    tables_rows=(100, 1_000, 10_000, 100_000, 1_000_000),
)
