"""Zones: the host names of Workers, by route and by custom domain."""

import sqlite3

from local.core.product import Config, Listing, Product, StatusTable
from local.products.zones import domains, routes, zones
from local.products.zones.schema import SCHEMA


def _configure(db: sqlite3.Connection) -> Config:
    """Return the configuration of all host names: which Worker answers where."""
    named = db.execute(
        "SELECT d.hostname, w.name AS worker FROM worker_domains d JOIN workers w ON w.id = d.worker_id"
        " JOIN zones z ON z.id = d.zone_id WHERE d.enabled AND NOT z.paused ORDER BY d.hostname"
    )
    routed = db.execute(
        "SELECT r.pattern, w.name AS worker FROM worker_routes r LEFT JOIN workers w ON w.id = r.worker_id"
        " JOIN zones z ON z.id = r.zone_id WHERE NOT z.paused ORDER BY r.pattern"
    )
    return {"domains": [dict(row) for row in named], "routes": [dict(row) for row in routed]}


def _zones(api: Listing) -> list[tuple[str, ...]]:
    """Return a row for each zone, followed by the Workers that answer there."""
    attached = api.one("workers/domains")
    rows: list[tuple[str, ...]] = []
    for zone in api.all("/zones"):
        rows.append((zone["name"], zone["id"]))
        rows += [(f"  {one['hostname']}", one["service"]) for one in attached if one["zone_id"] == zone["id"]]
        routed = api.one(f"/zones/{zone['id']}/workers/routes")
        rows += [(f"  {one['pattern']}", one["script"] or "no Worker") for one in routed]
    return rows


PRODUCT = Product(
    name="zones",
    schema=SCHEMA,
    routes=(*zones.ROUTES, *routes.ROUTES, *domains.ROUTES),
    configure=_configure,
    status=(StatusTable("Zones", _zones),),
)
