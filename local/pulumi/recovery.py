"""Recovers from an interrupted deployment: asks the API how each pending step ended, and corrects the state."""

from datetime import datetime, timedelta

from local.pulumi.resource_types import Found, ResourceType, ResourceTypes
from local.pulumi.state import PendingOperation, Resource, State
from local.pulumi.urn import label
from local.pulumi.wire import mark_like, reveal

# By how much an object's creation may seem to be earlier than the step (clocks, rounding to seconds).
_CLOCK_SLACK = timedelta(seconds=2)


def settle_pending(state: State, types: ResourceTypes) -> list[str]:
    """Resolve every pending operation of the state, and return what was found, one sentence for each.

    Only reads from the API. Raises DeployError if the API does not answer.
    """
    notes: list[str] = []
    while state.pending:
        pending = state.pending[0]
        resource_type = types.get(pending.resource.type)
        settle = _settle_create if pending.operation == "create" else _settle_change
        found = settle(state, pending, resource_type)
        notes.append(f"{label(pending.resource.urn)}: its {pending.operation} was interrupted; {found}")
        state.pending.remove(pending)
    return notes


def _settle_create(state: State, pending: PendingOperation, resource_type: ResourceType) -> str:
    """Adopt the object if it was created: it must have the same unique name, and not be older than the step."""
    wanted = pending.resource
    found = resource_type.find(reveal(wanted.inputs))
    former = state.find(wanted.urn)
    is_former = former is not None and found is not None and former.id == found.id
    if not found or is_former or not _made_since(pending.started, resource_type.created_at(found)):
        return "nothing that it made was found"
    if former:
        former.replaced = True
    _store(wanted, found)
    state.resources.append(wanted)
    return f"it was made (id {found.id}) and is taken over"


def _settle_change(state: State, pending: PendingOperation, resource_type: ResourceType) -> str:
    """Read what an update or a delete has left."""
    subject = (pending.resource.urn, pending.resource.id)
    resource = next((item for item in state.resources if (item.urn, item.id) == subject), None)
    if resource is None:
        return "nothing is left of it"
    found = resource_type.read(resource)
    if found is None:
        state.resources.remove(resource)
        return "it is gone"
    _store(resource, found)
    return "its state was read again"


def _store(resource: Resource, found: Found) -> None:
    resource.id = found.id
    resource.inputs = mark_like(found.inputs, resource.inputs)
    resource.outputs = mark_like(found.outputs, {**resource.outputs, **resource.inputs})


def _made_since(started: str, created_at: str) -> bool:
    if not created_at:
        return False
    return datetime.fromisoformat(created_at) >= datetime.fromisoformat(started) - _CLOCK_SLACK
