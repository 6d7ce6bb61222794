"""A stack's state in Pulumi's own format, version 3, as `pulumi stack export --show-secrets` writes it.

Names and structure: sdk/go/common/apitype/core.go of the Pulumi repository (UntypedDeployment, DeploymentV3,
ResourceV3).
"""

import json
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from local.pulumi.errors import DeployError
from local.pulumi.state import Operation, PendingOperation, Resource, State
from local.pulumi.urn import PROVIDER_TYPE_PREFIX, STACK_TYPE, make_urn, name_of, package_of
from local.pulumi.wire import Properties, is_secret, rewrite, secret, unwrap

VERSION = 3
_OPERATIONS: dict[Operation, str] = {"create": "creating", "update": "updating", "delete": "deleting"}
_CIPHERTEXT = "ciphertext"
_PLAINTEXT = "plaintext"
_DEFAULT = "default"
# Packages of the default providers, which the engine starts by itself, with the distribution that gives the version; a
# dynamic provider has none.
_DISTRIBUTIONS = {"cloudflare": "pulumi_cloudflare", "pulumi-python": None}


def write(state: State, stack: str, project: str) -> dict[str, Any]:
    """Return a state as a document. Every custom resource names its provider, as the Pulumi CLI's engine requires."""
    providers = {package: _default_provider(package, stack, project) for package in _default_packages(state)}
    return {
        "version": VERSION,
        "deployment": {
            "manifest": {"time": "0001-01-01T00:00:00Z", "magic": "", "version": ""},  # no CLI was involved
            "resources": [*providers.values(), *(_written(resource, state, providers) for resource in state.resources)],
            "pending_operations": [
                {
                    "resource": {**_written(pending.resource, state, providers), "modified": pending.started},
                    "type": _OPERATIONS[pending.operation],
                }
                for pending in state.pending
            ],
            "metadata": {},
        },
    }


def read(document: Mapping[str, Any]) -> State:
    """Read a document written by `write` or by the Pulumi CLI. Raises DeployError for encrypted secrets."""
    deployment: dict[str, Any] = document["deployment"]
    resources = [item for item in _objects(deployment, "resources") if not _is_default(item)]
    operations: dict[str, Operation] = {word: operation for operation, word in _OPERATIONS.items()}
    stack = next((item for item in resources if item["type"] == STACK_TYPE), None)
    return State(
        resources=[_read(item) for item in resources],
        pending=[
            PendingOperation(operations[item["type"]], _read(item["resource"]), item["resource"].get("modified", ""))
            for item in _objects(deployment, "pending_operations")
            if item["type"] in operations
        ],
        outputs={} if stack is None else _plain(_object(stack, "outputs")),
    )


def _objects(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return document.get(name) or []


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return document.get(name) or {}


def _default_packages(state: State) -> list[str]:
    used = [*state.resources, *(pending.resource for pending in state.pending)]
    return sorted({package_of(item.type) for item in used if item.is_real and not item.provider})


def _default_provider(package: str, stack: str, project: str) -> dict[str, Any]:
    """Return the default provider, which the engine starts if the program names none, with the Pulumi CLI's name."""
    distribution = _DISTRIBUTIONS.get(package)
    try:
        found = None if distribution is None else version(distribution)
    except PackageNotFoundError:
        found = None
    name = _DEFAULT if found is None else f"{_DEFAULT}_{found.replace('.', '_')}"
    kind = PROVIDER_TYPE_PREFIX + package
    urn = make_urn(stack, project, "", kind, name)
    properties = {} if found is None else {"version": found}
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, urn))
    return {"urn": urn, "custom": True, "id": identity, "type": kind, "inputs": properties, "outputs": properties}


def _is_default(item: Mapping[str, Any]) -> bool:
    is_provider = item["type"].startswith(PROVIDER_TYPE_PREFIX)
    return is_provider and (name_of(item["urn"]) == _DEFAULT or name_of(item["urn"]).startswith(f"{_DEFAULT}_"))


def _written(resource: Resource, state: State, providers: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    outputs = state.outputs if resource.type == STACK_TYPE else resource.outputs
    provider = resource.provider
    if resource.is_real and not provider:
        default = providers[package_of(resource.type)]
        provider = f"{default['urn']}::{default['id']}"
    optional = {
        "id": resource.id,
        "parent": resource.parent,
        "provider": provider,
        "dependencies": resource.dependencies,
        "propertyDependencies": resource.property_dependencies,
        "protect": resource.protect,
        "retainOnDelete": resource.retain_on_delete,
        "deletedWith": resource.deleted_with,
        "delete": resource.replaced,
    }
    return {
        "urn": resource.urn,
        "custom": resource.custom,
        "type": resource.type,
        "inputs": _sealed(resource.inputs),
        "outputs": _sealed(outputs),
        **{name: value for name, value in optional.items() if value},
    }


def _read(item: Mapping[str, Any]) -> Resource:
    provider: str = item.get("provider") or ""
    named = provider.rpartition("::")[0]
    is_default = bool(named) and _is_default({"type": named.split("::")[2], "urn": named})
    return Resource(
        urn=item["urn"],
        type=item["type"],
        custom=bool(item.get("custom")),
        id=item.get("id") or "",
        inputs=_plain(_object(item, "inputs")),
        outputs=_plain(_object(item, "outputs")),
        parent=item.get("parent") or "",
        provider="" if is_default else provider,
        dependencies=item.get("dependencies") or [],
        property_dependencies={key: urns or [] for key, urns in _object(item, "propertyDependencies").items()},
        protect=bool(item.get("protect")),
        retain_on_delete=bool(item.get("retainOnDelete")),
        deleted_with=item.get("deletedWith") or "",
        replaced=bool(item.get("delete")),
    )


def _sealed(properties: Properties) -> Any:
    """Write secrets in the CLI's form: their JSON as plain text, with the secret mark."""

    def seal(node: Any) -> Any:
        if not is_secret(node):
            return node
        mark = {key: value for key, value in secret(None).items() if value is not None}
        return {**mark, _PLAINTEXT: json.dumps(unwrap(node))}

    return rewrite(properties, seal)


def _plain(properties: Properties) -> Any:
    def unseal(node: Any) -> Any:
        if not is_secret(node):
            return node
        if _CIPHERTEXT in node:
            raise DeployError(
                "the state has encrypted secrets, which only the Pulumi CLI can read: write it with"
                " `pulumi stack export --show-secrets`"
            )
        return secret(json.loads(node[_PLAINTEXT])) if _PLAINTEXT in node else node

    return rewrite(properties, unseal)
