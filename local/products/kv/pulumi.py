"""Workers KV namespaces."""

from local.pulumi.cloudflare_types.rest_type import RestSpec

NAMESPACE = RestSpec(
    collection="/accounts/{account_id}/storage/kv/namespaces",
    item="/accounts/{account_id}/storage/kv/namespaces/{id}",
    id_field="id",
    replace_on=frozenset({"accountId", "jurisdiction", "mode"}),
    not_refreshed=frozenset({"mode"}),
    find="/accounts/{account_id}/storage/kv/namespaces?per_page=1000",
    unique="title",
)

TYPES = {"cloudflare:index/workersKvNamespace:WorkersKvNamespace": NAMESPACE}
