"""D1: databases, SQL, imports and exports."""

from local.core.product import Method, Product, StatusTable
from local.products.d1 import bindings, databases, import_export
from local.products.d1.schema import SCHEMA

PRODUCT = Product(
    name="d1",
    schema=SCHEMA,
    routes=(
        *databases.ROUTES,
        *import_export.ROUTES,
    ),
    open_routes=import_export.OPEN_ROUTES,
    bindings=bindings.BINDINGS,
    objects={"d1": {"query": Method(), "import": Method(long=True), "export": Method(repeatable=True, long=True)}},
    status=(StatusTable.of_list("Databases", "d1/database", "name", "uuid"),),
)
