"""Workers KV."""

from local.core.product import Listing, Method, Product, StatusTable
from local.products.kv import bindings, namespaces, values
from local.products.kv.schema import SCHEMA


def _namespaces(api: Listing) -> list[tuple[str, ...]]:
    return [(namespace["title"], namespace["id"]) for namespace in api.all("storage/kv/namespaces")]


PRODUCT = Product(
    name="kv",
    schema=SCHEMA,
    routes=(
        *namespaces.ROUTES,
        *values.ROUTES,
    ),
    bindings=bindings.BINDINGS,
    objects={"kv": dict.fromkeys(("get", "put", "delete", "list"), Method(repeatable=True))},
    status=(StatusTable("KV namespaces", _namespaces),),
)
