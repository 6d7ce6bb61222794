"""What a stack had on Cloudflare, and whether it is still there after the stack was destroyed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.cloudflare_api import NotFoundError
from ops.deployed_stack import DeployedStack
from ops.live_state import resources_of


@dataclass(frozen=True)
class Leftover:
    """Something that was deleted, or should have been."""

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
"""Where each kind is, below the account; what is part of another one goes with it."""


def left_over(stack: DeployedStack, resources: Iterable[Mapping[str, Any]]) -> list[Leftover]:
    """Ask Cloudflare for each thing that the stack had. Raises ApiError when it does not answer.

    Args:
        stack: as it was before it was destroyed.
        resources: of the stack's state, then.
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
