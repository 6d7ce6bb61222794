"""How much is measured: enough to see where things stand, or enough to publish."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The size of a run.

    Attributes:
        name: quick or full.
        rounds: how often each system has its turn; turns alternate.
        backlog_tasks: submitted, then worked off, in a turn.
        concurrency: connections that submit them.
        payload_bytes: of a task, where nothing else is said.
        lone_tasks: followed one by one, in a turn.
        steady_seconds: of load at half the capacity, in a turn.
        units_tasks: whose use of billed units is counted.
        reloads: deployments of the same Worker that are timed.
    """

    name: str
    rounds: int
    backlog_tasks: int
    lone_tasks: int
    steady_seconds: float
    units_tasks: int
    reloads: int
    concurrency: int = 16
    payload_bytes: int = 100


QUICK = Profile("quick", rounds=2, backlog_tasks=1_000, lone_tasks=2, steady_seconds=5, units_tasks=100, reloads=2)
FULL = Profile("full", rounds=3, backlog_tasks=10_000, lone_tasks=7, steady_seconds=20, units_tasks=1_000, reloads=5)
