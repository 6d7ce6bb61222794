"""Routes of Workers: patterns of addresses in a zone.

10019 is quoted from the real API; 10020 and 10022 were once documented, and occur in issues of workers-sdk. That an
unknown route has 10009 is quoted too; its text is ours.
"""

import sqlite3
import uuid

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields, array, objects, unparsable
from local.api.routing import Call, Route
from local.products.workers import workers
from local.products.zones import patterns, zones
from local.products.zones.patterns import normalized


async def create_route(call: Call) -> Reply:
    """POST /zones/{zone_id}/workers/routes."""
    body = call.fields(unparsable)
    async with call.cloud.change() as change:
        zone = zones.find(change.db, call.path["zone_id"])
        route_id = _insert(change.db, zone, body.required_text("pattern"), _worker_id(change.db, body.text("script")))
    return Reply(_describe(_find(call.cloud.db, zone["id"], route_id)))


async def list_routes(call: Call) -> Reply:
    """GET /zones/{zone_id}/workers/routes: all of them."""
    zone = zones.find(call.cloud.db, call.path["zone_id"])
    return Reply([_describe(row) for row in call.cloud.db.execute(f"{_SELECT} WHERE zone_id = ?", (zone["id"],))])


async def get_route(call: Call) -> Reply:
    """GET /zones/{zone_id}/workers/routes/{route_id}."""
    return Reply(_describe(_find(call.cloud.db, call.path["zone_id"], call.path["route_id"])))


async def replace_route(call: Call) -> Reply:
    """PUT /zones/{zone_id}/workers/routes/{route_id}: without a script, no Worker runs there."""
    body = call.fields(unparsable)
    async with call.cloud.change() as change:
        row = _find(change.db, call.path["zone_id"], call.path["route_id"])
        zone = zones.find(change.db, row["zone_id"])
        pattern = body.required_text("pattern")
        values = (_worker_id(change.db, body.text("script")), pattern, normalized(pattern, zone["name"]), row["id"])
        try:
            change.db.execute("UPDATE worker_routes SET worker_id = ?, pattern = ?, matches = ? WHERE id = ?", values)
        except sqlite3.IntegrityError as error:
            raise _duplicate() from error
    return Reply(_describe(_find(call.cloud.db, row["zone_id"], row["id"])))


async def delete_route(call: Call) -> Reply:
    """DELETE /zones/{zone_id}/workers/routes/{route_id}."""
    async with call.cloud.change() as change:
        row = _find(change.db, call.path["zone_id"], call.path["route_id"])
        change.db.execute("DELETE FROM worker_routes WHERE id = ?", (row["id"],))
    return Reply({"id": row["id"]})


async def put_script_routes(call: Call) -> Reply:
    """PUT /workers/scripts/{script_name}/routes: all routes of a Worker, in any zones; wrangler uses it.

    Not documented. The body is [{pattern, zone_id or zone_name}] (workers-sdk, deploy-helpers/src/triggers/
    publish-routes.ts); the answer is the patterns.
    """
    wanted = objects(array(call.json(unparsable), unparsable), unparsable)
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        kept = {_place(change.db, worker["id"], part) for part in wanted}
        rows = change.db.execute("SELECT id FROM worker_routes WHERE worker_id = ?", (worker["id"],)).fetchall()
        for row in rows:
            if row["id"] not in kept:
                change.db.execute("DELETE FROM worker_routes WHERE id = ?", (row["id"],))
    return Reply([part.values["pattern"] for part in wanted])


def _place(db: sqlite3.Connection, worker_id: str, part: Fields) -> str:
    """Give a Worker a route, unless it has it; return its id."""
    pattern = part.required_text("pattern")
    zone = zones.chosen(db, part.text("zone_id"), part.text("zone_name"), patterns.host_of(pattern))
    row = db.execute(
        "SELECT id FROM worker_routes WHERE zone_id = ? AND matches = ? AND worker_id = ?",
        (zone["id"], normalized(pattern, zone["name"]), worker_id),
    ).fetchone()
    return _insert(db, zone, pattern, worker_id) if row is None else row["id"]


def _insert(db: sqlite3.Connection, zone: sqlite3.Row, pattern: str, worker_id: str | None) -> str:
    row = (uuid.uuid4().hex, zone["id"], worker_id, pattern, normalized(pattern, zone["name"]))
    try:
        db.execute("INSERT INTO worker_routes VALUES (?, ?, ?, ?, ?)", row)
    except sqlite3.IntegrityError as error:
        raise _duplicate() from error
    return row[0]


def _worker_id(db: sqlite3.Connection, script: str | None) -> str | None:
    if not script:
        return None
    row = db.execute("SELECT id FROM workers WHERE name = ?", (script,)).fetchone()
    if row is None:
        why = "Please ensure this Worker exists and try again."
        raise ApiError(400, 10019, f"Cannot configure a route for a Worker which does not exist. {why}")
    return row["id"]


def _find(db: sqlite3.Connection, zone_id: str, route_id: str) -> sqlite3.Row:
    zone = zones.find(db, zone_id)
    row = db.execute(f"{_SELECT} WHERE zone_id = ? AND r.id = ?", (zone["id"], route_id)).fetchone()
    if row is None:
        raise ApiError(404, 10009, f"workers.api.error.route_not_found: there is no route {route_id} in this zone")
    return row


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    return {"id": row["id"], "pattern": row["pattern"], "script": row["script"]}


def _duplicate() -> ApiError:
    return ApiError(409, 10020, "workers.api.error.duplicate_route")


_SELECT = (
    "SELECT r.id, r.zone_id, r.pattern, w.name AS script FROM worker_routes r LEFT JOIN workers w ON w.id = r.worker_id"
)
_ALL = "/zones/{zone_id}/workers/routes"
_ONE = _ALL + "/{route_id}"

ROUTES = (
    Route("POST", _ALL, create_route),
    Route("GET", _ALL, list_routes),
    Route("GET", _ONE, get_route),
    Route("PUT", _ONE, replace_route),
    Route("DELETE", _ONE, delete_route),
    Route("PUT", "/accounts/{account_id}/workers/scripts/{script_name}/routes", put_script_routes),
)
