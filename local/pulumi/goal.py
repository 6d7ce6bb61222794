"""The desired state of one resource: a registration, read from Pulumi's request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pulumi.runtime.proto import alias_pb2, resource_pb2

from local.pulumi.errors import DeployError
from local.pulumi.state import Resource
from local.pulumi.urn import make_urn, name_of, type_of
from local.pulumi.wire import Properties, from_struct


@dataclass(frozen=True)
class Goal:
    """A resource as the program registered it, options included. `aliases` are URNs that it may have had before."""

    urn: str
    type: str
    custom: bool
    inputs: Properties
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def resource(self, resource_id: str, inputs: Properties, outputs: Properties) -> Resource:
        """Return the resource for the state."""
        return Resource(
            urn=self.urn,
            type=self.type,
            custom=self.custom,
            id=resource_id,
            inputs=inputs,
            outputs=outputs,
            parent=self.parent,
            provider=self.provider,
            dependencies=list(self.dependencies),
            property_dependencies=self.property_dependencies,
            protect=self.protect,
            retain_on_delete=self.retain_on_delete,
            deleted_with=self.deleted_with,
        )


def goal_from_request(
    request: resource_pb2.RegisterResourceRequest, stack: str, project: str, aliases_of: Mapping[str, tuple[str, ...]]
) -> Goal:
    """Read a registration; `aliases_of` returns the parents' aliases. Raises DeployError for unsupported features."""
    urn = make_urn(stack, project, request.parent, request.type, request.name)
    _refuse_unsupported(request)
    dependencies = {key: sorted(value.urns) for key, value in request.propertyDependencies.items()}
    return Goal(
        urn=urn,
        type=request.type,
        custom=request.custom,
        inputs=from_struct(request.object),
        parent=request.parent,
        provider=request.provider,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies=dependencies,
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        deleted_with=request.deletedWith,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=_aliases(request, urn, stack, project, aliases_of.get(request.parent, ())),
    )


def _refuse_unsupported(request: resource_pb2.RegisterResourceRequest) -> None:
    used: dict[str, Any] = {
        "import_": request.importId,
        "replacement_trigger": request.HasField("replacement_trigger"),
        "a remote component": request.remote,
    }
    for option, value in used.items():
        if value:
            raise DeployError(f"{option} is not supported by the local deploy; the Pulumi CLI has it")


def _aliases(
    request: resource_pb2.RegisterResourceRequest, urn: str, stack: str, project: str, parent_aliases: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the URNs that the resource may have had: from its own aliases, and from its parent's."""
    given = cast("Iterable[alias_pb2.Alias]", request.aliases)  # pyright: ignore[reportUnknownMemberType] its stubs
    own = [_alias_urn(alias, request, stack, project) for alias in given]
    inherited: list[str] = []
    for parent_alias in parent_aliases:
        for candidate in (urn, *own):
            name = _inherited_name(name_of(candidate), name_of(request.parent), name_of(parent_alias))
            inherited.append(make_urn(stack, project, parent_alias, type_of(candidate), name))
    return tuple(dict.fromkeys([*own, *inherited]))


def _alias_urn(alias: alias_pb2.Alias, request: resource_pb2.RegisterResourceRequest, stack: str, project: str) -> str:
    if alias.urn:
        return alias.urn
    spec = alias.spec
    parent = "" if spec.noParent else spec.parentUrn or request.parent
    return make_urn(
        spec.stack or stack, spec.project or project, parent, spec.type or request.type, spec.name or request.name
    )


def _inherited_name(name: str, parent_name: str, old_parent_name: str) -> str:
    """Rename a child with its parent if it is named after it, as is usual: its prefix is replaced."""
    return old_parent_name + name[len(parent_name) :] if name.startswith(parent_name) else name
