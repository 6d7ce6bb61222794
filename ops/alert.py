"""Alerts of a stack as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.json_object import JsonObject


@dataclass(frozen=True)
class Alert:
    """An alert: its measured value, its limit and its state."""

    name: str
    """Such as `dead_letters`."""
    state: str
    """`ok`, `pending` (the limit is reached, but not for long enough yet) or `firing`."""
    value: float | None
    """The measured value; None while its source does not answer."""
    limit: float
    resolves_below: float
    since: datetime | None
    """Since when the limit has been seen as reached."""
    fired_at: datetime | None

    @classmethod
    def read(cls, alert: JsonObject) -> Alert:
        """Read it. Raises UnexpectedReplyError."""
        return cls(
            name=alert.text("name"),
            state=alert.text("state"),
            value=alert.optional(alert.number, "value"),
            limit=alert.number("limit"),
            resolves_below=alert.number("resolvesBelow"),
            since=alert.optional(alert.time, "since"),
            fired_at=alert.optional(alert.time, "firedAt"),
        )


@dataclass(frozen=True)
class Alerts:
    """All alerts of a stack."""

    url: str | None
    """The origin of the URL to which alerts are posted; None: the stack has no alerts."""
    alerts: tuple[Alert, ...]
    untold: int
    """How many posts have not been delivered yet."""

    @classmethod
    def read(cls, alerts: JsonObject) -> Alerts:
        """Read them. Raises UnexpectedReplyError."""
        each = tuple(Alert.read(alert) for alert in alerts.objects("alerts"))
        return cls(alerts.optional(alerts.text, "url"), each, alerts.integer("untold"))
