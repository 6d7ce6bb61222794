"""R2: buckets and objects."""

from local.core.product import Method, Product
from local.products.r2 import bindings, buckets, metrics, objects
from local.products.r2.schema import SCHEMA

PRODUCT = Product(
    name="r2",
    schema=SCHEMA,
    routes=(
        *buckets.ROUTES,
        *objects.ROUTES,
        *metrics.ROUTES,
    ),
    bindings=bindings.BINDINGS,
    objects={"r2": dict.fromkeys(("delete", "list", "measure"), Method(repeatable=True))},
)
