"""Schedules of the stack: which fields they have, and how the Worker receives them."""

# No postponed annotations here: Pulumi reads the types of the fields to give the component to other languages.

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from .rules import MAX_TEXT_LENGTH, URL, OneOf, Pattern, Rule, WholeNumber, read_json
from .toolchain import WORKER_FOLDER, find_toolchain, run_node


class Schedule(TypedDict):
    """A schedule with the fields of `PUT /schedules/NAME`: either ``cron`` or ``every_seconds`` says when it ticks."""

    name: str
    """A lower-case letter, then up to 63 of those, digits, ``-`` or ``_``."""
    cron: NotRequired[str]
    """Five fields: minute, hour, day, month, weekday."""
    timezone: NotRequired[str]
    """The time zone of ``cron``, an IANA name such as Europe/Berlin. The default is UTC."""
    every_seconds: NotRequired[int]
    """60 to 31,536,000; the ticks are its multiples since 1970."""
    overlap: NotRequired[str]
    """What happens at a tick while the last task has not ended: ``skip`` (the default) makes no task, ``allow`` makes
    one.
    """
    missed: NotRequired[str]
    """What to do about missed ticks: ``skip``, ``last`` (the default) or ``all``."""
    handler: NotRequired[str]
    """The handler that does the work. The default is ``default``."""
    payload: NotRequired[Any]
    """The payload: a string unchanged, anything else as JSON."""
    payload_base64: NotRequired[str]
    """The payload's bytes in base64, instead of ``payload``."""
    parameters: NotRequired[Mapping[str, str]]
    """The handler's parameters."""
    delay_seconds: NotRequired[int]
    """The delay before the first attempt: 0 to 86,400."""
    ttl_seconds: NotRequired[int]
    """How long each task is kept: 60 to 604,800."""
    max_retries: NotRequired[int]
    """How often a failed attempt is retried: 0 to 100."""
    group: NotRequired[str]
    """A key; tasks with the same key share limits."""
    tags: NotRequired[Mapping[str, str]]
    """Up to 8 tags, by which its tasks can be found."""
    priority: NotRequired[str]
    """``high``, ``normal`` or ``low``."""
    callback_url: NotRequired[str]
    """The URL that is called when the task has ended, at a host of ``http_allowed_hosts``."""
    on: NotRequired[Sequence[str]]
    """For which ends it is called: some of ``completed``, ``failed`` and ``cancelled``."""


@dataclass(frozen=True)
class Check:
    """A field of a schedule: its name in the API, what is expected, and a check of values."""

    api_name: str
    expected: str
    accepts: Callable[[object], bool]


def _ruled(api_name: str, rule: Rule) -> Check:
    return Check(api_name, rule.expected, rule.accepts)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True


def _are_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(each, str) for pair in cast("Mapping[object, object]", value).items() for each in pair
    )


MAX_TAGS = 8
MAX_TAGS_LENGTH = 400


def _are_tags(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    tags = cast("Mapping[object, object]", value)
    texts = [each for pair in tags.items() for each in pair if isinstance(each, str)]
    forms = (r"[A-Za-z][A-Za-z0-9_.-]{0,31}", r"[!#-\[\]-~]{1,64}")
    return (
        len(texts) == 2 * len(tags) <= 2 * MAX_TAGS
        and all(re.fullmatch(forms[index % 2], text) for index, text in enumerate(texts))
        and sum(map(len, texts)) <= MAX_TAGS_LENGTH
    )


ENDS = ("completed", "failed", "cancelled")


def _are_ends(value: object) -> bool:
    ends = cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()
    return 0 < len(ends) == len(set(map(str, ends))) and all(each in ENDS for each in ends)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


# The ranges are those of `worker/task.js`, `worker/tags.js`, `worker/group.js` and `worker/api/schedules.js`.
CHECKS: Mapping[str, Check] = {
    "name": _ruled(
        "name", Pattern(r"[a-z][a-z0-9_-]{0,63}", "a lower-case letter, then up to 63 of those, digits, - or _")
    ),
    "cron": Check("cron", 'five fields (minute hour day month weekday) such as "0 9 * * 1-5"', _is_text),
    "timezone": Check("timezone", "an IANA time zone such as Europe/Berlin", _is_text),
    "every_seconds": _ruled("everySeconds", WholeNumber(60, 31_536_000)),
    "overlap": _ruled("overlap", OneOf(("skip", "allow"))),
    "missed": _ruled("missed", OneOf(("skip", "last", "all"))),
    "handler": _ruled("handler", Pattern(r"[a-z][a-z0-9_-]{0,63}", "the name of a handler")),
    "payload": Check("payload", "what JSON can hold", _is_json),
    "payload_base64": Check("payloadBase64", "base64 (RFC 4648)", _is_base64),
    "parameters": Check("parameters", "a mapping of texts to texts", _are_texts),
    "delay_seconds": _ruled("delaySeconds", WholeNumber(0, 86_400)),
    "ttl_seconds": _ruled("ttlSeconds", WholeNumber(60, 604_800)),
    "max_retries": _ruled("maxRetries", WholeNumber(0, 100)),
    "group": _ruled("group", Pattern(r"[!-~]{1,128}", "1 to 128 visible ASCII characters")),
    "tags": Check(
        "tags",
        f"a mapping of at most {MAX_TAGS} tags: keys of a letter and up to 31 letters, digits, _, . or -, "
        f'values of 1 to 64 visible ASCII characters without " and \\, {MAX_TAGS_LENGTH} characters in all',
        _are_tags,
    ),
    "priority": _ruled("priority", OneOf(("high", "normal", "low"))),
    "callback_url": _ruled("callbackUrl", Pattern(URL, "a URL such as https://api.example/ended", optional=True)),
    "on": Check("on", f"a list of some of {', '.join(ENDS)}", _are_ends),
}

MAX_SCHEDULES = 100
"""The largest number of schedules, those made by the API included."""


@dataclass(frozen=True)
class Schedules:
    """The rule for the stack's schedules: a list of mappings."""

    @property
    def expected(self) -> str:
        """The form, and how many schedules there may be."""
        return (
            f"a list of at most {MAX_SCHEDULES} schedules, each a mapping of {', '.join(CHECKS)}; "
            f"{MAX_TEXT_LENGTH:,} characters as JSON in all"
        )

    def parse(self, text: str) -> object:
        """Read a JSON array."""
        value = read_json(text)
        return tuple(cast("list[Any]", value)) if isinstance(value, list) else value

    def accepts(self, value: object) -> bool:
        """Tell whether it is a list of mappings that can be written as JSON; `problems` checks their fields."""
        if not isinstance(value, list | tuple):
            return False
        items = cast("Sequence[object]", value)
        if len(items) > MAX_SCHEDULES or not all(isinstance(each, Mapping) for each in items):
            return False
        return not all(map(_is_json, items)) or len(as_json(cast("Any", items))) <= MAX_TEXT_LENGTH


def as_json(schedules: Sequence[Mapping[str, Any]]) -> str:
    """Return the schedules as JSON for the Worker, with the API's names of the fields."""
    told = [{_api_name(key): value for key, value in each.items()} for each in schedules]
    return json.dumps(told, separators=(",", ":"))


def _api_name(key: str) -> str:
    return CHECKS[key].api_name if key in CHECKS else key


def problems(schedules: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Give a tuple for each fault: its place such as ``schedules[0].cron``, what was expected there, and what came."""
    names = [each.get("name") for each in schedules]
    for index, schedule in enumerate(schedules):
        place = f"schedules[{index}]"
        for key, value in schedule.items():
            if key not in CHECKS:
                yield place, f"expected fields of {', '.join(CHECKS)}", repr(key)
            elif not CHECKS[key].accepts(value):
                yield f"{place}.{key}", f"expected {CHECKS[key].expected}", repr(value)
        if "name" not in schedule:
            yield f"{place}.name", f"expected {CHECKS['name'].expected}", "nothing"
        elif names.index(schedule["name"]) < index:
            yield f"{place}.name", "expected another name than those before", repr(schedule["name"])
        yield from ((f"{place}.{key}", expected, got) for key, expected, got in _contradictions(schedule))


def _contradictions(schedule: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if ("cron" in schedule) == ("every_seconds" in schedule):
        yield "cron", "expected either cron or every_seconds", "both" if "cron" in schedule else "neither"
    if "every_seconds" in schedule and schedule.get("timezone", "UTC") != "UTC":
        zone = repr(schedule["timezone"])
        yield "timezone", "expected to be unset with every_seconds, whose ticks are the same in each", zone
    if schedule.get("missed") == "all" and schedule.get("overlap", "skip") == "skip":
        yield "overlap", "expected allow with missed all: of several ticks at once skip makes one task only", "skip"
    if "payload" in schedule and "payload_base64" in schedule:
        yield "payload", "expected to be alone, without payload_base64", "both"


def require_known_to_the_worker(schedules: Sequence[Mapping[str, Any]], handlers: Sequence[str]) -> None:
    """Check what only the Worker's code knows: its handlers, and which cron expressions and time zones croner takes.

    Args:
        schedules: their fields are known values or outputs; the Worker checks outputs.
        handlers: the names of the Worker's handlers.

    Raises:
        pulumi.RunError: the Worker would refuse some schedules; the message lists all of them.
    """
    asked = [{key: each[key] for key in ("cron", "timezone") if isinstance(each.get(key), str)} for each in schedules]
    request = {"toolchain": str(find_toolchain()), "workerFolder": str(WORKER_FOLDER), "schedules": asked}
    answer = run_node(Path(__file__).with_name("bundle") / "check_schedules.js", request)
    faults = [f"schedules[{each['index']}].{each['field']}: {each['fault']}" for each in answer["faults"]]
    for index, schedule in enumerate(schedules):
        handler = schedule.get("handler", "default")
        if isinstance(handler, str) and handler not in handlers:
            faults.append(f"schedules[{index}].handler: expected one of {', '.join(handlers)}, got {handler!r}")
    if faults:
        raise pulumi.RunError("\n".join(faults))


def field_of(place: str) -> str:
    """Return the setting that contains a place such as ``schedules[0].cron``."""
    return re.split(r"[.\[]", place, maxsplit=1)[0]
