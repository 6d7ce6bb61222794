"""Custom domains: host names whose requests all go to one Worker.

The API reference documents /workers/domains. Routes below `domains/records` and `domains/changeset` are wrangler's
(workers-sdk, deploy-helpers/src/triggers/publish-routes.ts), in the formats that it reads. Codes and texts are ours.
"""

import sqlite3
import uuid

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields, array, objects, unparsable
from local.api.routing import Call, Route
from local.products.workers import workers
from local.products.zones import zones

_ENVIRONMENT = "production"  # the only one that a Worker has
_PAGE_SIZE = 100
_LARGEST_PAGE = 1000


async def put_domain(call: Call) -> Reply:
    """PUT /workers/domains: moves a host name that another Worker has to this one."""
    body = call.fields(unparsable)
    _check_environment(body)
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, body.required_text("service"))
        domain_id = _attach(change.db, worker["id"], body)
    return Reply(_describe(_find(call.cloud.db, domain_id)))


async def list_domains(call: Call) -> Reply:
    """GET /workers/domains: filtered by hostname, service, environment and zone."""
    return Reply([_describe(row) for row in _listed(call)])


async def get_domain(call: Call) -> Reply:
    """GET /workers/domains/{domain_id}."""
    return Reply(_describe(_find(call.cloud.db, call.path["domain_id"])))


async def delete_domain(call: Call) -> Reply:
    """DELETE /workers/domains/{domain_id}."""
    async with call.cloud.change() as change:
        row = _find(change.db, call.path["domain_id"])
        change.db.execute("DELETE FROM worker_domains WHERE id = ?", (row["id"],))
    return Reply(None)


async def list_records(call: Call) -> Reply:
    """GET /workers/domains/records: with the part of a Worker that answers there."""
    rows = _listed(call)
    page = call.page(len(rows), unparsable, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_record(row) for row in page.cut(rows)]
    return Reply(shown, page.info(len(shown)))


async def get_record(call: Call) -> Reply:
    """GET /workers/domains/records/{domain_id}."""
    return Reply(_record(_find(call.cloud.db, call.path["domain_id"])))


async def compare_script_domains(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/domains/changeset: what a PUT of these domains would do, without doing it.

    With `replace_state=true` it also lists the Worker's domains that would be removed. There is no DNS to conflict
    with.
    """
    db = call.cloud.db
    worker = workers.find_script(db, call.path["script_name"])
    wanted = _origins(call.json(unparsable))
    changes: dict[str, list[Json]] = {"added": [], "removed": [], "updated": [], "conflicting": []}
    for part in wanted:
        zone, hostname = _zone_and_hostname(db, part)
        row = db.execute(f"{_SELECT} WHERE hostname = ?", (hostname,)).fetchone()
        told = {"zone_id": zone["id"], "zone_name": zone["name"], "hostname": hostname, "service": worker["name"]}
        told |= {"environment": _ENVIRONMENT, "enabled": _enabled(part), "previews_enabled": False}
        if row is None:
            changes["added"].append(told | {"id": ""})
        else:
            modified = row["worker_id"] != worker["id"] or bool(row["enabled"]) != _enabled(part)
            changes["updated"].append(told | {"id": row["id"], "modified": modified})
    if call.argument("replace_state") == "true":
        kept = {part.required_text("hostname").lower() for part in wanted}
        rows = db.execute(f"{_SELECT} WHERE worker_id = ?", (worker["id"],)).fetchall()
        changes["removed"] = [_record(row) for row in rows if row["hostname"] not in kept]
    return Reply(changes)


async def put_script_domains(call: Call) -> Reply:
    """PUT /workers/scripts/{script_name}/domains/records: all custom domains of a Worker.

    Raises ApiError 409 for a host name that another Worker has, unless `override_existing_origin` allows the move.
    """
    body = call.fields(unparsable)
    wanted = _origins(body.required("origins"))
    may_take = body.flag("override_existing_origin") or False
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        kept = {_attach(change.db, worker["id"], part, may_take=may_take) for part in wanted}
        for row in change.db.execute("SELECT id FROM worker_domains WHERE worker_id = ?", (worker["id"],)).fetchall():
            if row["id"] not in kept:
                change.db.execute("DELETE FROM worker_domains WHERE id = ?", (row["id"],))
    return Reply([_record(_find(call.cloud.db, domain_id)) for domain_id in sorted(kept)])


def _attach(db: sqlite3.Connection, worker_id: str, part: Fields, *, may_take: bool = True) -> str:
    """Give a Worker a host name. Return the domain's id, which changes with the Worker."""
    zone, hostname = _zone_and_hostname(db, part)
    row = db.execute(f"{_SELECT} WHERE hostname = ?", (hostname,)).fetchone()
    if row is not None and row["worker_id"] == worker_id:
        values = (zone["id"], _enabled(part), row["id"])
        db.execute("UPDATE worker_domains SET zone_id = ?, enabled = ? WHERE id = ?", values)
        return row["id"]
    if row is not None and not may_take:
        message = f"Hostname '{hostname}' is already a custom domain of Worker '{row['service']}'"
        raise ApiError(409, 100116, message)
    db.execute("DELETE FROM worker_domains WHERE hostname = ?", (hostname,))
    domain_id = uuid.uuid4().hex
    row = (domain_id, zone["id"], worker_id, hostname, str(uuid.uuid4()), _enabled(part))
    db.execute("INSERT INTO worker_domains VALUES (?, ?, ?, ?, ?, ?)", row)
    return domain_id


def _origins(value: Json) -> list[Fields]:
    return objects(array(value, unparsable, "origins"), unparsable)


def _zone_and_hostname(db: sqlite3.Connection, part: Fields) -> tuple[sqlite3.Row, str]:
    hostname = part.required_text("hostname").lower()
    if not zones.HOSTNAME.fullmatch(hostname):
        raise part.wrong("hostname", f"Expected a name without wildcard and path, received '{hostname}'")
    zone = zones.chosen(db, part.text("zone_id"), part.text("zone_name"), hostname)
    if not zones.includes(zone["name"], hostname):
        raise part.wrong("hostname", f"'{hostname}' is not in zone {zone['name']}")
    if part.flag("previews_enabled"):
        where = "they are at VERSION-WORKER.localhost"
        raise ApiError(501, 10021, f"The local Cloudflare does not have previews of {hostname} ({where})")
    return zone, hostname


def _enabled(part: Fields) -> bool:
    return part.flag("enabled") is not False


def _check_environment(body: Fields) -> None:
    if body.text("environment") not in (None, "", _ENVIRONMENT):
        raise ApiError(501, 10021, "The local Cloudflare does not have environments of a Worker (environment)")


def _listed(call: Call) -> list[sqlite3.Row]:
    asked = {
        "hostname": call.argument("hostname"),
        "service": call.argument("service"),
        "zone_id": call.argument("zone_id"),
        "zone_name": call.argument("zone_name"),
    }
    if call.argument("environment") not in (None, "", _ENVIRONMENT):
        return []
    rows = call.cloud.db.execute(f"{_SELECT} ORDER BY hostname").fetchall()
    return [row for row in rows if all(value in (None, "", row[name]) for name, value in asked.items())]


def _find(db: sqlite3.Connection, domain_id: str) -> sqlite3.Row:
    row = db.execute(f"{_SELECT} WHERE d.id = ?", (domain_id,)).fetchone()
    if row is None:
        raise ApiError(404, 100115, f"There is no custom domain {domain_id}")
    return row


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    return {
        "id": row["id"],
        "cert_id": row["certificate_id"],
        "environment": _ENVIRONMENT,
        "hostname": row["hostname"],
        "service": row["service"],
        "zone_id": row["zone_id"],
        "zone_name": row["zone_name"],
    }


def _record(row: sqlite3.Row) -> dict[str, Json]:
    return _describe(row) | {"enabled": bool(row["enabled"]), "previews_enabled": False}


_SELECT = (
    "SELECT d.*, z.name AS zone_name, w.name AS service FROM worker_domains d"
    " JOIN zones z ON z.id = d.zone_id JOIN workers w ON w.id = d.worker_id"
)
_ALL = "/accounts/{account_id}/workers/domains"
_RECORDS = _ALL + "/records"
_OF_SCRIPT = "/accounts/{account_id}/workers/scripts/{script_name}/domains"

ROUTES = (
    Route("PUT", _ALL, put_domain),
    Route("GET", _ALL, list_domains),
    Route("GET", _ALL + "/{domain_id}", get_domain),
    Route("DELETE", _ALL + "/{domain_id}", delete_domain),
    Route("GET", _RECORDS, list_records),
    Route("GET", _RECORDS + "/{domain_id}", get_record),
    Route("POST", _OF_SCRIPT + "/changeset", compare_script_domains),
    Route("PUT", _OF_SCRIPT + "/records", put_script_domains),
)
