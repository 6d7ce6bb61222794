"""Users, accounts and tokens."""

from local.core.product import Product
from local.products.identity import identity

PRODUCT = Product(
    name="identity",
    routes=(*identity.ROUTES,),
)
