"""Workflows."""

from local.pulumi.cloudflare_types.rest_type import RestSpec, told_at
from local.pulumi.wire import Properties

_ITEM = "/accounts/{account_id}/workflows/{workflow_name}"


def _held(workflow: Properties) -> str:
    instances: dict[str, int] = workflow.get("instances") or {}
    count = sum(instances.values())
    return f"{count:,} instance{'' if count == 1 else 's'}" if count else ""


WORKFLOW = RestSpec(
    collection=_ITEM,
    item=_ITEM,
    id_field="workflow_name",
    create_method="PUT",
    replace_on=frozenset({"accountId", "workflowName"}),
    not_refreshed=frozenset({"limits", "concurrency", "defaultRetention"}),
    contents=told_at(_ITEM, _held),
    find=_ITEM,
)

TYPES = {"cloudflare:index/workflow:Workflow": WORKFLOW}
