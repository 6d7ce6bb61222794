"""Workers as the routes below workers/scripts show them, which wrangler reads: their versions and their subdomain.

The shapes are those of Cloudflare's API reference (workers/scripts/versions, workers/scripts/subdomain).
"""

import hashlib
import json
import sqlite3
from typing import Any

from local.control_plane import bindings, desired_state, worker_versions, workers
from local.control_plane.envelope import ApiError, Json, Reply, now
from local.control_plane.identity import AUTHOR_EMAIL, AUTHOR_ID
from local.control_plane.routing import Call, Route

_PAGE_SIZE = 10
_LARGEST_PAGE = 100
_ANNOTATIONS = "annotations"


async def list_versions(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/versions: newest first; ?deployable is true of all of them."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    rows = worker_versions.rows(call.cloud.db, worker["id"])
    page = call.page(len(rows), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_outline(row) for row in page.cut(rows)]
    return Reply({"items": shown}, page.info(len(shown)))


async def get_version(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/versions/{version_id}."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    row = worker_versions.find(call.cloud.db, worker["id"], call.path["version_id"])
    return Reply({**_outline(row), "resources": _resources(call.cloud.db, row)})


async def get_subdomain(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/subdomain."""
    return Reply(_subdomain(workers.find_script(call.cloud.db, call.path["script_name"])))


async def set_subdomain(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/subdomain: what is left out stays as it is."""
    body = call.fields(_invalid)
    body.required("enabled")
    given = {name: body.flag(name) for name in ("enabled", "previews_enabled") if body.has(name)}
    async with call.cloud.change() as change:
        row = workers.find_script(change.db, call.path["script_name"])
        settings = json.loads(row["settings"])
        settings["subdomain"] |= given
        change.db.execute(
            "UPDATE workers SET settings = ?, updated_on = ? WHERE id = ?", (json.dumps(settings), now(), row["id"])
        )
    return Reply(_subdomain(workers.find(call.cloud.db, row["id"])))


def _subdomain(row: sqlite3.Row) -> dict[str, Json]:
    return json.loads(row["settings"])["subdomain"]


def _outline(row: sqlite3.Row) -> dict[str, Json]:
    echo: dict[str, Any] = json.loads(row["upload"])["echo"]
    return {
        "id": row["id"],
        "number": row["number"],
        "metadata": {
            "author_id": AUTHOR_ID,
            "author_email": AUTHOR_EMAIL,
            "created_on": row["created_on"],
            "modified_on": row["created_on"],
            "source": row["source"],
            "has_preview": False,
        },
        **({_ANNOTATIONS: echo[_ANNOTATIONS]} if _ANNOTATIONS in echo else {}),
    }


def _resources(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    upload: dict[str, Any] = json.loads(row["upload"])
    modules = json.dumps(desired_state.modules_of(db, row["id"]))
    return {
        "bindings": [bindings.describe(binding) for binding in upload["bindings"]],
        "script": {
            "etag": hashlib.sha256(modules.encode()).hexdigest(),
            "handlers": json.loads(row["handlers"]),
            "last_deployed_from": row["source"],
        },
        "script_runtime": {
            "compatibility_date": upload["compatibility_date"],
            "compatibility_flags": upload["compatibility_flags"],
            "usage_model": upload["usage_model"],
            "limits": upload["echo"].get("limits", {}),
        },
    }


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10026, f"Could not parse request body: {path or 'body'}: {problem}")


ROUTES = (
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/versions", list_versions),
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/versions/{version_id}", get_version),
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/subdomain", get_subdomain),
    Route("POST", "/accounts/{account_id}/workers/scripts/{script_name}/subdomain", set_subdomain),
)
