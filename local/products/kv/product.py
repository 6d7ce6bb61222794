"""Workers KV."""

from local.core.product import Method, Product, StatusTable
from local.products.kv import bindings, namespaces, values
from local.products.kv.schema import SCHEMA

PRODUCT = Product(
    name="kv",
    schema=SCHEMA,
    routes=(
        *namespaces.ROUTES,
        *values.ROUTES,
    ),
    bindings=bindings.BINDINGS,
    objects={"kv": dict.fromkeys(("get", "put", "delete", "list"), Method(repeatable=True))},
    status=(StatusTable.of_list("KV namespaces", "storage/kv/namespaces", "title", "id"),),
)
