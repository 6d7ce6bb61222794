"""Durable Objects: namespaces and their objects."""

from local.core.product import Method, Product
from local.products.durable_objects import bindings, namespaces
from local.products.durable_objects.schema import SCHEMA

PRODUCT = Product(
    name="durable_objects",
    schema=SCHEMA,
    routes=(*namespaces.ROUTES,),
    bindings=bindings.BINDINGS,
    objects={"durable_objects": {"list": Method(repeatable=True)}},
)
