"""Hyperdrive: the way from a Worker to a PostgreSQL or MySQL database."""

from local.core.product import Listing, Product, SchemaStep, StatusTable
from local.products.hyperdrive import bindings, configs

_TABLES = """
CREATE TABLE hyperdrive_configs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,              -- JSON: what was sent, secrets included
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL,
    restarted_on TEXT
);
"""


def _configs(api: Listing) -> list[tuple[str, ...]]:
    return [
        (config["name"], config["id"], f"{config['origin']['host']}:{config['origin']['port']}")
        for config in api.all("hyperdrive/configs")
    ]


PRODUCT = Product(
    name="hyperdrive",
    schema=(SchemaStep(_TABLES),),
    routes=configs.ROUTES,
    bindings=bindings.BINDINGS,
    status=(StatusTable("Hyperdrive", _configs),),
)
