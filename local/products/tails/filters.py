"""Filters of a tail, as wrangler sends them (workers-sdk, wrangler/src/tail/filters.ts)."""

import ipaddress
import json
import random
from collections.abc import Callable
from typing import Any

from local.api.envelope import Json
from local.api.fields import Fields
from local.products.tails.subscribers import Event

_SELF = "self"  # in a filter of client addresses: the listener itself, which is on this computer

Filter = dict[str, Any]  # one condition or more; all must match


def read_filter(part: Fields) -> Filter:
    """Read one filter. Raises ApiError."""
    beyond = set(part.values) - set(_READERS)
    if beyond:
        raise part.wrong(min(beyond), "Unknown filter")
    return {name: read(part, name) for name, read in _READERS.items() if part.has(name)}


def passes(event: Event, filters: list[Filter]) -> bool:
    """Tell whether an event matches all filters."""
    return all(_CHECKS[name](event, wanted) for one in filters for name, wanted in one.items())


def _rate(part: Fields, name: str) -> Json:
    return part.number(name, 0, 1)


def _texts(part: Fields, name: str) -> Json:
    return part.texts(name)


def _text(part: Fields, name: str) -> Json:
    return part.text(name)


def _header(part: Fields, name: str) -> Json:
    header = part.fields(name) or Fields({}, part.invalid)
    return {"key": header.required_text("key"), "query": header.text("query") or ""}


def _samples(_: Event, rate: float) -> bool:
    return random.random() < rate  # noqa: S311 nothing secret


def _has_outcome(event: Event, outcomes: list[str]) -> bool:
    return event["outcome"] in outcomes


def _has_method(event: Event, methods: list[str]) -> bool:
    return _request(event).get("method") in methods


def _has_header(event: Event, wanted: dict[str, str]) -> bool:
    value = _headers(event).get(wanted["key"].lower())
    return value is not None and wanted["query"] in value


def _comes_from(event: Event, addresses: list[str]) -> bool:
    address = _headers(event).get("cf-connecting-ip", "")
    return address in addresses or (_SELF in addresses and _is_this_machine(address))


def _says(event: Event, text: str) -> bool:
    return any(text in _written(part) for log in event["logs"] for part in log["message"])


def _is_of_version(event: Event, version_id: str) -> bool:
    return event["scriptVersion"]["id"] == version_id


_READERS: dict[str, Callable[[Fields, str], Json]] = {
    "sampling_rate": _rate,
    "outcome": _texts,
    "method": _texts,
    "header": _header,
    "client_ip": _texts,
    "query": _text,
    "scriptVersion": _text,
}
_CHECKS: dict[str, Callable[[Event, Any], bool]] = {
    "sampling_rate": _samples,
    "outcome": _has_outcome,
    "method": _has_method,
    "header": _has_header,
    "client_ip": _comes_from,
    "query": _says,
    "scriptVersion": _is_of_version,
}


def _request(event: Event) -> dict[str, Any]:
    """Return the request of an event; an empty one if the event is not of a request."""
    about: dict[str, Any] = event["event"] or {}
    return about.get("request", {})


def _headers(event: Event) -> dict[str, str]:
    headers: dict[str, str] = _request(event).get("headers", {})
    return {name.lower(): value for name, value in headers.items()}


def _written(part: Json) -> str:
    return part if isinstance(part, str) else json.dumps(part)


def _is_this_machine(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
