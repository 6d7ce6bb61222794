"""Tails of Workers: events for those who listen."""

from local.core.product import Product
from local.products.tails import tails
from local.products.tails.schema import SCHEMA

PRODUCT = Product(
    name="tails",
    schema=SCHEMA,
    routes=(*tails.ROUTES,),
    sockets={tails.PATH: tails.talk},
)
