"""What the engine needs to know about a type of resource, and which types there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from local.pulumi.diff import Change, Diff
from local.pulumi.errors import DeployError
from local.pulumi.state import Resource
from local.pulumi.wire import Properties


@dataclass(frozen=True)
class Created:
    """A resource that was just created: its id, and the API's reply (plain, without secret marks)."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Found:
    """A resource as it is now: its id, the inputs that would create it, and its outputs (plain).

    `drift` has the differences from the stored outputs, if the next deployment compares these too.
    """

    id: str
    inputs: Properties
    outputs: Properties
    drift: tuple[Change, ...] = ()


class ResourceType(Protocol):
    """How one type of resource is checked, compared, created, updated, read and deleted.

    Inputs are plain (no secret marks) except in `diff`, which gets them as they are stored. Methods that call the API
    raise DeployError; its subclass ApiError says whether the call may have taken effect.
    """

    @property
    def deletes(self) -> bool:
        """Whether `delete` does anything: some resources are deleted with their parent."""
        ...

    def check(self, old: Resource | None, inputs: Properties) -> Properties:
        """Validate and complete the inputs. Raises CheckError."""
        ...

    def diff(self, old: Resource, inputs: Properties) -> Diff:
        """Compare with what is deployed."""
        ...

    def preview(self, old: Resource | None, inputs: Properties) -> Properties:
        """Predict the outputs of a create (no `old`) or an update; those only the API knows are UNKNOWN or absent."""
        ...

    def create(self, inputs: Properties) -> Created:
        """Create it."""
        ...

    def update(self, old: Resource, inputs: Properties) -> Properties:
        """Update it in place, and return its outputs."""
        ...

    def read(self, resource: Resource) -> Found | None:
        """Read it; None if it is gone."""
        ...

    def delete(self, resource: Resource) -> None:
        """Delete it; if it is gone already, that is fine."""
        ...

    def find(self, inputs: Properties) -> Found | None:
        """Find the object that has these inputs' unique name; None if there is none, or names are not unique."""
        ...

    def contents(self, resource: Resource, planned: Properties | None) -> str:
        """Return the data ("5 messages", or "") that would be lost by an update to `planned` or (None) a deletion."""
        ...

    def created_at(self, found: Found) -> str:
        """Return its creation time in RFC 3339; "" if it is not known."""
        ...


class ResourceTypes:
    """The types of resources that can be deployed, by type token or by its prefix up to the last colon."""

    def __init__(self, by_token: Mapping[str, ResourceType], dynamic: ResourceType, dynamic_prefix: str) -> None:
        self._by_token = by_token
        self._dynamic = dynamic
        self._dynamic_prefix = dynamic_prefix

    def get(self, token: str) -> ResourceType:
        """Find a type. Raises DeployError, with the existing types, for an unknown one."""
        if token.startswith(self._dynamic_prefix):
            return self._dynamic
        if token not in self._by_token:
            known = ", ".join(sorted({name.rsplit(":", 1)[-1] for name in self._by_token}))
            raise DeployError(
                f"resource type {token} is not supported by the local deploy (supported: {known}, dynamic resources, "
                "components); the Pulumi CLI deploys every type"
            )
        return self._by_token[token]
