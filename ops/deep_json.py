"""JSON of any depth. A result may be nested more deeply than Python's own reader and writer can go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

_TOKEN = re.compile(r'[ \t\n\r]*(?:(?P<mark>[\[\]{},:])|(?P<single>"(?:[^"\\\x00-\x1f]|\\.)*"|[-\w.+]+))[ \t\n\r]*')
"""A bracket, comma or colon, or a value without nested values; Python's own reader checks the value."""

_MOST_DIGITS = 4_000
"""Python refuses to parse longer whole numbers (https://docs.python.org/3/library/stdtypes.html#int-max-str-digits)."""


def loads(text: str) -> Any:
    """Read JSON. Raises ValueError if the text is not JSON."""
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        return _read(text)


def dumps(value: Any, *, ensure_ascii: bool = False) -> str:
    """Write what `loads` gives as JSON, as `json.dumps` does."""
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii)
    except RecursionError:
        return "".join(_pieces(value, ensure_ascii=ensure_ascii))


def excerpt_of(value: object, length: int) -> str:
    """Return the beginning of a value's text, as JSON if it can be written as JSON."""
    try:
        text = repr(value)
    except RecursionError:
        text = dumps(value)
    return text[:length]


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


@dataclass
class _Open:
    """A list or object whose end has not been read yet."""

    container: list[Any] | dict[str, Any]
    wants: str
    """What must come next: a value, a key, a colon, a comma; in an empty container also its end."""
    key: str = ""

    def put(self, value: Any) -> None:
        """Add a value."""
        self.require("value", "value or end")
        if isinstance(self.container, list):
            self.container.append(value)
        else:
            self.container[self.key] = value
        self.wants = "comma"

    def require(self, *expected: str) -> None:
        """Raise ValueError if something else must come next."""
        if self.wants not in expected:
            raise ValueError(f"expected a {self.wants}")


def _read(text: str) -> Any:
    """Read JSON with an explicit stack instead of recursion."""
    whole: list[Any] = []
    stack = [_Open(whole, "value")]
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if not token:
            raise ValueError(f"expected JSON, got {text[position : position + 20]!r}")
        _take(stack, token["mark"], token["single"])
        position = token.end()
    if len(stack) > 1 or not whole:
        raise ValueError("expected JSON, got the beginning of it")
    return whole[0]


def _take(stack: list[_Open], mark: str | None, single: str | None) -> None:
    top = stack[-1]
    if single is not None:
        if top.wants in {"key", "key or end"}:
            top.key, top.wants = _key(single), "colon"
        else:
            top.put(json.loads(single, parse_int=_whole))
    elif mark == "[":
        top.put(inner := list[Any]())
        stack.append(_Open(inner, "value or end"))
    elif mark == "{":
        top.put(fields := dict[str, Any]())
        stack.append(_Open(fields, "key or end"))
    elif mark == ":":
        top.require("colon")
        top.wants = "value"
    elif mark == "," and len(stack) > 1:
        top.require("comma")
        top.wants = "key" if isinstance(top.container, dict) else "value"
    elif isinstance(top.container, list) == (mark == "]") and mark != "," and len(stack) > 1:
        top.require("comma", "value or end", "key or end")
        stack.pop()
    else:
        raise ValueError(f"expected a {top.wants}, got {mark}")


def _key(single: str) -> str:
    key = json.loads(single)
    if not isinstance(key, str):
        raise ValueError(f"expected a key, got {single:.20}")
    return key


def _pieces(value: Any, *, ensure_ascii: bool) -> Iterator[str]:
    """Write JSON with an explicit stack of what is still to be written, the next part last, instead of recursion."""
    left: list[tuple[bool, Any]] = [(True, value)]
    while left:
        is_value, each = left.pop()
        if not is_value:
            yield each
        elif isinstance(each, dict):
            yield "{"
            left.append((False, "}"))
            for at, (key, item) in reversed(list(enumerate(cast("dict[str, Any]", each).items()))):
                left.append((True, item))
                left.append((False, f"{', ' if at else ''}{json.dumps(key, ensure_ascii=ensure_ascii)}: "))
        elif isinstance(each, list):
            yield "["
            left.append((False, "]"))
            for at, item in reversed(list(enumerate(cast("list[Any]", each)))):
                left.append((True, item))
                left.append((False, ", " if at else ""))
        else:
            yield json.dumps(each, ensure_ascii=ensure_ascii)
