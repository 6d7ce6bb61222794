"""What a deployment would do, in the words and signs that it is shown with before somebody says yes to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from local.pulumi import name_of, type_of
from ops.console import table


class Effect(Enum):
    """What becomes of something on Cloudflare; the value is its sign and its word."""

    CREATE = "🟢 create"
    CHANGE = "🟡 change"
    PUBLISH = "🔴 publish"
    """What the internet reaches: the code that answers, an address."""
    DESTROY = "💥 destroy"


WAIT, VERIFY, GATE = "⏳", "✔", "🔴 GATE"
"""The legend's other signs: what is waited for, what was checked, where a human decides."""


@dataclass(frozen=True)
class Step:
    """What a preview says of one resource."""

    operation: str
    """As Pulumi calls it: ``create``, ``update``, ``replace``, ``delete``, ``same`` and others."""
    urn: str
    changes: tuple[str, ...] = ()
    """Which of its properties differ."""

    @property
    def is_change(self) -> bool:
        """Whether anything is to be done."""
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
    """Of resource, in a word: ``Queue``."""
    name: str
    changes: tuple[str, ...] = ()
    loses_data: bool = False
    """Whether data goes with it that nothing else has."""


PUBLISHED = frozenset({"WorkersDeployment", "WorkersCustomDomain", "WorkersRoute"})
HOLDS_DATA = frozenset({"D1Database", "WorkersKvNamespace", "Queue"})
"""What keeps tasks or messages, beside a Worker with Durable Objects."""
IMMUTABLE = frozenset({"WorkerVersion"})
"""Of which each change is a new one, while Cloudflare keeps the former one."""
SCHEMA = frozenset({"Migrations", "D1Migrations"})
"""What goes with its database: nothing is lost by its deletion. Other resources of the task runner's own are in the
stack's state alone, and are not shown."""

_REPLACEMENTS = frozenset({"replace", "create-replacement", "delete-replaced"})
_CHANGES = frozenset({"create", "update", "delete", "replace", "import"})


def plan(steps: Iterable[Step], *, has_objects: bool = False) -> list[PlannedChange]:
    """Return what is to be done, one line a resource, the most far-reaching last.

    Args:
        steps: of a preview.
        has_objects: whether the stack's Worker has Durable Objects, which go with it.
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
    """Tell what is on Cloudflare from the stack itself, a provider, a component and what is in the state alone."""
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
    """Count a plan: ``12 created, 1 published``."""
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
    """Show a plan."""
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
