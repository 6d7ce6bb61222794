"""Alerts of the stack: what may be set, and what the Worker is told of them."""

# No postponed annotations here: Pulumi reads the types of the fields to give the component to other languages.

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from .rules import MAX_TEXT_LENGTH, URL, Pattern, Rule, WholeNumber, read_json

MAX_FAILURE_MINUTES = 15
"""As far back as the Worker counts what has ended (``RECENT_MINUTES`` in ``worker/stores/tally.js``)."""


class Alerts(TypedDict):
    """The alerts of a stack: those whose limit is given, and where they are told."""

    url: pulumi.Input[str]
    """Where they are told, at a host of ``http_allowed_hosts``."""
    backlog_age_seconds: NotRequired[int]
    """For how long the oldest message has been in the queue."""
    dead_letters: NotRequired[int]
    """How many dead letters there are; failed tasks with ``engine`` workflow, which has none."""
    failure_percent: NotRequired[int]
    """How many per cent of the runs that have ended in the last minutes have failed."""
    failure_minutes: NotRequired[int]
    """How far back, 1 to 15; 15 where it is not given."""
    failure_min_tasks: NotRequired[int]
    """How many runs must have ended in that time; 20 where it is not given."""
    database_percent: NotRequired[int]
    """How many per cent of its limit the fullest database or Durable Object has."""
    hold_seconds: NotRequired[int]
    """How long the limit must have been reached; 120 where it is not given."""
    resolve_percent: NotRequired[int]
    """Below which part of its limit an alert is resolved, in per cent; 80 where it is not given."""
    remind_seconds: NotRequired[int]
    """After how long an alert that still fires is told again; 0, the default, is never."""


LIMITS: Mapping[str, WholeNumber] = {
    "backlog_age_seconds": WholeNumber(1, 1_209_600),
    "dead_letters": WholeNumber(1, 1_000_000_000),
    "failure_percent": WholeNumber(1, 100),
    "database_percent": WholeNumber(1, 100),
}
"""Those of each alert; a message is kept for 14 days at most (https://developers.cloudflare.com/queues/platform/limits/)."""

TUNING: Mapping[str, tuple[WholeNumber, int]] = {
    "failure_minutes": (WholeNumber(1, MAX_FAILURE_MINUTES), MAX_FAILURE_MINUTES),
    "failure_min_tasks": (WholeNumber(1, 1_000_000), 20),
    "hold_seconds": (WholeNumber(0, 86_400), 120),
    "resolve_percent": (WholeNumber(1, 100), 80),
    "remind_seconds": (WholeNumber(300, 604_800, "never"), 0),
}
"""What else may be set, with what holds where it is not."""

RULES: Mapping[str, Rule] = {
    "url": Pattern(URL, "a URL such as https://hooks.example/alerts"),
    **LIMITS,
    **{name: rule for name, (rule, _) in TUNING.items()},
}


@dataclass(frozen=True)
class AlertsRule:
    """A mapping of fields."""

    @property
    def expected(self) -> str:
        """The form."""
        return (
            f"a mapping of url, one or more of {', '.join(LIMITS)}, and, where they are to differ, {', '.join(TUNING)}"
        )

    def parse(self, text: str) -> object:
        """Read a JSON object; nothing in it, or in a list, is no alerts."""
        value = read_json(text)
        return () if value in ([], {}) else value

    def accepts(self, value: object) -> bool:
        """Tell whether it is a mapping that the Worker can be told of; `problems` looks into it."""
        return value == () or (isinstance(value, Mapping) and len(json.dumps(value, default=str)) <= MAX_TEXT_LENGTH)


def problems(alerts: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give, of each fault, its place such as ``alerts.url``, what was expected there, and what came."""
    for key, value in alerts.items():
        if key not in RULES:
            yield "alerts", f"expected fields of {', '.join(RULES)}", repr(key)
        elif not RULES[key].accepts(value):
            yield f"alerts.{key}", f"expected {RULES[key].expected}", "another text" if key == "url" else repr(value)
    if not alerts:
        return
    if "url" not in alerts:
        yield "alerts.url", f"expected {RULES['url'].expected}", "nothing"
    if not LIMITS.keys() & alerts.keys():
        yield "alerts", f"expected one or more of {', '.join(LIMITS)}", "none"
    for key in ("failure_minutes", "failure_min_tasks"):
        if key in alerts and "failure_percent" not in alerts:
            yield f"alerts.{key}", "expected to be unset without failure_percent, which it is of", repr(alerts[key])


def as_json(worker: str, alerts: Mapping[str, Any]) -> str:
    """Return what the Worker is told.

    Args:
        worker: the Worker's name, which receivers are told.
        alerts: the setting.
    """
    told = {
        "worker": worker,
        "url": alerts["url"],
        "limits": {name: alerts[name] for name in LIMITS if name in alerts},
        **{name: alerts.get(name, usual) for name, (_, usual) in TUNING.items()},
    }
    return json.dumps(cast("Any", told), separators=(",", ":"))
