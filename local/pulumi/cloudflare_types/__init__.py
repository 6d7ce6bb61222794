"""The Cloudflare resources that can be deployed; each product's folder has the entries of its types."""

from local.core.registry import pulumi_types
from local.pulumi.cloudflare_types.api import Api
from local.pulumi.cloudflare_types.rest_type import RestType
from local.pulumi.resource_types import ResourceType


def cloudflare_types(api: Api) -> dict[str, ResourceType]:
    """Return each type's driver by its token."""
    return {token: RestType(spec, api) for token, spec in pulumi_types().items()}
