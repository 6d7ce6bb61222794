"""Workflows and their versions; instances.py has their instances.

Codes 10001, 10002, 10200 and 10300 are the real API's (recorded in alchemy-run/distilled and in public bug reports),
and so are the texts workflows.api.error.internal_server, .body and .workflow.not_found. The real API says no more; the
text after a colon is ours. For a script that does not exist it answers 500 internal_server (recorded).
"""

import json
import re
import sqlite3
import uuid
from typing import Any

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields
from local.api.routing import Call, Route
from local.products.workers import desired_state

# https://developers.cloudflare.com/workflows/reference/limits/
MAX_STEPS = 25_000

_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_-]{0,63}")
_DURATION = re.compile(r"(?!0+(?:\.0+)? )\d+(?:\.\d+)? ?(?:second|minute|hour|day|week|month|year)s?")
_PAGE_SIZE = 10
_LARGEST_PAGE = 100
_HIGHEST_CONCURRENCY = 50_000
STATUSES = (
    "complete",
    "errored",
    "paused",
    "queued",
    "running",
    "terminated",
    "waiting",
    "waitingForPause",
    "rollingBack",
)


async def put_workflow(call: Call) -> Reply:
    """PUT /workflows/{workflow_name}: creates it, or gives it a new version, which its next instances run."""
    name = call.path["workflow_name"]
    if not _NAME.fullmatch(name):
        raise invalid("workflow_name", "Invalid: 1 to 64 letters, digits, hyphens and underscores")
    body = call.fields(invalid)
    script_name, class_name = body.required_text("script_name"), body.required_text("class_name")
    settings = _settings(body)
    moment = now()
    async with call.cloud.change() as change:
        _check_class(change.db, script_name, class_name)
        change.db.execute(
            "INSERT INTO workflows (id, name, script_name, class_name, created_on, modified_on)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
            " SET script_name = excluded.script_name, class_name = excluded.class_name,"
            " modified_on = excluded.modified_on",
            (str(uuid.uuid4()), name, script_name, class_name, moment, moment),
        )
        workflow_id = find(change.db, name)["id"]
        change.db.execute(
            "INSERT INTO workflow_versions (id, workflow_id, class_name, created_on, settings) VALUES (?, ?, ?, ?, ?)",
            (str(uuid.uuid4()), workflow_id, class_name, moment, json.dumps(settings)),
        )
    row = find(call.cloud.db, name)
    summary = await call.cloud.data_plane.call("workflows", row["id"], "summary")
    version = latest_version(call.cloud.db, row["id"])
    state = {"is_deleted": 0, "terminator_running": 0, "triggered_on": summary["triggered_on"]}
    return Reply(_base(row) | state | {"version_id": version["id"]})


async def list_workflows(call: Call) -> Reply:
    """GET /workflows: newest first; `search` matches parts of names."""
    wanted = call.argument("search") or ""
    rows = call.cloud.db.execute("SELECT * FROM workflows ORDER BY created_on DESC, name").fetchall()
    found = [row for row in rows if wanted in row["name"]]
    page = call.page(len(found), invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [await _describe(call, row) for row in page.cut(found)]
    return Reply(shown, page.info(len(shown)))


async def get_workflow(call: Call) -> Reply:
    """GET /workflows/{workflow_name}."""
    return Reply(await _describe(call, find(call.cloud.db, call.path["workflow_name"])))


async def delete_workflow(call: Call) -> Reply:
    """DELETE /workflows/{workflow_name}: deletes its instances too; the Worker stays."""
    async with call.cloud.change() as change:
        row = find(change.db, call.path["workflow_name"])
        change.db.execute("DELETE FROM workflows WHERE id = ?", (row["id"],))
        change.add_tombstone("workflows", row["id"])
    return Reply({"status": "ok", "success": True})


async def list_versions(call: Call) -> Reply:
    """GET /workflows/{workflow_name}/versions: newest first."""
    row = find(call.cloud.db, call.path["workflow_name"])
    versions = _versions(call.cloud.db, row["id"])
    page = call.page(len(versions), invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe_version(version) for version in page.cut(versions)]
    return Reply(shown, page.info(len(shown)))


async def get_version(call: Call) -> Reply:
    """GET /workflows/{workflow_name}/versions/{version_id}."""
    row = find(call.cloud.db, call.path["workflow_name"])
    for version in _versions(call.cloud.db, row["id"]):
        if version["id"] == call.path["version_id"]:
            return Reply(_describe_version(version))
    raise ApiError(404, 10300, "workflows.api.error.version.not_found")


def find(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    """Read a workflow by its name. Raises ApiError 10200."""
    row = db.execute("SELECT * FROM workflows WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise not_found()
    return row


def latest_version(db: sqlite3.Connection, workflow_id: str) -> sqlite3.Row:
    """Read the version that new instances run."""
    return _versions(db, workflow_id)[0]


def not_found() -> ApiError:
    """Return the error for an unknown workflow (recorded)."""
    return ApiError(404, 10200, "workflows.api.error.workflow.not_found")


def invalid(path: str, problem: str) -> ApiError:
    """Return the error about a body or a parameter."""
    return ApiError(400, 10002, f"workflows.api.error.body: {path or 'body'}: {problem}")


def _check_class(db: sqlite3.Connection, script_name: str, class_name: str) -> None:
    worker = db.execute("SELECT id FROM workers WHERE name = ?", (script_name,)).fetchone()
    if worker is None:
        raise _unusable(f"there is no Worker '{script_name}'")
    if not desired_state.split_of(db, worker["id"]):
        raise _unusable(f"Worker '{script_name}' has no deployment")
    if desired_state.version_with_class(db, worker["id"], class_name) is None:
        raise _unusable(f"the deployed code of Worker '{script_name}' does not export a workflow class '{class_name}'")


def _unusable(why: str) -> ApiError:
    return ApiError(500, 10001, f"workflows.api.error.internal_server: {why}")


def _settings(body: Fields) -> dict[str, Json]:
    """Read the settings that a version stores besides its class."""
    if body.items("schedules"):
        raise ApiError(501, 10002, "The local Cloudflare does not have schedules of a workflow: use a cron trigger")
    limits, concurrency = body.fields("limits"), body.fields("concurrency")
    if limits is not None:
        limits.integer("steps", 1, MAX_STEPS)
    if concurrency is not None:
        concurrency.integer("limit", 1, _HIGHEST_CONCURRENCY)
    check_retention(body.fields("default_retention"))
    names = ("limits", "concurrency", "default_retention")
    return {name: body.values[name] for name in names if body.has(name)}


def check_retention(part: Fields | None) -> None:
    """Refuse a value that is not a duration: milliseconds, or a text such as "7 days"."""
    for name in ("success_retention", "error_retention") if part is not None else ():
        value = part.values.get(name) if part is not None else None
        is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
        is_text = isinstance(value, str) and _DURATION.fullmatch(value)
        if part is not None and value is not None and not is_count and not is_text:
            raise part.wrong(name, 'Expected a number of milliseconds, or a text such as "7 days"')


def _versions(db: sqlite3.Connection, workflow_id: str) -> list[sqlite3.Row]:
    return db.execute(
        "SELECT * FROM workflow_versions WHERE workflow_id = ? ORDER BY sequence DESC", (workflow_id,)
    ).fetchall()


async def _describe(call: Call, row: sqlite3.Row) -> dict[str, Json]:
    summary = await call.cloud.data_plane.call("workflows", row["id"], "summary")
    exists = call.cloud.db.execute("SELECT 1 FROM workers WHERE name = ?", (row["script_name"],)).fetchone()
    return (
        _base(row)
        | {"triggered_on": summary["triggered_on"]}
        | {"instances": {status: summary["counts"].get(status, 0) for status in STATUSES}}
        | ({} if exists is not None else {"script_deleted": True})
    )


def _base(row: sqlite3.Row) -> dict[str, Json]:
    return {name: row[name] for name in ("id", "name", "class_name", "script_name", "created_on", "modified_on")}


def _describe_version(version: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": version["id"],
        "workflow_id": version["workflow_id"],
        "class_name": version["class_name"],
        "created_on": version["created_on"],
        "modified_on": version["created_on"],
        "has_dag": False,
        "language": "javascript",
        **json.loads(version["settings"]),
    }


ROUTES = (
    Route("GET", "/accounts/{account_id}/workflows", list_workflows),
    Route("GET", "/accounts/{account_id}/workflows/{workflow_name}", get_workflow),
    Route("PUT", "/accounts/{account_id}/workflows/{workflow_name}", put_workflow),
    Route("DELETE", "/accounts/{account_id}/workflows/{workflow_name}", delete_workflow),
    Route("GET", "/accounts/{account_id}/workflows/{workflow_name}/versions", list_versions),
    Route("GET", "/accounts/{account_id}/workflows/{workflow_name}/versions/{version_id}", get_version),
)
