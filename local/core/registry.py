"""The products: every folder of `products/` that has a `product.py`."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import local.products as folder
from local.core.product import BindingType, Config, Method, Product

PRODUCTS_FOLDER = Path(folder.__path__[0])


@cache
def products() -> tuple[Product, ...]:
    """Load all products, by name."""
    names = sorted(file.parent.name for file in PRODUCTS_FOLDER.glob("*/product.py"))
    return tuple(import_module(f"{folder.__name__}.{name}.product").PRODUCT for name in names)


@cache
def binding_types() -> Mapping[str, BindingType]:
    """Find the types of bindings."""
    return {name: binding for product in products() for name, binding in product.bindings.items()}


def method_of(kind: str, name: str) -> Method:
    """Find a method of a kind of objects. Raises LookupError if no product declares it."""
    for product in products():
        if name in product.objects.get(kind, {}):
            return product.objects[kind][name]
    msg = f"no product declares the method {name} of objects of kind {kind}"
    raise LookupError(msg)


def configuration(db: Any) -> Config:
    """Return the configuration of everything that is to run; it depends on the state only."""
    return {key: value for product in products() for key, value in product.configure(db).items()}


def pulumi_types() -> dict[str, Any]:
    """Return the resource types that the deployment supports, by type token: TYPES of each product's `pulumi.py`."""
    files = sorted(PRODUCTS_FOLDER.glob("*/pulumi.py"))
    modules = [import_module(f"{folder.__name__}.{file.parent.name}.pulumi") for file in files]
    return {token: spec for module in modules for token, spec in module.TYPES.items()}
