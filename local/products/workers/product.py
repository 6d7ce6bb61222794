"""Workers: code, versions, deployments, settings, secrets and cron triggers."""

from local.core.product import Listing, Product, StatusTable
from local.products.workers import (
    binding_types,
    deployments,
    desired_state,
    references,
    schedules,
    script_secrets,
    script_settings,
    script_versions,
    scripts,
    services,
    versions,
    workers,
)
from local.products.workers.schema import SCHEMA


def _workers(api: Listing) -> list[tuple[str, ...]]:
    return [
        (found["name"], found["subdomain"]["url"], "" if found["deployed_on"] else "not deployed")
        for found in api.all("workers/workers")
    ]


PRODUCT = Product(
    name="workers",
    schema=SCHEMA,
    routes=(
        *workers.ROUTES,
        *versions.ROUTES,
        *deployments.ROUTES,
        *schedules.ROUTES,
        *scripts.ROUTES,
        *script_settings.ROUTES,
        *script_versions.ROUTES,
        *script_secrets.ROUTES,
        *services.ROUTES,
        *references.ROUTES,
    ),
    bindings=binding_types.BINDINGS,
    configure=desired_state.configure,
    status=(StatusTable("Workers", _workers),),
)
