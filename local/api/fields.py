"""Reads the fields of a request body one by one.

Errors have the words of the validator behind Cloudflare's API (recorded: "Invalid property: name => Required",
"Expected object, received string"). Each product has its own code and sentence around them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from local.api.envelope import ApiError, Json

Invalid = Callable[[str, str], ApiError]  # (path of the field, what is wrong with it) -> the product's error


class Fields:
    """A JSON object of a request. A field that is missing or null reads as None."""

    def __init__(self, value: Json, invalid: Invalid, path: str = "") -> None:
        if not isinstance(value, dict):
            raise invalid(path, _expected("object", value))
        self.values = cast("Mapping[str, Any]", value)
        self.invalid = invalid
        self._path = path

    def path(self, name: str) -> str:
        """Return the path of a field from the body's root: settings.batch_size."""
        return f"{self._path}.{name}" if self._path else name

    def wrong(self, name: str, problem: str) -> ApiError:
        """Make the product's error about one field."""
        return self.invalid(self.path(name), problem)

    def has(self, name: str) -> bool:
        """Tell whether a field exists and is not null."""
        return self.values.get(name) is not None

    def required(self, name: str) -> Json:
        """Read a required field of any type."""
        if name not in self.values:
            raise self.wrong(name, "Required")
        return self.values[name]

    def text(self, name: str) -> str | None:
        """Read a string."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, _expected("string", value))
        return value

    def required_text(self, name: str) -> str:
        """Read a required string that is not empty."""
        text = self.text(name)
        if text is None:
            raise self.wrong(name, "Required")
        if not text:
            raise self.wrong(name, "String must contain at least 1 character(s)")
        return text

    def choice(self, name: str, options: Iterable[str]) -> str | None:
        """Read a string that must be one of the options."""
        text = self.text(name)
        if text is not None and text not in options:
            raise self.wrong(name, f"Invalid enum value. Expected {one_of(options)}")
        return text

    def flag(self, name: str) -> bool | None:
        """Read a boolean."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, _expected("boolean", value))
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """Read a number between two bounds, both included."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, _expected("number", value))
        if value < low:
            raise self.wrong(name, f"Number must be greater than or equal to {_plain(low)}")
        if value > high:
            raise self.wrong(name, f"Number must be less than or equal to {_plain(high)}")
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Read a whole number between two bounds, both included; 5.0 is accepted, because JSON has no integers."""
        value = self.number(name, low, high)
        if value is not None and value != int(value):
            raise self.wrong(name, "Expected integer, received float")
        return None if value is None else int(value)

    def fields(self, name: str) -> "Fields | None":
        """Read an object."""
        value = self.values.get(name)
        return None if value is None else Fields(value, self.invalid, self.path(name))

    def required_fields(self, name: str) -> "Fields":
        """Read a required object."""
        found = self.fields(name)
        if found is None:
            raise self.wrong(name, "Required")
        return found

    def required_choice(self, name: str, options: Iterable[str]) -> str:
        """Read a required string that must be one of the options."""
        self.required_text(name)
        return str(self.choice(name, options))

    def items(self, name: str) -> list[Json] | None:
        """Read an array."""
        value = self.values.get(name)
        return None if value is None else array(value, self.invalid, self.path(name))

    def texts(self, name: str) -> list[str] | None:
        """Read an array of strings."""
        items = self.items(name)
        for index, item in enumerate(items or []):
            if not isinstance(item, str):
                raise self.wrong(f"{name}.{index}", _expected("string", item))
        return items

    def objects(self, name: str) -> "list[Fields] | None":
        """Read an array of objects."""
        items = self.items(name)
        if items is None:
            return None
        return [Fields(item, self.invalid, self.path(f"{name}.{index}")) for index, item in enumerate(items)]


def unparsable(path: str, problem: str) -> ApiError:
    """Return the error for an invalid body in the API of Workers, queues, tails, routes and domains."""
    return ApiError(400, 10026, f"Could not parse request body: {path or 'body'}: {problem}")


def array(value: Json, invalid: Invalid, path: str = "") -> list[Json]:
    """Read an array: a whole body, or the field at a path."""
    if not isinstance(value, list):
        raise invalid(path, _expected("array", value))
    return cast("list[Json]", value)


def objects(items: Iterable[Json], invalid: Invalid) -> list[Fields]:
    """Read objects, each named by its position."""
    return [Fields(item, invalid, str(index)) for index, item in enumerate(items)]


def given(values: dict[str, Json]) -> dict[str, Json]:
    """Drop the values that are None."""
    return {name: value for name, value in values.items() if value is not None}


def read_with(reader: "Callable[[Fields], dict[str, Json]]", part: "Fields | None") -> dict[str, Json] | None:
    """Return a reader of an object that may be missing."""
    return None if part is None else reader(part)


def one_of(options: Iterable[str]) -> str:
    """Write options as the API's validator does: 'a' | 'b'."""
    return " | ".join(f"'{option}'" for option in options)


def type_name(value: Json) -> str:
    """Name the JSON type of a value."""
    if value is None:
        return "null"
    kinds = ((bool, "boolean"), (int | float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _expected(wanted: str, value: Json) -> str:
    return f"Expected {wanted}, received {type_name(value)}"
