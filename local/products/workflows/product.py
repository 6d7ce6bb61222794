"""Workflows and their instances."""

from typing import Any

from local.core.product import Listing, Method, Product, StatusTable
from local.products.workflows import bindings, desired_state, instances, workflows
from local.products.workflows.schema import SCHEMA


def _workflows(api: Listing) -> list[tuple[str, ...]]:
    return [(found["name"], _instances(found), f"of {found['script_name']}") for found in api.all("workflows")]


def _instances(workflow: dict[str, Any]) -> str:
    counts = [f"{count} {status}" for status, count in workflow["instances"].items() if count]
    return ", ".join(counts) or "no instances"


PRODUCT = Product(
    name="workflows",
    schema=SCHEMA,
    routes=(
        *workflows.ROUTES,
        *instances.ROUTES,
    ),
    bindings=bindings.BINDINGS,
    configure=desired_state.configure,
    objects={
        "workflows": {
            "create": Method(),
            "list": Method(repeatable=True),
            "describe": Method(repeatable=True),
            "step": Method(),
            "deleteInstance": Method(),
            "summary": Method(repeatable=True),
            "command": Method(),
            "sendEvent": Method(),
        }
    },
    status=(StatusTable("Workflows", _workflows),),
)
