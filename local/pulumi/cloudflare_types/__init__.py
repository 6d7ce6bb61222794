"""The Cloudflare resources that can be deployed: one table entry each, in a file per product."""

from local.pulumi.cloudflare_types import d1, kv, queues, workers, workflows
from local.pulumi.cloudflare_types.api import Api
from local.pulumi.cloudflare_types.rest_type import RestType
from local.pulumi.resource_types import ResourceType

_SPECS = {**d1.TYPES, **kv.TYPES, **queues.TYPES, **workers.TYPES, **workflows.TYPES}


def cloudflare_types(api: Api) -> dict[str, ResourceType]:
    """Give each type's driver by its token."""
    return {token: RestType(spec, api) for token, spec in _SPECS.items()}
