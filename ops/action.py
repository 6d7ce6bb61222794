"""Actions on many tasks, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.json_object import JsonObject


@dataclass(frozen=True)
class Filter:
    """Which tasks: those that fit everything that is given. The API refuses one that gives nothing."""

    status: str | None = None
    handler: str | None = None
    tags: Mapping[str, str] | None = None
    """All of which they have."""
    created_after: datetime | None = None
    created_before: datetime | None = None
    """Where it is not given, the moment of the request."""
    ids: Sequence[str] | None = None
    """Up to 500."""

    def body(self) -> dict[str, Any]:
        """Return it as the API takes it."""
        given = {
            "status": self.status,
            "handler": self.handler,
            "tags": None if self.tags is None else dict(self.tags),
            "createdAfter": None if self.created_after is None else self.created_after.isoformat(),
            "createdBefore": None if self.created_before is None else self.created_before.isoformat(),
            "ids": None if self.ids is None else list(self.ids),
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True)
class Action:
    """An action: what is done, and how far it is."""

    id: str
    action: str
    """`cancel`, `retry` or `delete`."""
    dry_run: bool
    state: str
    """`running`, `completed` or `stopped`."""
    matched: int
    """Tasks so far that the filter names and whose status allows the action."""
    done: int
    skipped: int
    """Tasks that have moved on meanwhile."""
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def read(cls, action: JsonObject) -> Action:
        """Read it. Raises UnexpectedReplyError."""
        return cls(
            id=action.text("id"),
            action=action.text("action"),
            dry_run=action.truth("dryRun"),
            state=action.text("state"),
            matched=action.integer("matched"),
            done=action.integer("done"),
            skipped=action.integer("skipped"),
            created_at=action.time("createdAt"),
            finished_at=action.optional(action.time, "finishedAt"),
        )
