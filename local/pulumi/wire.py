"""Property values as Pulumi sends them, represented as plain JSON.

A secret is an object with Pulumi's signature around the value; an unknown (in previews) is Pulumi's sentinel string.
Numbers that are integral are ints, so that they are written and compared like integers.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeGuard

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

Properties: TypeAlias = dict[str, Any]

# Pulumi's wire protocol (sdk/go/common/resource/properties.go): the key that marks an object as special, and the mark
# of a secret.
_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 a signature, not a secret
_SECRET_VALUE_KEY = "value"  # noqa: S105

UNKNOWN: str = rpc.UNKNOWN


def is_object(value: object) -> TypeGuard[Properties]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Convert a protobuf struct to plain JSON; top-level nulls are dropped, as Pulumi does."""
    return {key: _from_value(value) for key, value in struct.fields.items() if value.WhichOneof("kind") != "null_value"}


def _from_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {key: _from_value(item) for key, item in value.struct_value.fields.items()}
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Convert plain JSON to the protobuf struct that the Pulumi SDK reads."""
    struct = struct_pb2.Struct()
    struct.update(dict(properties))
    return struct


def secret(value: Any) -> Any:
    """Mark a value as secret (once)."""
    if is_secret(value):
        return value
    return {_SIGNATURE_KEY: _SECRET_SIGNATURE, _SECRET_VALUE_KEY: reveal(value)}


def is_secret(value: Any) -> bool:
    """Whether this value itself is marked; a secret inside of it does not count."""
    return is_object(value) and value.get(_SIGNATURE_KEY) == _SECRET_SIGNATURE


def unwrap(value: Any) -> Any:
    """Remove the outermost secret mark."""
    return value[_SECRET_VALUE_KEY] if is_secret(value) else value


def rewrite(value: Any, change: Callable[[Any], Any]) -> Any:
    """Rebuild a value, with `change` applied to every node from the outside in."""
    value = change(value)
    if is_object(value):
        return {key: rewrite(item, change) for key, item in value.items()}
    if is_list(value):
        return [rewrite(item, change) for item in value]
    return value


def reveal(value: Any) -> Any:
    """Remove every secret mark, at any depth."""
    return rewrite(value, unwrap)


def hide(value: Any) -> Any:
    """Replace every secret by a word, to show it to people."""
    return rewrite(value, lambda node: "[secret]" if is_secret(node) else node)


def _any(value: Any, test: Callable[[Any], bool]) -> bool:
    found = False

    def look(node: Any) -> Any:
        nonlocal found
        found = found or test(node)
        return node

    rewrite(value, look)
    return found


def has_secret(value: Any) -> bool:
    """Whether the value contains a secret at any depth."""
    return _any(value, is_secret)


def has_unknown(value: Any) -> bool:
    """Whether the value contains an unknown at any depth."""
    return _any(value, lambda node: node == UNKNOWN)


def mark_like(value: Any, pattern: Any) -> Any:
    """Mark as secret in `value` (plain) what is marked in `pattern`; in doubt, mark more."""
    if is_secret(pattern):
        return secret(value)
    if is_object(value) and is_object(pattern):
        return {key: mark_like(item, pattern.get(key)) for key, item in value.items()}
    if is_list(value) and is_list(pattern) and len(value) == len(pattern):
        return [mark_like(item, mark) for item, mark in zip(value, pattern, strict=True)]
    return secret(value) if has_secret(pattern) else value
