"""Static assets."""

from local.core.product import Product
from local.products.assets import bindings, uploads
from local.products.assets.schema import SCHEMA

PRODUCT = Product(
    name="assets",
    schema=SCHEMA,
    routes=(*uploads.ROUTES,),
    bindings=bindings.BINDINGS,
)
