"""Versions of a Worker: code and bindings, which never change after the upload."""

import asyncio
import base64
import binascii
import json
import sqlite3
from typing import Any

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields
from local.api.routing import Call, Route
from local.core.code_files import Module, NewModule
from local.products.assets import assets
from local.products.durable_objects import namespaces as durable_objects
from local.products.identity.identity import AUTHOR_EMAIL, AUTHOR_ID
from local.products.workers import bindings, deployments, desired_state, previews, uploads, workers

_SHORTEST_PREFIX = 8  # of a version's id, documented
_PAGE_SIZE = 10
_LARGEST_PAGE = 100
_CREATE_VERSION = "create_version_api"  # quoted in public code, from the real API


@uploads.taking_uploads
async def create_version(call: Call) -> Reply:
    """POST /workers/workers/{worker_id}/versions; ?deploy=true sends all traffic to it at once."""
    body = call.fields(uploads.invalid)
    modules = await uploads.keep_code(call, await asyncio.to_thread(_modules, body))
    write = uploads.deploy if call.argument("deploy") == "true" else uploads.keep
    worker = workers.find(call.cloud.db, call.path["worker_id"])
    draft = await uploads.prepare(call, body, modules, latest(call.cloud.db, worker["id"]))
    async with call.cloud.change() as change:
        write(call, change, workers.find(change.db, worker["id"]), draft, triggered_by=_CREATE_VERSION)
    row = find(call.cloud.db, worker["id"], draft.version_id)
    return Reply(_describe(call.cloud.db, row) | await _modules_shown(call, row))


async def list_versions(call: Call) -> Reply:
    """GET /workers/workers/{worker_id}/versions: newest first."""
    worker = workers.find(call.cloud.db, call.path["worker_id"])
    found = rows(call.cloud.db, worker["id"])
    page = call.page(len(found), uploads.invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(call.cloud.db, row) for row in page.cut(found)]
    return Reply(shown, page.info(len(shown)))


async def get_version(call: Call) -> Reply:
    """GET /workers/workers/{worker_id}/versions/{version_id}; ?include=modules adds the code."""
    worker = workers.find(call.cloud.db, call.path["worker_id"])
    row = find(call.cloud.db, worker["id"], call.path["version_id"])
    include = call.argument("include")
    if include not in (None, "modules"):
        raise uploads.invalid("include", "Invalid enum value. Expected 'modules'")
    shown = await _modules_shown(call, row) if include else {}
    return Reply(_describe(call.cloud.db, row) | shown)


async def patch_version(call: Call) -> Reply:
    """PATCH /workers/workers/{worker_id}/versions/{version_id}: a JSON merge patch, which creates a new version.

    It supports the fields `env`, the bindings by name, and `annotations`, which wrangler sends. 10222 is the code that
    wrangler expects for a Worker without versions (wrangler/src/versions/secrets); the text is ours.
    """
    body = call.fields(uploads.invalid)
    beyond = sorted(set(body.values) - {"env", "annotations"})
    if beyond:
        raise ApiError(501, 10021, f"The local Cloudflare does not have {', '.join(beyond)} in a patch of a version")
    env = body.fields("env") or Fields({}, uploads.invalid, "env")
    given = body.fields("annotations") or Fields({}, uploads.invalid, "annotations")
    annotations = {name: given.text(name) for name in given.values if given.has(name)}
    async with call.cloud.change() as change:
        worker = workers.find(change.db, call.path["worker_id"])
        if latest(change.db, worker["id"]) is None:
            raise ApiError(404, 10222, "This Worker has no versions.")
        row = find(change.db, worker["id"], call.path["version_id"])
        changed = bindings.patched(change.db, json.loads(row["upload"])["bindings"], env)
        draft = uploads.revise(change.db, row, changed, annotations)
        uploads.keep(call, change, worker, draft, triggered_by="secret")
    return Reply(_describe(call.cloud.db, find(call.cloud.db, worker["id"], draft.version_id)))


async def delete_version(call: Call) -> Reply:
    """DELETE /workers/workers/{worker_id}/versions/{version_id}: refused for a deployed version."""
    async with call.cloud.change() as change:
        worker = workers.find(change.db, call.path["worker_id"])
        row = find(change.db, worker["id"], call.path["version_id"])
        if any(part["version_id"] == row["id"] for part in desired_state.split_of(change.db, worker["id"])):
            raise ApiError(400, 10021, "This version is part of the active deployment and cannot be deleted.")
        change.db.execute("DELETE FROM worker_versions WHERE id = ?", (row["id"],))
    return Reply(None)


def _modules(body: Fields) -> list[NewModule]:
    return [_module(part) for part in body.objects("modules") or []]


def _module(part: Fields) -> NewModule:
    content_type = part.required_text("content_type")
    content = part.required("content_base64")
    try:
        decoded = base64.b64decode(content, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise part.wrong("content_base64", "Invalid base64") from error
    return NewModule(part.required_text("name"), content_type, decoded)


async def _modules_shown(call: Call, row: sqlite3.Row) -> dict[str, Json]:
    """Return a version's code; a Worker with assets only has none."""
    if json.loads(row["upload"])["main_module"] is None:
        return {}

    def encoded(module: Module) -> dict[str, Json]:
        content = base64.b64encode(call.cloud.code.read(module["sha256"])).decode()
        return {"name": module["name"], "content_type": module["content_type"], "content_base64": content}

    modules = desired_state.modules_of(call.cloud.db, row["id"])
    return {"modules": await asyncio.to_thread(lambda: [encoded(module) for module in modules])}


def latest(db: sqlite3.Connection, worker_id: str) -> sqlite3.Row | None:
    """Read the last uploaded version; None if there is none."""
    return next(iter(rows(db, worker_id)), None)


def rows(db: sqlite3.Connection, worker_id: str) -> list[sqlite3.Row]:
    """Read all versions of a Worker, newest first."""
    return db.execute("SELECT * FROM worker_versions WHERE worker_id = ? ORDER BY number DESC", (worker_id,)).fetchall()


def deployed_latest(db: sqlite3.Connection, worker_id: str) -> sqlite3.Row | None:
    """Read the last uploaded version; None unless it has all traffic. Raises ApiError 10007 if there is none."""
    row = latest(db, worker_id)
    if row is None:
        raise workers.not_found()
    split = desired_state.split_of(db, worker_id)
    return row if [part["version_id"] for part in split] == [row["id"]] else None


def find(db: sqlite3.Connection, worker_id: str, wanted: str) -> sqlite3.Row:
    """Find a version by its id, by the beginning of its id, or by the word latest. Raises ApiError 100146."""
    versions = rows(db, worker_id)
    if wanted == "latest":
        found = versions[:1]
    elif len(wanted) >= _SHORTEST_PREFIX:
        found = [row for row in versions if row["id"].startswith(wanted)]
    else:
        found = []
    if len(found) != 1:
        raise deployments.version_not_found()
    return found[0]


def _describe(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    upload: dict[str, Any] = json.loads(row["upload"])
    noted = uploads.annotations(upload)
    bound = [bindings.describe(binding) for binding in upload["bindings"]]
    url = previews.url(db, workers.find(db, row["worker_id"]), row["id"])
    return {
        "id": row["id"],
        "number": row["number"],
        "created_on": row["created_on"],
        "source": row["source"],
        "author_id": AUTHOR_ID,
        "author_email": AUTHOR_EMAIL,
        "startup_time_ms": row["startup_time_ms"],
        "urls": [] if url is None else [url],
        "main_module": upload["main_module"],
        "usage_model": upload["usage_model"],
        **upload["echo"],
        **({"annotations": noted} if noted else {}),
        **({"bindings": bound} if bound else {}),  # the API leaves an empty list out: the provider's acceptance tests
        **durable_objects.describe(upload),
        **assets.describe(upload.get("assets")),
    }


ROUTES = (
    Route("POST", "/accounts/{account_id}/workers/workers/{worker_id}/versions", create_version),
    Route("GET", "/accounts/{account_id}/workers/workers/{worker_id}/versions", list_versions),
    Route("GET", "/accounts/{account_id}/workers/workers/{worker_id}/versions/{version_id}", get_version),
    Route("PATCH", "/accounts/{account_id}/workers/workers/{worker_id}/versions/{version_id}", patch_version),
    Route("DELETE", "/accounts/{account_id}/workers/workers/{worker_id}/versions/{version_id}", delete_version),
)
