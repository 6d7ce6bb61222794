"""Actions on many tasks, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.json_object import JsonObject


@dataclass(frozen=True)
class Filter:
    """Selects tasks: those that match all of the given fields. The API refuses a filter without any field."""

    status: str | None = None
    handler: str | None = None
    tags: Mapping[str, str] | None = None
    """The tasks must have all of these tags."""
    created_after: datetime | None = None
    created_before: datetime | None = None
    """The default is the time of the request."""
    ids: Sequence[str] | None = None
    """Up to 500 ids of tasks."""

    def body(self) -> dict[str, Any]:
        """Return it in the form of the API's JSON."""
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
    """An action on many tasks, and its progress."""

    id: str
    action: str
    """`cancel`, `retry` or `delete`."""
    dry_run: bool
    state: str
    """`running`, `completed` or `stopped`."""
    matched: int
    """How many tasks so far match the filter and have a status that allows the action."""
    done: int
    skipped: int
    """How many tasks changed before the action reached them, so that it left them alone."""
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
