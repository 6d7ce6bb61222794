"""Zones, routes and custom domains of Workers."""

from local.pulumi.cloudflare_types.rest_type import RestSpec

ZONE = RestSpec(
    collection="/zones",
    item="/zones/{id}",
    id_field="id",
    update_method="PATCH",
    replace_on=frozenset({"account", "name"}),
    sticky=frozenset({"paused", "type", "vanityNameServers"}),
)

ROUTE = RestSpec(
    collection="/zones/{zone_id}/workers/routes",
    item="/zones/{zone_id}/workers/routes/{id}",
    id_field="id",
    replace_on=frozenset({"zoneId"}),
)

CUSTOM_DOMAIN = RestSpec(
    collection="/accounts/{account_id}/workers/domains",
    item="/accounts/{account_id}/workers/domains/{id}",
    id_field="id",
    create_method="PUT",
    updates=False,
    replace_on=None,
    sticky=frozenset({"environment", "zoneId", "zoneName"}),
)

TYPES = {
    "cloudflare:index/zone:Zone": ZONE,
    "cloudflare:index/workersRoute:WorkersRoute": ROUTE,
    "cloudflare:index/workersCustomDomain:WorkersCustomDomain": CUSTOM_DOMAIN,
}
