"""Reads every resource from the API, and updates the state."""

import time
from collections import Counter
from collections.abc import Callable

from local.pulumi.diff import compare
from local.pulumi.errors import ApiError, DeployError, StepError
from local.pulumi.resource_types import Found, ResourceTypes
from local.pulumi.state import Resource, State
from local.pulumi.steps import Action, Display, Step
from local.pulumi.urn import label
from local.pulumi.wire import mark_like


def refresh(
    state: State, save: Callable[[State], None], types: ResourceTypes, display: Display, stopped: Callable[[], bool]
) -> Counter[Action]:
    """Read each resource: a missing one is removed from the state, changed inputs replace those in it.

    `save` is called after each change. Raises StepError at the first resource that cannot be read.
    """
    tally: Counter[Action] = Counter()
    for resource in list(state.resources):
        if stopped():
            break
        if not resource.is_real:
            continue
        began = time.monotonic()
        display.started(Step(Action.READ, resource.urn))
        try:
            found = types.get(resource.type).read(resource)
        except (ApiError, DeployError) as error:
            display.failed(Step(Action.READ, resource.urn), time.monotonic() - began)
            raise StepError(resource.urn, f"{label(resource.urn)}: {error}") from error
        step = _apply(state, resource, found)
        save(state)
        tally[step.action] += 1
        display.finished(step, time.monotonic() - began)
    return tally


def _apply(state: State, resource: Resource, found: Found | None) -> Step:
    if found is None:
        state.resources.remove(resource)
        return Step(Action.DELETE, resource.urn, note="gone")
    inputs = mark_like(found.inputs, resource.inputs)
    changes = compare(resource.inputs, inputs) or found.drift
    resource.id = found.id
    resource.inputs = inputs
    resource.outputs = mark_like(found.outputs, {**resource.outputs, **inputs})
    return Step(Action.UPDATE if changes else Action.SAME, resource.urn, changes)
