"""What the engine needs to know of a kind of resource, and which kinds there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from local.pulumi.diff import Change, Diff
from local.pulumi.errors import DeployError
from local.pulumi.state import Resource
from local.pulumi.wire import Properties


@dataclass(frozen=True)
class Created:
    """A resource that was just made: its id, and what the API said of it (plain, without secret marks)."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Found:
    """A resource as it is now: its id, the inputs that would make it so, and its outputs (plain).

    `drift` is what differs from the stored outputs, where the next deploy looks at these too.
    """

    id: str
    inputs: Properties
    outputs: Properties
    drift: tuple[Change, ...] = ()


class ResourceType(Protocol):
    """How one kind of resource is checked, compared, made, changed, read and deleted.

    Inputs are plain (no secret marks) except in `diff`, which gets them as they are stored. The methods that call out
    raise DeployError, of which ApiError tells whether the call may have taken effect.
    """

    @property
    def deletes(self) -> bool:
        """Whether `delete` does anything: some things go with their parent."""
        ...

    def check(self, old: Resource | None, inputs: Properties) -> Properties:
        """Validate and complete the inputs. Raises CheckError."""
        ...

    def diff(self, old: Resource, inputs: Properties) -> Diff:
        """Compare with what is deployed."""
        ...

    def preview(self, old: Resource | None, inputs: Properties) -> Properties:
        """Foretell the outputs of a create (no `old`) or an update; what only the API can tell is UNKNOWN or absent."""
        ...

    def create(self, inputs: Properties) -> Created:
        """Make it."""
        ...

    def update(self, old: Resource, inputs: Properties) -> Properties:
        """Change it in place, and give its outputs."""
        ...

    def read(self, resource: Resource) -> Found | None:
        """Look at it; None when it is gone."""
        ...

    def delete(self, resource: Resource) -> None:
        """Delete it; one that is already gone is fine."""
        ...

    def find(self, inputs: Properties) -> Found | None:
        """Find the one object that has these inputs' unique name; None when there is none, or no such thing."""
        ...

    def contents(self, resource: Resource, planned: Properties | None) -> str:
        """Tell what data would go, such as "5 messages", if it became what is planned, or (None) went; "" for none."""
        ...

    def created_at(self, found: Found) -> str:
        """When it was made, as an RFC 3339 time; "" when it does not say."""
        ...


class ResourceTypes:
    """The kinds of resources that can be deployed, by type token or by its prefix up to the last colon."""

    def __init__(self, by_token: Mapping[str, ResourceType], dynamic: ResourceType, dynamic_prefix: str) -> None:
        self._by_token = by_token
        self._dynamic = dynamic
        self._dynamic_prefix = dynamic_prefix

    def get(self, token: str) -> ResourceType:
        """Find a kind. Raises DeployError, with the kinds that there are, for another one."""
        if token.startswith(self._dynamic_prefix):
            return self._dynamic
        if token not in self._by_token:
            known = ", ".join(sorted({name.rsplit(":", 1)[-1] for name in self._by_token}))
            raise DeployError(
                f"resource type {token} is not supported by the local deploy (supported: {known}, dynamic resources, "
                "components); the Pulumi CLI deploys every type"
            )
        return self._by_token[token]
