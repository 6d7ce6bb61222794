"""Converts JSON objects: reads replies strictly, and writes objects with the API's names of fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, cast

from ops.deep_json import excerpt_of
from ops.errors import UnexpectedReplyError

T = TypeVar("T")


@dataclass(frozen=True)
class JsonObject:
    """An object of a reply. Each reader raises UnexpectedReplyError if its key is missing or has another type."""

    values: Mapping[str, Any]
    name: str

    @classmethod
    def of(cls, value: object, name: str) -> JsonObject:
        """Convert a value that must be an object; `name` is for error messages."""
        if not isinstance(value, dict):
            raise _unexpected(name, "an object", value)
        return cls(cast("dict[str, Any]", value), name)

    def text(self, key: str) -> str:
        """Read a string."""
        return self._read(key, str, "a string")

    def truth(self, key: str) -> bool:
        """Read a boolean."""
        return self._read(key, bool, "a boolean")

    def integer(self, key: str) -> int:
        """Read a whole number."""
        return self._read(key, int, "a whole number")

    def number(self, key: str) -> float:
        """Read any number."""
        return self._read(key, (int, float), "a number")

    def time(self, key: str) -> datetime:
        """Read a time, which must have a UTC offset."""
        text = self.text(key)
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise _unexpected(f"{self.name}.{key}", "an ISO 8601 time", text) from error
        if time.tzinfo is None:
            raise _unexpected(f"{self.name}.{key}", "a time with its offset", text)
        return time

    def object(self, key: str) -> JsonObject:
        """Read an object."""
        return JsonObject.of(self.anything(key), f"{self.name}.{key}")

    def objects(self, key: str) -> list[JsonObject]:
        """Read a list of objects."""
        items: list[object] = self._read(key, list, "a list")
        return [JsonObject.of(item, f"{self.name}.{key}[{index}]") for index, item in enumerate(items)]

    def optional(self, read: Callable[[str], T], key: str) -> T | None:
        """Read with one of the other readers; return None if the value is null."""
        return None if self.anything(key) is None else read(key)

    def anything(self, key: str) -> Any:
        """Read a value of any type."""
        if key not in self.values:
            raise UnexpectedReplyError(
                f"expected {self.name}.{key} in the reply, got {', '.join(self.values) or 'none'}"
            )
        return self.values[key]

    def _read(self, key: str, kind: type[Any] | tuple[type[Any], ...], expected: str) -> Any:
        value = self.anything(key)
        is_truth_for_a_number = isinstance(value, bool) and kind is not bool
        if not isinstance(value, kind) or is_truth_for_a_number:
            raise _unexpected(f"{self.name}.{key}", expected, value)
        return value


def to_json(value: Any) -> Any:
    """Convert a dataclass, or a list of them, to the API's JSON: keys in camelCase, times in UTC with milliseconds."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {camel_case(field.name): to_json(getattr(value, field.name)) for field in fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, tuple):
        return [to_json(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, list):  # dataclasses; or plain JSON, which may be too deep for this function's recursion
        items = cast("list[Any]", value)
        return [to_json(item) if dataclasses.is_dataclass(item) else item for item in items]
    return value


def camel_case(name: str) -> str:
    """Convert a snake_case name to camelCase, as the API writes names."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _unexpected(where: str, expected: str, value: object) -> UnexpectedReplyError:
    got = "nothing" if value is None else excerpt_of(value, 60)
    return UnexpectedReplyError(f"expected {expected} for {where} in the reply, got {got}")
