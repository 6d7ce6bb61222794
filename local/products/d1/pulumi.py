"""D1 databases."""

from local.pulumi.cloudflare_types.rest_type import RestSpec

DATABASE = RestSpec(
    collection="/accounts/{account_id}/d1/database",
    item="/accounts/{account_id}/d1/database/{uuid}",
    id_field="uuid",
    replace_on=frozenset({"accountId", "name", "jurisdiction", "primaryLocationHint"}),
    sticky=frozenset({"readReplication"}),
    not_refreshed=frozenset({"primaryLocationHint"}),
    find="/accounts/{account_id}/d1/database?name={name}",
    unique="name",
)

TYPES = {"cloudflare:index/d1Database:D1Database": DATABASE}
