"""Workflows."""

from local.pulumi.cloudflare_types.rest_type import RestSpec

_ITEM = "/accounts/{account_id}/workflows/{workflow_name}"

WORKFLOW = RestSpec(
    collection=_ITEM,
    item=_ITEM,
    id_field="workflow_name",
    create_method="PUT",
    replace_on=frozenset({"accountId", "workflowName"}),
    not_refreshed=frozenset({"limits", "concurrency", "defaultRetention"}),
    find=_ITEM,
)

TYPES = {"cloudflare:index/workflow:Workflow": WORKFLOW}
