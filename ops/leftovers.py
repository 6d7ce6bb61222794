"""Checks whether anything that a stack had on Cloudflare is still there after the stack was destroyed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.cloudflare_api import NotFoundError
from ops.deployed_stack import DeployedStack
from ops.live_state import resources_of


@dataclass(frozen=True)
class Leftover:
    """A resource that was deleted, or should have been."""

    kind: str
    name: str
    is_there: bool


PATHS: Mapping[str, str] = {
    "Worker": "workers/workers/{id}",
    "D1Database": "d1/database/{id}",
    "WorkersKvNamespace": "storage/kv/namespaces/{id}",
    "Queue": "queues/{id}",
    "Workflow": "workflows/{name}",
    "WorkersCustomDomain": "workers/domains/{id}",
}
"""The path of each kind of resource below the account. A resource that is deleted with another one is not listed."""


def left_over(stack: DeployedStack, resources: Iterable[Mapping[str, Any]]) -> list[Leftover]:
    """Ask Cloudflare for each resource that the stack had. Raises ApiError if it does not answer.

    Args:
        stack: the stack before it was destroyed.
        resources: the resources of the stack's state at that time.
    """
    asked = [each for each in resources_of(resources) if each.kind in PATHS]
    found = [
        Leftover(each.kind, each.name, _is_there(stack, PATHS[each.kind].format(id=each.id, name=each.name)))
        for each in asked
    ]
    if stack.outputs.get("durable_object_class"):
        namespaces = stack.get("workers/durable_objects/namespaces")
        is_there = any(each["script"] == stack["worker_name"] for each in namespaces)
        found.append(Leftover("Durable Object class", stack["durable_object_class"], is_there))
    return found


def _is_there(stack: DeployedStack, path: str) -> bool:
    try:
        stack.get(path)
    except NotFoundError:
        return False
    return True
