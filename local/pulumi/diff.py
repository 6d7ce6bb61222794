"""The differences between two sets of inputs, path by path."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from local.pulumi.wire import Properties, has_secret, is_list, is_object, is_secret, unwrap

# Steps from the top: object keys, list positions, or (in keyed lists) the name of the element.
Path: TypeAlias = tuple[str | int, ...]

_PATH_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+|\*)\]|([^.\[]+)')
_ANY = "*"


@dataclass(frozen=True)
class Change:
    """One input that differs; `old` or `new` is None if it is absent. Secrets in them stay marked."""

    path: Path
    old: Any
    new: Any
    replaces: bool = False
    secret: bool = False

    @property
    def where(self) -> str:
        """The path in a readable form: `settings.maxRetries`, `modules[index.js].contentBase64`."""
        text = ""
        for step in self.path:
            plain = isinstance(step, str) and step.isidentifier()
            text += (f".{step}" if text else step) if isinstance(step, str) and plain else f"[{step}]"
        return text


@dataclass(frozen=True)
class Diff:
    """The differences between a deployed resource and what the program wants; without any there is nothing to do."""

    changes: tuple[Change, ...] = ()
    delete_before_replace: bool = False

    @property
    def replaces(self) -> bool:
        """Whether the resource must be replaced."""
        return any(change.replaces for change in self.changes)

    def replacing_on(self, patterns: Collection[str]) -> "Diff":
        """Make a change below any of these property paths a replacement (the option replace_on_changes)."""
        paths = [parse_path(pattern) for pattern in patterns]
        changes = tuple(
            replace(change, replaces=change.replaces or any(_overlap(path, change.path) for path in paths))
            for change in self.changes
        )
        return replace(self, changes=changes)


def compare(
    old: Mapping[str, Any], new: Mapping[str, Any], keyed_lists: Mapping[str, str] | None = None
) -> tuple[Change, ...]:
    """Return the differences; absent and null are the same.

    `keyed_lists` names top-level lists whose order has no meaning, each with the property that identifies an element.
    """
    keyed = keyed_lists or {}
    changes: list[Change] = []
    for key in _ordered_keys(old, new):
        old_value, new_value, hidden = _unwrapped(old.get(key), new.get(key))
        if key in keyed:
            old_value, new_value = _by_key(old_value, keyed[key]), _by_key(new_value, keyed[key])
        changes += _compare((key,), old_value, new_value, hidden)
    return tuple(changes)


def _compare(path: Path, old: Any, new: Any, hidden: bool) -> list[Change]:
    old, new, secret_here = _unwrapped(old, new)
    hidden = hidden or secret_here
    if is_object(old) and is_object(new):
        return [
            change
            for key in _ordered_keys(old, new)
            for change in _compare((*path, key), old.get(key), new.get(key), hidden)
        ]
    if is_list(old) and is_list(new):
        return [
            change
            for index in range(max(len(old), len(new)))
            for change in _compare((*path, index), _item(old, index), _item(new, index), hidden)
        ]
    if old == new:
        return []
    return [Change(path, old, new, secret=hidden or has_secret(old) or has_secret(new))]


def _unwrapped(old: Any, new: Any) -> tuple[Any, Any, bool]:
    return unwrap(old), unwrap(new), is_secret(old) or is_secret(new)


def _ordered_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*new, *old]))


def _item(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _by_key(value: Any, key: str) -> Any:
    """Convert a list to an object by its elements' names; return it unchanged if that would lose elements."""
    if not is_list(value):
        return value
    named = {str(unwrap(item.get(key))): item for item in value if is_object(item)}
    return named if len(named) == len(value) else value


def parse_path(pattern: str) -> Path:
    """Parse a property path in the syntax of Pulumi's options: `a.b[0]["c"]`, with * for any step."""
    steps: list[str | int] = []
    for quoted, index, plain in _PATH_STEP.findall(pattern):
        steps.append(int(index) if index.isdigit() else quoted or index or plain)
    return tuple(steps)


def _overlap(pattern: Path, path: Path) -> bool:
    """Tell whether one of the paths contains the other."""
    return all(_ANY in (wanted, step) or wanted == step for wanted, step in zip(pattern, path, strict=False))


def keep_old(old: Mapping[str, Any], new: Mapping[str, Any], patterns: Collection[str]) -> Properties:
    """Return the new inputs with the old values at these property paths (the option ignore_changes)."""
    result: Properties = dict(new)
    for pattern in patterns:
        path = parse_path(pattern)
        if path == (_ANY,):
            return dict(old)
        result = _with_old(old, result, path)
    return result


def _with_old(old: Any, new: Any, path: Path) -> Any:
    """Copy `old` at `path` over `new`; everything outside of the path is unchanged."""
    step, rest = path[0], path[1:]
    old, new = unwrap(old) if rest else old, unwrap(new) if rest else new
    if is_list(old) and is_list(new):
        return [
            _with_old_item(old[i], item, rest) if step in (i, _ANY) and i < len(old) else item
            for i, item in enumerate(new)
        ]
    if not (is_object(old) and is_object(new)):
        return new
    result = dict(new)
    for key in [*old, *new] if step == _ANY else [str(step)]:
        if key in old and (key in new or not rest):
            result[key] = _with_old_item(old[key], new.get(key), rest)
        elif not rest:
            result.pop(key, None)
    return result


def _with_old_item(old: Any, new: Any, rest: Path) -> Any:
    return _with_old(old, new, rest) if rest else old
