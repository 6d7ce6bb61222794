"""A part of a deployment: a store or an engine, and how many shards it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

from components.task_runner_args import Engine, StateStore, TaskRunnerArgs

PartName = StateStore | Engine

SHARDED: frozenset[PartName] = frozenset({"d1", "queue"})
"""What has a resource a shard."""

_BY_SHARDS = " of {} shards"


@dataclass(frozen=True)
class Part:
    """A store or an engine."""

    name: PartName
    shards: int = 1
    """How many databases, or queues."""

    def __str__(self) -> str:
        """Return its name; parts of one name that differ in their shards have different ones."""
        return self.name if self.shards == 1 else self.name + _BY_SHARDS.format(self.shards)

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read what ``str`` writes."""
        name, *shards = text.split(_BY_SHARDS.partition("{}")[0])
        return cls(cast("PartName", name), int(shards[0].split()[0]) if shards else 1)

    @property
    def is_store(self) -> bool:
        """Whether it is a store; an engine otherwise."""
        return self.name in get_args(StateStore)

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands among others: in the order of the enums, then of the number of shards."""
        return (*get_args(StateStore), *get_args(Engine)).index(self.name), self.shards


def store_of(args: TaskRunnerArgs) -> Part:
    """Return the store of new tasks."""
    return _part(args.state_store, args)


def engine_of(args: TaskRunnerArgs) -> Part:
    """Return the engine of new tasks."""
    return _part(args.engine, args)


def _part(name: PartName, args: TaskRunnerArgs) -> Part:
    return Part(name, args.shards if name in SHARDED else 1)
