"""Pauses as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.json_object import JsonObject


@dataclass(frozen=True)
class Pause:
    """A paused handler: its tasks wait."""

    handler: str | None
    """None means all handlers."""
    since: datetime

    @classmethod
    def read(cls, pause: JsonObject) -> Pause:
        """Read it. Raises UnexpectedReplyError."""
        return cls(pause.optional(pause.text, "handler"), pause.time("since"))
