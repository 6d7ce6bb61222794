"""Injected faults, which Cloudflare does not have: docs/bad-day.md."""

from local.core.product import Listing, Method, Product, StatusTable
from local.products.faults import faults
from local.products.faults.rows import row


def _faults(api: Listing) -> list[tuple[str, ...]]:
    return [row(fault) for fault in api.one("/local/faults")]


PRODUCT = Product(
    name="faults",
    routes=faults.ROUTES,
    objects={"faults": {"set": Method(kept=True), "counts": Method(repeatable=True)}},
    status=(StatusTable("Faults on request", _faults),),
)
