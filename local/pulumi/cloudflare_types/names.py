"""Converts property names between Pulumi's camelCase and the API's snake_case."""

import re
from collections.abc import Callable, Collection
from typing import Any

from local.pulumi.wire import Properties, is_list, is_object

_CAPITAL = re.compile(r"(?<!^)([A-Z])")
_BREAK = re.compile(r"[_/]([a-z0-9])")


def to_snake(properties: Properties, verbatim_maps: Collection[str] = ()) -> Properties:
    """Rename keys at every depth, except the keys directly inside of `verbatim_maps` (camelCase)."""
    return _rename(properties, lambda name: _CAPITAL.sub(r"_\1", name).lower(), verbatim_maps)


def to_camel(properties: Properties, verbatim_maps: Collection[str] = ()) -> Properties:
    """Rename keys at every depth, except the keys directly inside of `verbatim_maps` (camelCase)."""
    return _rename(properties, lambda name: _BREAK.sub(lambda match: match[1].upper(), name), verbatim_maps)


def _rename(value: Any, rename: Callable[[str], str], verbatim_maps: Collection[str]) -> Any:
    if is_list(value):
        return [_rename(item, rename, verbatim_maps) for item in value]
    if not is_object(value):
        return value
    renamed: Properties = {}
    for key, item in value.items():
        new = rename(key)
        if {key, new} & set(verbatim_maps) and is_object(item):
            renamed[new] = {word: _rename(inner, rename, verbatim_maps) for word, inner in item.items()}
        else:
            renamed[new] = _rename(item, rename, verbatim_maps)
    return renamed
