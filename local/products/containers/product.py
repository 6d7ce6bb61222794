"""Containers; there are none here."""

from local.core.product import Product
from local.products.containers import applications

PRODUCT = Product(
    name="containers",
    routes=(*applications.ROUTES,),
)
