"""Workers KV namespaces."""

from local.pulumi.cloudflare_types.rest_type import RestSpec, told_at

_LIST_SIZE = 1000


def _held(keys: list[object]) -> str:
    if len(keys) == _LIST_SIZE:
        return f"{_LIST_SIZE:,} keys or more"
    return f"{len(keys)} key{'' if len(keys) == 1 else 's'}" if keys else ""


NAMESPACE = RestSpec(
    collection="/accounts/{account_id}/storage/kv/namespaces",
    item="/accounts/{account_id}/storage/kv/namespaces/{id}",
    id_field="id",
    replace_on=frozenset({"accountId", "jurisdiction", "mode"}),
    not_refreshed=frozenset({"mode"}),
    contents=told_at("/accounts/{account_id}/storage/kv/namespaces/{id}/keys", _held),
    find="/accounts/{account_id}/storage/kv/namespaces?per_page=1000",
    unique="title",
)

TYPES = {"cloudflare:index/workersKvNamespace:WorkersKvNamespace": NAMESPACE}
