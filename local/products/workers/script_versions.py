"""Versions below workers/scripts, as wrangler uploads and reads them.

The formats are those of Cloudflare's API reference (workers/scripts/versions), and of recorded answers, see scripts.py.
"""

import json
import sqlite3
from typing import Any

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import unparsable
from local.api.routing import Call, Route
from local.products.durable_objects import namespaces as durable_objects
from local.products.identity.identity import AUTHOR_EMAIL, AUTHOR_ID
from local.products.workers import bindings, desired_state, previews, uploads, workers
from local.products.workers import versions as worker_versions
from local.products.workers.script_forms import read_form

_PAGE_SIZE = 10  # recorded
_LARGEST_PAGE = 100
_MODULES_ONLY = (  # quoted
    "Version upload failed. You attempted to upload a Service Worker syntax script to the version upload API, which"
    " only supports ES Modules. See https://developers.cloudflare.com/workers/reference/migrate-to-module-workers/ for"
    " migration instructions."
)
_VERSION_UPLOAD = "version_upload"  # quoted in public code, from the real API


@uploads.taking_uploads
async def create_version(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/versions: uploads a version without deploying it."""
    form = read_form(call)
    if form.metadata.has("body_part"):
        raise ApiError(400, 10216, _MODULES_ONLY)
    strict = call.argument("bindings_inherit") == "strict"
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    previous = worker_versions.latest(call.cloud.db, worker["id"])
    modules = await uploads.keep_code(call, form.modules)
    draft = await uploads.prepare(call, form.metadata, modules, previous, strict=strict)
    async with call.cloud.change() as change:
        worker = workers.find(change.db, worker["id"])
        uploads.keep(call, change, worker, draft, triggered_by=_VERSION_UPLOAD)
    row = worker_versions.find(call.cloud.db, worker["id"], draft.version_id)
    return Reply(_describe(call.cloud.db, row) | {"startup_time_ms": draft.startup_time_ms})


async def list_versions(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/versions: newest first; all of them are ?deployable."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    rows = worker_versions.rows(call.cloud.db, worker["id"])
    page = call.page(len(rows), unparsable, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_outline(call.cloud.db, row) for row in page.cut(rows)]
    return Reply({"items": shown}, page.info(len(shown)))


async def get_version(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/versions/{version_id}."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    row = worker_versions.find(call.cloud.db, worker["id"], call.path["version_id"])
    return Reply(_describe(call.cloud.db, row))


def _describe(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    return {**_outline(db, row), "resources": _resources(db, row)}


def _outline(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    noted = uploads.annotations(json.loads(row["upload"]))
    return {
        "id": row["id"],
        "number": row["number"],
        "metadata": {
            "author_id": AUTHOR_ID,
            "author_email": AUTHOR_EMAIL,
            "created_on": row["created_on"],
            "modified_on": row["created_on"],
            "source": row["source"],
            "has_preview": previews.has_preview(db, row["worker_id"]),
        },
        **({"annotations": noted} if noted else {}),
    }


def _resources(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    upload: dict[str, Any] = json.loads(row["upload"])
    lifecycle = durable_objects.describe(upload)
    return {
        "bindings": [bindings.describe(binding) for binding in upload["bindings"]],
        "script": {
            "etag": uploads.etag(desired_state.modules_of(db, row["id"])),
            "handlers": json.loads(row["handlers"]),
            "named_handlers": upload.get("named_handlers", []),
            "last_deployed_from": row["source"],
        },
        "script_runtime": {
            "compatibility_date": upload["compatibility_date"],
            "compatibility_flags": upload["compatibility_flags"],
            "usage_model": upload["usage_model"],
            "limits": upload["echo"].get("limits", {}),
            **{name: lifecycle[name] for name in ("migration_tag", "exports") if name in lifecycle},
        },
    }


_VERSIONS = "/accounts/{account_id}/workers/scripts/{script_name}/versions"

ROUTES = (
    Route("POST", _VERSIONS, create_version),
    Route("GET", _VERSIONS, list_versions),
    Route("GET", _VERSIONS + "/{version_id}", get_version),
)
