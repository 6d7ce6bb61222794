"""Versions of a Worker: code and bindings, never changed once uploaded.

An upload runs in a workerd of its own before it is kept, so what does not start is refused with the runtime's message.
Texts marked (quoted) are of the real API, quoted in public code.
"""

import base64
import binascii
import gzip
import json
import re
import sqlite3
import uuid
from functools import partial
from typing import Any

from local.control_plane import bindings, deployments, desired_state, durable_objects, queue_consumers, workers
from local.control_plane.envelope import ApiError, Json, Reply, now
from local.control_plane.fields import Fields
from local.control_plane.identity import AUTHOR_EMAIL, AUTHOR_ID
from local.control_plane.routing import Call, Route

# https://developers.cloudflare.com/workers/platform/limits/#worker-size, paid plan
MAX_COMPRESSED_BYTES = 10 * 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024

_DEFAULT_COMPATIBILITY_DATE = "2021-11-02"  # documented: what a Worker without a date runs with
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONTENT_TYPES = (
    "application/javascript+module",
    "text/javascript+module",
    "application/wasm",
    "text/plain",
    "application/octet-stream",
    "application/json",
    "application/source-map",
)
_USAGE_MODELS = ("standard", "bundled", "unbound")
_ECHOED = ("annotations", "cache_options", "limits", "package_dependencies", "placement")  # kept, without effect here
_ELSEWHERE = ("assets", "containers")
_SHORTEST_PREFIX = 8  # of a version's id, documented
_PAGE_SIZE = 10
_LARGEST_PAGE = 100


async def create_version(call: Call) -> Reply:
    """POST /workers/workers/{worker_id}/versions; ?deploy=true sends all traffic to it at once."""
    body = call.fields(_invalid)
    worker = workers.find(call.cloud.db, call.path["worker_id"])
    modules = _modules(body)
    upload = _upload(call.cloud.db, body, modules)
    version_id = str(uuid.uuid4())
    report = await call.cloud.data_plane.validate(desired_state.runnable(upload, version_id, modules))
    _check_handlers(call.cloud.db, worker["id"], report)
    upload["workflow_classes"] = report["workflow_classes"]
    deploys = call.argument("deploy") == "true"
    async with call.cloud.change() as change:
        worker = workers.find(change.db, worker["id"])
        bindings.check_still_bound(change.db, upload["bindings"])
        upload["classes"] = [named["name"] for named in report["named_handlers"] if named["handlers"] == ["class"]]
        for namespace_id in durable_objects.apply_lifecycle(change.db, worker, upload, deploys=deploys):
            change.finally_do(partial(call.cloud.data_plane.delete_objects, namespace_id))
        durable_objects.bind(change.db, worker["id"], upload["bindings"], upload["classes"])
        _insert(change.db, worker["id"], version_id, upload, modules, report)
        if deploys:
            split = [{"percentage": 100, "version_id": version_id}]
            deployments.insert(change.db, worker["id"], split, {})
    return Reply(_describe(call.cloud.db, find(call.cloud.db, worker["id"], version_id), with_modules=True))


async def list_versions(call: Call) -> Reply:
    """GET /workers/workers/{worker_id}/versions: newest first."""
    worker = workers.find(call.cloud.db, call.path["worker_id"])
    found = rows(call.cloud.db, worker["id"])
    page = call.page(len(found), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(call.cloud.db, row, with_modules=False) for row in page.cut(found)]
    return Reply(shown, page.info(len(shown)))


async def get_version(call: Call) -> Reply:
    """GET /workers/workers/{worker_id}/versions/{version_id}; ?include=modules brings the code."""
    worker = workers.find(call.cloud.db, call.path["worker_id"])
    row = find(call.cloud.db, worker["id"], call.path["version_id"])
    include = call.argument("include")
    if include not in (None, "modules"):
        raise _invalid("include", "Invalid enum value. Expected 'modules'")
    return Reply(_describe(call.cloud.db, row, with_modules=include is not None))


async def delete_version(call: Call) -> Reply:
    """DELETE /workers/workers/{worker_id}/versions/{version_id}: not of one that is deployed."""
    async with call.cloud.change() as change:
        worker = workers.find(change.db, call.path["worker_id"])
        row = find(change.db, worker["id"], call.path["version_id"])
        if any(part["version_id"] == row["id"] for part in desired_state.split_of(change.db, worker["id"])):
            raise ApiError(400, 10021, "This version is part of the active deployment and cannot be deleted.")
        change.db.execute("DELETE FROM worker_versions WHERE id = ?", (row["id"],))
    return Reply(None)


def _upload(db: sqlite3.Connection, body: Fields, modules: list[dict[str, str]]) -> dict[str, Any]:
    """Read a version without its modules, as it is stored."""
    for name in _ELSEWHERE:
        if body.values.get(name):
            raise ApiError(501, 10021, f"The local Cloudflare does not have {name} of a Worker version")
    lifecycle = durable_objects.read_lifecycle(body)
    main_module = body.required_text("main_module")
    if all(module["name"] != main_module for module in modules):
        raise ApiError(400, 10021, f'No such module "{main_module}".')
    date = body.text("compatibility_date")
    if date and not _DATE.fullmatch(date):
        raise body.wrong("compatibility_date", f"Expected a date like 2025-04-01, received '{date}'")
    return {
        "main_module": main_module,
        "compatibility_date": date or _DEFAULT_COMPATIBILITY_DATE,
        "compatibility_flags": body.texts("compatibility_flags") or [],
        "uploaded_on": now(),
        "usage_model": body.choice("usage_model", _USAGE_MODELS) or "standard",
        "bindings": bindings.read_bindings(db, body),
        "exports": lifecycle.exports,
        "migrations": lifecycle.migrations,
        "echo": {name: body.values[name] for name in _ECHOED if body.values.get(name) is not None}
        # The provider compares these with what its program says, null and empty being different things to it.
        | {name: body.values[name] for name in ("compatibility_date", "compatibility_flags") if body.has(name)},
    }


def _modules(body: Fields) -> list[dict[str, str]]:
    parts = body.objects("modules")
    if not parts:
        raise ApiError(400, 10021, "A Worker version needs at least one module")
    modules = [_module(part) for part in parts]
    names = [module["name"] for module in modules]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ApiError(400, 10021, f'Duplicate module "{min(twice)}".')
    _check_size([base64.b64decode(module["content_base64"]) for module in modules])
    return modules


def _module(part: Fields) -> dict[str, str]:
    content_type = part.required_text("content_type")
    if content_type not in _CONTENT_TYPES:
        raise part.wrong("content_type", f"Unsupported content type '{content_type}'")
    content = part.required("content_base64")
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise part.wrong("content_base64", "Invalid base64") from error
    return {"name": part.required_text("name"), "content_type": content_type, "content_base64": content}


def _check_size(contents: list[bytes]) -> None:
    """Refuse what is too large. Raises ApiError 10027 (quoted, for the free plan's 3 MiB)."""
    size = sum(map(len, contents))
    too_large = size > MAX_BYTES
    if size > MAX_COMPRESSED_BYTES and not too_large:
        too_large = len(gzip.compress(b"".join(contents), compresslevel=6)) > MAX_COMPRESSED_BYTES
    if too_large:
        raise ApiError(413, 10027, "Your Worker exceeded the size limit of 10 MiB.")


def _check_handlers(db: sqlite3.Connection, worker_id: str, report: dict[str, Any]) -> None:
    """Refuse code that answers nothing (10068, quoted), or no messages where the Worker consumes a queue (11001)."""
    if not report["handlers"] and not report["named_handlers"]:
        raise ApiError(400, 10068, "The uploaded script has no registered event handlers.")
    consumes = db.execute("SELECT 1 FROM queue_consumers WHERE worker_id = ?", (worker_id,)).fetchone()
    if consumes is not None and "queue" not in report["handlers"]:
        raise queue_consumers.queue_handler_missing()


def _insert(
    db: sqlite3.Connection,
    worker_id: str,
    version_id: str,
    upload: dict[str, Any],
    modules: list[dict[str, str]],
    report: dict[str, Any],
) -> None:
    last = db.execute("SELECT max(number) AS last FROM worker_versions WHERE worker_id = ?", (worker_id,)).fetchone()
    db.execute(
        "INSERT INTO worker_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version_id,
            worker_id,
            (last["last"] or 0) + 1,
            now(),
            "api",
            report["startup_time_ms"],
            json.dumps(report["handlers"]),
            json.dumps(upload),
        ),
    )
    db.executemany(
        "INSERT INTO worker_modules VALUES (?, ?, ?, ?, ?)",
        [
            (version_id, position, module["name"], module["content_type"], module["content_base64"])
            for position, module in enumerate(modules)
        ],
    )


def rows(db: sqlite3.Connection, worker_id: str) -> list[sqlite3.Row]:
    """Read all versions of a Worker, newest first."""
    return db.execute("SELECT * FROM worker_versions WHERE worker_id = ? ORDER BY number DESC", (worker_id,)).fetchall()


def find(db: sqlite3.Connection, worker_id: str, wanted: str) -> sqlite3.Row:
    """Find a version by id, by the start of an id, or by the word latest. Raises ApiError 100146."""
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


def _describe(db: sqlite3.Connection, row: sqlite3.Row, *, with_modules: bool) -> dict[str, Json]:
    upload: dict[str, Any] = json.loads(row["upload"])
    description: dict[str, Json] = {
        "id": row["id"],
        "number": row["number"],
        "created_on": row["created_on"],
        "source": row["source"],
        "author_id": AUTHOR_ID,
        "author_email": AUTHOR_EMAIL,
        "startup_time_ms": row["startup_time_ms"],
        "urls": [],
        "main_module": upload["main_module"],
        "usage_model": upload["usage_model"],
        "bindings": [bindings.describe(binding) for binding in upload["bindings"]],
        **upload["echo"],
        **durable_objects.describe(upload),
    }
    if with_modules:
        description["modules"] = desired_state.modules_of(db, row["id"])
    return description


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10021, f"Invalid Worker version: {path or 'body'}: {problem}")


ROUTES = (
    Route("POST", "/accounts/{account_id}/workers/workers/{worker_id}/versions", create_version),
    Route("GET", "/accounts/{account_id}/workers/workers/{worker_id}/versions", list_versions),
    Route("GET", "/accounts/{account_id}/workers/workers/{worker_id}/versions/{version_id}", get_version),
    Route("DELETE", "/accounts/{account_id}/workers/workers/{worker_id}/versions/{version_id}", delete_version),
)
