"""Workers Analytics Engine: data points are accepted and dropped."""

from local.core.product import Product
from local.products.analytics_engine import bindings

PRODUCT = Product(
    name="analytics_engine",
    bindings=bindings.BINDINGS,
)
