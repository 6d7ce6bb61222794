"""The changes that a deployment would make, with the words and signs that the user sees before saying yes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from local.pulumi import name_of, type_of
from ops.console import table


class Effect(Enum):
    """What happens to a resource on Cloudflare; the value is its sign and its word."""

    CREATE = "🟢 create"
    CHANGE = "🟡 change"
    PUBLISH = "🔴 publish"
    """A change that the internet sees: the code that answers, or an address."""
    DESTROY = "💥 destroy"


WAIT, VERIFY, GATE = "⏳", "✔", "🔴 GATE"
"""The other signs of the legend: something waited for, something checked, a decision of the user."""


@dataclass(frozen=True)
class Step:
    """A step of a preview: what would happen to one resource."""

    operation: str
    """Pulumi's name of the operation: ``create``, ``update``, ``replace``, ``delete``, ``same`` and others."""
    urn: str
    changes: tuple[str, ...] = ()
    """The properties that differ."""

    @property
    def is_change(self) -> bool:
        """Whether the step changes anything."""
        return self.operation in _REPLACEMENTS | _CHANGES

    @property
    def kind(self) -> str:
        """The resource's type: ``cloudflare:index/queue:Queue``."""
        return type_of(self.urn)

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return name_of(self.urn)


@dataclass(frozen=True)
class PlannedChange:
    """One line of a plan."""

    effect: Effect
    kind: str
    """The kind of resource, in one word: ``Queue``."""
    name: str
    changes: tuple[str, ...] = ()
    loses_data: bool = False
    """Whether the change deletes data that exists nowhere else."""


PUBLISHED = frozenset({"WorkersDeployment", "WorkersCustomDomain", "WorkersRoute"})
HOLDS_DATA = frozenset({"D1Database", "WorkersKvNamespace", "Queue"})
"""Resources that hold tasks or messages. A Worker with Durable Objects does so too."""
IMMUTABLE = frozenset({"WorkerVersion"})
"""Resources that are replaced at each change, while Cloudflare keeps the old one."""
SCHEMA = frozenset({"Migrations", "D1Migrations"})
"""Resources that are part of a database: their deletion alone loses nothing. The task runner's other own resources are
only in the stack's state, and are not shown."""

_REPLACEMENTS = frozenset({"replace", "create-replacement", "delete-replaced"})
_CHANGES = frozenset({"create", "update", "delete", "replace", "import"})


def plan(steps: Iterable[Step], *, has_objects: bool = False) -> list[PlannedChange]:
    """Return what will be done, one line for each resource, the change with the largest effect last.

    Args:
        steps: the steps of a preview.
        has_objects: whether the stack's Worker has Durable Objects, which are deleted with it.
    """
    holds_data = HOLDS_DATA | {"Worker"} if has_objects else HOLDS_DATA
    operations: dict[str, Step] = {}
    for step in steps:
        operation = "replace" if step.operation in _REPLACEMENTS else step.operation
        if operation in _CHANGES and _is_of_cloudflare(step.kind):
            former = operations.get(step.urn)
            changes = tuple(dict.fromkeys((*(former.changes if former else ()), *step.changes)))
            operations[step.urn] = Step(operation, step.urn, changes)
    found = [change for step in operations.values() for change in _changes_of(step, holds_data)]
    return sorted(found, key=lambda change: list(Effect).index(change.effect))


def _is_of_cloudflare(kind: str) -> bool:
    """Tell whether a type is on Cloudflare: not the stack, a provider, a component or something in the state only."""
    return kind.startswith("cloudflare:") or kind.rsplit(":", 1)[-1] in SCHEMA


def _changes_of(step: Step, holds_data: frozenset[str]) -> Iterator[PlannedChange]:
    kind = step.kind.rsplit(":", 1)[-1]
    if step.operation == "delete":
        if kind not in SCHEMA | IMMUTABLE:
            yield PlannedChange(Effect.DESTROY, kind, step.name, loses_data=kind in holds_data)
    elif kind in PUBLISHED:
        yield PlannedChange(Effect.PUBLISH, kind, step.name, step.changes)
    elif step.operation in ("create", "import") or kind in IMMUTABLE:
        yield PlannedChange(Effect.CREATE, kind, step.name, step.changes if step.operation != "create" else ())
    elif step.operation == "replace" and kind in holds_data:
        yield PlannedChange(Effect.DESTROY, kind, step.name, step.changes, loses_data=True)
        yield PlannedChange(Effect.CREATE, kind, step.name)
    else:
        yield PlannedChange(Effect.CHANGE, kind, step.name, step.changes)


def counted(changes: Iterable[PlannedChange]) -> str:
    """Return the number of changes by kind: ``12 created, 1 published``."""
    words = {
        Effect.CREATE: "created",
        Effect.CHANGE: "changed",
        Effect.PUBLISH: "published",
        Effect.DESTROY: "destroyed",
    }
    effects = [change.effect for change in changes]
    return ", ".join(f"{effects.count(each)} {words[each]}" for each in Effect if each in effects) or "nothing to do"


SHOWN_CHANGES = 4


def lines(changes: Iterable[PlannedChange]) -> list[str]:
    """Return the lines that show a plan."""
    rows = [
        (
            change.effect.value,
            change.kind,
            change.name,
            "with its data" if change.loses_data else _shown(change.changes),
        )
        for change in changes
    ]
    return table(rows) if rows else []


def _shown(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:SHOWN_CHANGES])
    return f"{shown} and {len(names) - SHOWN_CHANGES} more" if len(names) > SHOWN_CHANGES else shown
