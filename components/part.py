"""A part of a deployment: a store or an engine, with its present and former numbers of shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from .task_runner_args import Engine, StateStore, TaskRunnerArgs

PartName = StateStore | Engine

SHARDED: frozenset[PartName] = frozenset({"d1", "durable-object", "queue"})
"""Parts that can have several shards: databases, objects or queues."""


DEFAULT_OBJECTS = 4
"""How many Durable Objects a stack with one shard has, which is the default: ``objectCount`` of
``worker/stores/durable_object.js``."""


@dataclass(frozen=True)
class Part:
    """A store or an engine."""

    name: PartName
    shard_counts: tuple[int, ...] = (1,)
    """How many databases, objects or queues: first the current number, then those of earlier deployments."""
    is_former: bool = False
    """Whether it is of an earlier deployment and takes no new tasks."""

    @property
    def described(self) -> str:
        """A description in words. Two parts whose tasks are in different places have different descriptions."""
        counts = " then ".join(map(str, self.shard_counts))
        return f"{'former ' if self.is_former else ''}{self.name} of {counts}"

    @property
    def shards(self) -> int:
        """How many resources it needs, those of former shard numbers included."""
        return max(self.shard_counts)

    @property
    def shards_in_use(self) -> int:
        """How many of its resources take new tasks."""
        return 0 if self.is_former else self.shard_counts[0]


def stores_of(args: TaskRunnerArgs) -> list[Part]:
    """Return the store of new tasks, then the former ones."""
    names = [args.state_store, *(args.former_state_stores or ())]
    return list(_parts(cast("Sequence[PartName]", names), args))


def engines_of(args: TaskRunnerArgs) -> list[Part]:
    """Return the engine of new tasks, then the former ones."""
    return list(_parts(cast("Sequence[PartName]", [args.engine, *(args.former_engines or ())]), args))


def _parts(names: Sequence[PartName], args: TaskRunnerArgs) -> Iterator[Part]:
    shards, former = cast("int", args.shards), tuple(args.former_shards or ())
    for number, name in enumerate(names):
        is_former = number > 0
        counts = (former or (shards,)) if is_former else (shards, *(count for count in former if count != shards))
        yield Part(name, counts if name in SHARDED else (1,), is_former)
