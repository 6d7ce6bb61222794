"""Combines configured values and the API's replies as the provider does, for all types."""

from collections.abc import Collection, Mapping
from typing import Any

from local.pulumi.wire import Properties, is_list, is_object


def complete(inputs: Properties, reply: Properties, keyed_lists: Mapping[str, str]) -> Properties:
    """Add to the inputs everything else that the API returns; a configured value wins over the API's."""
    return {
        key: _completed(inputs.get(key), reply.get(key), keyed_lists.get(key, ""))
        for key in [*inputs, *(key for key in reply if key not in inputs)]
    }


def _completed(configured: Any, told: Any, key: str = "") -> Any:
    if configured is None:
        return told
    if is_object(configured) and is_object(told):
        return complete(configured, told, {})
    if is_list(configured) and is_list(told):
        return [_completed(item, _partner(item, index, told, key)) for index, item in enumerate(configured)]
    return configured


def project(
    inputs: Properties, reply: Properties, fixed: Collection[str], keyed_lists: Mapping[str, str]
) -> Properties:
    """Return the inputs that would create the object as the API shows it, with configured attributes only.

    An attribute that the API does not show is dropped, so that the next deployment sets it again. `fixed` ones are
    kept.
    """
    now: Properties = {}
    for key, value in inputs.items():
        seen = value if key in fixed else _projected(value, reply.get(key), keyed_lists.get(key, ""))
        if seen is not None:
            now[key] = seen
    return now


def _projected(configured: Any, shown: Any, key: str = "") -> Any:
    if is_object(configured) and is_object(shown):
        return project(configured, shown, (), {})
    if is_list(configured) and is_list(shown):
        if not key:
            return [_projected(_partner(item, index, configured, ""), item) for index, item in enumerate(shown)]
        partners = [(item, _partner(item, index, shown, key)) for index, item in enumerate(configured)]
        known = [_projected(item, partner) for item, partner in partners if partner is not None]
        return known + [item for item in shown if _partner(item, -1, configured, key) is None]
    return shown


def _partner(item: Any, index: int, others: list[Any], key: str) -> Any:
    """Find the element of another list that corresponds to this one: by its key, or else by its position."""
    if not key:
        return others[index] if index < len(others) else None
    return next((other for other in others if other.get(key) == item.get(key)), None)


def carry_removals(old: Any, new: Any) -> Any:
    """Add an explicit null for each attribute that was sent before and is not sent any more."""
    if not (is_object(old) and is_object(new)):
        return new
    nulls: Properties = dict.fromkeys(key for key in old if key not in new)
    return {**{key: carry_removals(old.get(key), value) for key, value in new.items()}, **nulls}
