"""Alerts of a stack as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.json_object import JsonObject


@dataclass(frozen=True)
class Alert:
    """An alert: what it measures, and whether it fires."""

    name: str
    """Such as `dead_letters`."""
    state: str
    """`ok`, `pending` (it has reached its limit, and not for long enough yet) or `firing`."""
    value: float | None
    """None while what would tell does not answer."""
    limit: float
    resolves_below: float
    since: datetime | None
    """When it was seen to have reached its limit."""
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
    """Where they are told: the origin alone. None: the stack has none."""
    alerts: tuple[Alert, ...]
    untold: int
    """How many posts have not arrived yet."""

    @classmethod
    def read(cls, alerts: JsonObject) -> Alerts:
        """Read them. Raises UnexpectedReplyError."""
        each = tuple(Alert.read(alert) for alert in alerts.objects("alerts"))
        return cls(alerts.optional(alerts.text, "url"), each, alerts.integer("untold"))
