"""Alerts of the stack: which settings they have, and how the Worker receives them."""

# No postponed annotations here: Pulumi reads the types of the fields to give the component to other languages.

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from .rules import MAX_TEXT_LENGTH, URL, Pattern, Rule, WholeNumber, read_json

MAX_FAILURE_MINUTES = 15
"""How many minutes back the Worker counts ended runs (``RECENT_MINUTES`` in ``worker/stores/tally.js``)."""


class Alerts(TypedDict):
    """The alerts of a stack: each alert whose limit is given is on, and is posted to ``url``."""

    url: pulumi.Input[str]
    """The URL to which alerts are posted, at a host of ``http_allowed_hosts``."""
    backlog_age_seconds: NotRequired[int]
    """The limit for the age of the oldest message in the queue, in seconds."""
    dead_letters: NotRequired[int]
    """The limit for the number of dead letters; of failed tasks with ``engine`` workflow, which has no dead letters."""
    failure_percent: NotRequired[int]
    """The limit for failed runs, in per cent of the runs that ended in the last minutes."""
    failure_minutes: NotRequired[int]
    """How many minutes back runs are counted: 1 to 15. The default is 15."""
    failure_min_tasks: NotRequired[int]
    """How many runs must have ended in those minutes before the alert can fire. The default is 20."""
    database_percent: NotRequired[int]
    """The limit for the size of the fullest database or Durable Object, in per cent of the size that Cloudflare allows.
    """
    hold_seconds: NotRequired[int]
    """For how many seconds a limit must have been reached before its alert fires. The default is 120."""
    resolve_percent: NotRequired[int]
    """An alert is resolved below this part of its limit, in per cent. The default is 80."""
    remind_seconds: NotRequired[int]
    """After how many seconds an alert that still fires is posted again. 0, the default, means never."""


LIMITS: Mapping[str, WholeNumber] = {
    "backlog_age_seconds": WholeNumber(1, 1_209_600),
    "dead_letters": WholeNumber(1, 1_000_000_000),
    "failure_percent": WholeNumber(1, 100),
    "database_percent": WholeNumber(1, 100),
}
"""The range of each limit. Cloudflare keeps a message for 14 days at most
(https://developers.cloudflare.com/queues/platform/limits/).
"""

TUNING: Mapping[str, tuple[WholeNumber, int]] = {
    "failure_minutes": (WholeNumber(1, MAX_FAILURE_MINUTES), MAX_FAILURE_MINUTES),
    "failure_min_tasks": (WholeNumber(1, 1_000_000), 20),
    "hold_seconds": (WholeNumber(0, 86_400), 120),
    "resolve_percent": (WholeNumber(1, 100), 80),
    "remind_seconds": (WholeNumber(300, 604_800, "never"), 0),
}
"""The range and the default of each other number."""

RULES: Mapping[str, Rule] = {
    "url": Pattern(URL, "a URL such as https://hooks.example/alerts"),
    **LIMITS,
    **{name: rule for name, (rule, _) in TUNING.items()},
}


@dataclass(frozen=True)
class AlertsRule:
    """Accepts a mapping of the fields of ``Alerts``."""

    @property
    def expected(self) -> str:
        """The form of the mapping."""
        return (
            f"a mapping of url, one or more of {', '.join(LIMITS)}, and, where they are to differ, {', '.join(TUNING)}"
        )

    def parse(self, text: str) -> object:
        """Read a JSON object. An empty text, object or list means no alerts."""
        value = read_json(text)
        return () if value in ([], {}) else value

    def accepts(self, value: object) -> bool:
        """Tell whether the value is a mapping that can be written as JSON; `problems` checks its fields."""
        return value == () or (isinstance(value, Mapping) and len(json.dumps(value, default=str)) <= MAX_TEXT_LENGTH)


def problems(alerts: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give a tuple for each fault: its place such as ``alerts.url``, what was expected there, and what came."""
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
    """Return the alerts as JSON, as the Worker reads them.

    Args:
        worker: the Worker's name, which the posts to the receiver carry.
        alerts: the setting.
    """
    told = {
        "worker": worker,
        "url": alerts["url"],
        "limits": {name: alerts[name] for name in LIMITS if name in alerts},
        **{name: alerts.get(name, usual) for name, (_, usual) in TUNING.items()},
    }
    return json.dumps(cast("Any", told), separators=(",", ":"))
