"""Finds the data that a deployment would delete."""

from collections.abc import Iterable

from local.pulumi.errors import ApiError
from local.pulumi.resource_types import ResourceTypes
from local.pulumi.state import State
from local.pulumi.steps import Action, Step
from local.pulumi.urn import label


def lost_data(steps: Iterable[Step], state: State, planned: State, types: ResourceTypes) -> list[str]:
    """Return the resources with data that these steps delete or replace, with that data: `Queue a (5 messages)`.

    `state` is the present state, `planned` the future one. Retained resources keep their data. A store that no longer
    exists has none. It only reads from the API.
    """
    lost: list[str] = []
    for urn in dict.fromkeys(step.urn for step in steps if step.action in (Action.DELETE, Action.REPLACE)):
        resource = state.find(urn)
        if resource is None or not resource.is_real or resource.retain_on_delete:
            continue
        successor = planned.find(urn)
        try:
            held = types.get(resource.type).contents(resource, None if successor is None else successor.inputs)
        except ApiError as error:
            held = "" if error.status else f"nobody knows what: {error}"
        if held:
            lost.append(f"{label(urn)} ({held})")
    return lost
