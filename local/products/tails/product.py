"""Tails of Workers: live events for listeners."""

from local.core.product import Product
from local.products.tails import tails
from local.products.tails.schema import SCHEMA

PRODUCT = Product(
    name="tails",
    schema=SCHEMA,
    routes=(*tails.ROUTES,),
    sockets={tails.PATH: tails.talk},
)
