"""D1: databases, and SQL in them.

Codes and texts marked (recorded) come from answers of the real API, recorded on 2026-09-29 and published in
chenhunghan/flare-operator, test/recordings; those marked (quoted) are quoted by users in public code and issues.
"""

import asyncio
import re
import sqlite3
import uuid
from typing import Any

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields, one_of
from local.api.routing import Call, Route
from local.products.d1.sql import statements
from local.runtime.data_plane_client import DataPlaneRefusedError

# https://developers.cloudflare.com/d1/platform/limits/
MAX_STATEMENT_BYTES = 100_000
MAX_BOUND_PARAMETERS = 100

_PAGE_SIZE = 100  # recorded
_LARGEST_PAGE = 10_000
_LOCATIONS = ("wnam", "enam", "weur", "eeur", "apac", "oc")
_JURISDICTIONS = ("eu", "fedramp", "us")
_REPLICATION_MODES = ("auto", "disabled")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EMPTY_FILE_BYTES = 8192  # recorded for a database without tables
_HOME = "WEUR"  # the region of a database for which none was chosen


async def create_database(call: Call) -> Reply:
    """POST /d1/database."""
    body = call.fields(invalid)
    database_id, name = call.chosen_id("d1", _ID, invalid) or str(uuid.uuid4()), _name(body)
    row = {
        "uuid": database_id,
        "name": name,
        "created_on": now(),
        "jurisdiction": body.choice("jurisdiction", _JURISDICTIONS),
        "location": _location(body),
        "read_replication": _replication(body),
    }
    async with call.cloud.change() as change:
        try:
            change.db.execute(
                "INSERT INTO d1_databases VALUES"
                " (:uuid, :name, :created_on, :jurisdiction, :location, :read_replication)",
                row,
            )
        except sqlite3.IntegrityError as error:
            if change.db.execute("SELECT 1 FROM d1_databases WHERE uuid = ?", (database_id,)).fetchone():
                raise ApiError(400, 7502, f"Database with id: '{database_id}' already exists") from error
            raise ApiError(400, 7502, f"Database with name: '{name}' already exists") from error  # recorded
    details = await _details(call, find(call.cloud.db, database_id))
    return Reply(details | {"created_in_region": details["running_in_region"]})


async def list_databases(call: Call) -> Reply:
    """GET /d1/database: `name` matches parts of names. Items have no region and no read_replication (recorded)."""
    name = call.argument("name") or ""
    rows = call.cloud.db.execute("SELECT * FROM d1_databases ORDER BY created_on, uuid").fetchall()
    found = [row for row in rows if name in row["name"]]
    page = call.page(len(found), invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_base(row) | await _measure(call, row["uuid"]) for row in page.cut(found)]
    return Reply(shown, page.info(len(shown)))


async def get_database(call: Call) -> Reply:
    """GET /d1/database/{database_id}: by id, or by name as wrangler does; `fields` selects fields."""
    details = await _details(call, find(call.cloud.db, call.path["database_id"]))
    chosen = call.argument("fields")
    return Reply(details if chosen is None else {k: v for k, v in details.items() if k in chosen.split(",")})


async def update_database(call: Call) -> Reply:
    """PUT and PATCH /d1/database/{database_id}: only read_replication can change; null leaves it unset.

    The provider also sends the name, and null for a read_replication that the program does not set.
    """
    body = call.fields(invalid)
    if body.has("name") and call.method == "PUT":
        _name(body)
    mode = _replication(body)
    async with call.cloud.change() as change:
        row = find(change.db, call.path["database_id"])
        if body.has("name") and body.text("name") != row["name"]:
            raise ApiError(400, 7400, "Invalid property: name => a database cannot be renamed")
        if "read_replication" in body.values:
            change.db.execute("UPDATE d1_databases SET read_replication = ? WHERE uuid = ?", (mode, row["uuid"]))
    return Reply(await _details(call, find(call.cloud.db, row["uuid"])))


async def delete_database(call: Call) -> Reply:
    """DELETE /d1/database/{database_id}: Cloudflare deletes even a database that a Worker binds."""
    async with call.cloud.change() as change:
        row = find(change.db, call.path["database_id"])
        change.db.execute("DELETE FROM d1_databases WHERE uuid = ?", (row["uuid"],))
        change.add_tombstone("d1", row["uuid"])
    return Reply(None)


async def query(call: Call) -> Reply:
    """POST /d1/database/{database_id}/query: rows as objects, one result for each statement."""
    return Reply(await _run(call, "objects"))


async def raw(call: Call) -> Reply:
    """POST /d1/database/{database_id}/raw: rows as arrays, with the names of their columns."""
    return Reply(await _run(call, "arrays"))


async def _run(call: Call, shape: str) -> Json:
    row = find(call.cloud.db, call.path["database_id"])
    body = call.fields(invalid)
    batch = body.objects("batch")
    parts = batch if batch is not None else [body]
    queries = await asyncio.to_thread(lambda: [query for part in parts for query in _queries(part)])
    if not queries:
        raise no_statements()
    try:
        answer = await call.cloud.data_plane.call("d1", row["uuid"], "query", {"queries": queries, "format": shape})
        return answer["results"]
    except DataPlaneRefusedError as error:
        if error.kind != "sql":
            raise
        raise ApiError(400, 7500, error.message) from error  # quoted: "no such table: t: SQLITE_ERROR [code: 7500]"


def _queries(body: Fields) -> list[dict[str, Any]]:
    parts = statements(body.required_text("sql"))
    params = body.items("params") or []
    if len(parts) > 1 and params:  # recorded
        raise ApiError(400, 7400, "The request is malformed: params with multiple statements is not supported")
    check_statements(parts)
    if len(params) > MAX_BOUND_PARAMETERS:
        raise ApiError(400, 7500, "too many SQL variables: SQLITE_ERROR")
    for index, param in enumerate(params):
        if isinstance(param, list | dict):
            raise body.wrong(f"params.{index}", "Expected string, number, boolean or null")
    return [{"sql": part, "params": params} for part in parts]


def check_statements(parts: list[str]) -> None:
    """Refuse statements that are too long. Raises ApiError 7500 (quoted)."""
    if any(len(part.encode()) > MAX_STATEMENT_BYTES for part in parts):
        raise ApiError(400, 7500, "statement too long: SQLITE_TOOBIG")


def no_statements() -> ApiError:
    """Return the error for SQL without a statement."""
    return ApiError(400, 7500, "No SQL statements detected.")


def find(db: sqlite3.Connection, name_or_id: str) -> sqlite3.Row:
    """Read a database by id or name. Raises ApiError 7404 (recorded)."""
    row = db.execute("SELECT * FROM d1_databases WHERE uuid = ?1 OR name = ?1", (name_or_id,)).fetchone()
    if row is None:
        raise ApiError(404, 7404, f"The database {name_or_id} could not be found")
    return row


def _base(row: sqlite3.Row) -> dict[str, Json]:
    return {
        "uuid": row["uuid"],
        "name": row["name"],
        "created_at": row["created_on"],
        "version": "production",
        "jurisdiction": row["jurisdiction"],
    }


async def _details(call: Call, row: sqlite3.Row) -> dict[str, Json]:
    """Describe a database in full.

    The real API always returns a read_replication. Here it is left out until it is set, because otherwise the provider
    would propose for ever to unset it (provider bug, terraform-provider-cloudflare #6309).
    """
    details = _base(row) | await _measure(call, row["uuid"])
    details["running_in_region"] = (row["location"] or _HOME).upper()
    if row["read_replication"] is not None:
        details["read_replication"] = {"mode": row["read_replication"]}
    return details


async def _measure(call: Call, database_id: str) -> dict[str, Json]:
    """Return the number of tables and bytes; an unused database is not created for it."""
    sql = "SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'"
    try:
        body: dict[str, Json] = {"queries": [{"sql": sql, "params": []}], "format": "objects"}
        [result] = (await call.cloud.data_plane.call("d1", database_id, "query", body))["results"]
    except DataPlaneRefusedError:
        return {"num_tables": 0, "file_size": _EMPTY_FILE_BYTES}
    return {"num_tables": result["results"][0]["tables"], "file_size": result["meta"].get("size_after", 0)}


def _name(body: Fields) -> str:
    name = body.required_text("name")
    if not _NAME.fullmatch(name):
        raise body.wrong("name", "Invalid: 1 to 63 letters, digits, hyphens and underscores")
    return name


def _location(body: Fields) -> str | None:
    """Read primary_location_hint; the API also accepts it in capitals (recorded in an error's list of options)."""
    hint = body.text("primary_location_hint")
    if hint is not None and hint.lower() not in _LOCATIONS:
        options = one_of(location.upper() for location in _LOCATIONS)
        raise body.wrong("primary_location_hint", f"Invalid enum value. Expected {options}")
    return None if hint is None else hint.lower()


def _replication(body: Fields) -> str | None:
    replication = body.fields("read_replication")
    if replication is None:
        return None
    replication.required_text("mode")
    return replication.choice("mode", _REPLICATION_MODES)


def invalid(path: str, problem: str) -> ApiError:
    """Return D1's error about a field, 7400 (recorded form: "Invalid property: name => Required")."""
    where = f"Invalid property: {path} => {problem}" if path else f"The request is malformed: {problem}"
    return ApiError(400, 7400, where)


ROUTES = (
    Route("POST", "/accounts/{account_id}/d1/database", create_database),
    Route("GET", "/accounts/{account_id}/d1/database", list_databases),
    Route("GET", "/accounts/{account_id}/d1/database/{database_id}", get_database),
    Route("PUT", "/accounts/{account_id}/d1/database/{database_id}", update_database),
    Route("PATCH", "/accounts/{account_id}/d1/database/{database_id}", update_database),
    Route("DELETE", "/accounts/{account_id}/d1/database/{database_id}", delete_database),
    Route("POST", "/accounts/{account_id}/d1/database/{database_id}/query", query),
    Route("POST", "/accounts/{account_id}/d1/database/{database_id}/raw", raw),
)
