"""D1 databases."""

from local.pulumi.cloudflare_types.rest_type import RestSpec, told_at
from local.pulumi.wire import Properties


def _held(database: Properties) -> str:
    tables = int(database.get("num_tables") or 0)
    return f"{tables} table{'' if tables == 1 else 's'}" if tables else ""


DATABASE = RestSpec(
    collection="/accounts/{account_id}/d1/database",
    item="/accounts/{account_id}/d1/database/{uuid}",
    id_field="uuid",
    replace_on=frozenset({"accountId", "name", "jurisdiction", "primaryLocationHint"}),
    sticky=frozenset({"readReplication"}),
    not_refreshed=frozenset({"primaryLocationHint"}),
    contents=told_at("/accounts/{account_id}/d1/database/{uuid}", _held),
    find="/accounts/{account_id}/d1/database?name={name}",
    unique="name",
)

TYPES = {"cloudflare:index/d1Database:D1Database": DATABASE}
