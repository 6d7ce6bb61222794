"""The state of a deployed stack."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from local.pulumi.urn import PROVIDER_TYPE_PREFIX
from local.pulumi.wire import Properties

Operation = Literal["create", "update", "delete"]


def timestamp() -> str:
    """Return the present time in the state file's format."""
    return datetime.now(UTC).isoformat()


@dataclass
class Resource:
    """A deployed resource. `inputs` and `outputs` keep their secret marks; `replaced` ones only wait for deletion."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict[str, Any])
    outputs: Properties = field(default_factory=dict[str, Any])
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list[str])
    property_dependencies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    replaced: bool = False

    @property
    def is_real(self) -> bool:
        """Whether it exists outside of the state, unlike components, the stack and providers."""
        return self.custom and not self.type.startswith(PROVIDER_TYPE_PREFIX)

    def needs(self) -> set[str]:
        """Return every resource that must exist as long as this one."""
        provider_urn = self.provider.rpartition("::")[0]
        urns = {self.parent, provider_urn, self.deleted_with, *self.dependencies}
        return urns.union(*self.property_dependencies.values()) - {""}


@dataclass
class PendingOperation:
    """A step that has begun. If it is found in a file, a deployment was interrupted during the step.

    `resource` is what the step would have stored; for an update, it is the resource with its old inputs.
    """

    operation: Operation
    resource: Resource
    started: str


@dataclass
class State:
    """The state of a stack. `resources` is ordered: no resource needs a later one."""

    resources: list[Resource] = field(default_factory=list[Resource])
    pending: list[PendingOperation] = field(default_factory=list[PendingOperation])
    outputs: Properties = field(default_factory=dict[str, Any])

    def find(self, urn: str) -> Resource | None:
        """Find the current resource of this name, not one that waits for its deletion."""
        return next((resource for resource in self.resources if resource.urn == urn and not resource.replaced), None)

    def rename(self, old: str, new: str) -> None:
        """Give a resource another URN wherever it occurs (for aliases)."""

        def renamed(urn: str) -> str:
            return new if urn == old else urn

        for resource in self.resources:
            resource.urn = renamed(resource.urn)
            resource.parent = renamed(resource.parent)
            resource.deleted_with = renamed(resource.deleted_with)
            resource.dependencies = [renamed(urn) for urn in resource.dependencies]
            resource.property_dependencies = {
                key: [renamed(urn) for urn in urns] for key, urns in resource.property_dependencies.items()
            }


def copy_of(state: State) -> State:
    """Copy a state for a preview to change; property values are shared, because nothing changes them in place."""
    return State(
        resources=[replace(resource) for resource in state.resources],
        pending=[replace(pending, resource=replace(pending.resource)) for pending in state.pending],
        outputs=state.outputs,
    )
