"""Workers as scripts: uploaded as a whole, replaced in place and deployed at once; and downloads of their code.

Formats marked (recorded) come from answers of the real API, recorded on 2026-09-29 and published in
chenhunghan/flare-operator, test/recordings; the others are those of Cloudflare's API reference (workers/scripts). Texts
marked (quoted) are texts of the real API that public code quotes.
"""

import asyncio
import json
import sqlite3
from typing import Any

from local.api.envelope import Json, RawReply, Reply
from local.api.fields import Fields, unparsable
from local.api.routing import Call, Route
from local.products.durable_objects import namespaces as durable_objects
from local.products.workers import desired_state, uploads, workers
from local.products.workers import versions as worker_versions
from local.products.workers.script_forms import code_reply, read_form
from local.products.workers.uploads import Draft
from local.runtime.data_plane_client import DataPlaneRefusedError

_UPLOAD = "upload"
_AUTOMATIC: dict[str, Json] = {  # recorded
    "workers/message": "Automatic deployment on upload.",
    "workers/triggered_by": _UPLOAD,
}


async def list_scripts(call: Call) -> Reply:
    """GET /workers/scripts: not paged (recorded); `tags`, such as one:yes,other:no, selects scripts by their tags."""
    wanted = _wanted_tags(call.argument("tags") or "")
    rows = call.cloud.db.execute("SELECT * FROM workers ORDER BY name").fetchall()
    shown = [describe(call.cloud.db, row) for row in rows]
    return Reply([script for script in shown if all((tag in script["tags"]) == has for tag, has in wanted.items())])


@uploads.taking_uploads
async def put_script(call: Call) -> Reply:
    """PUT /workers/scripts/{script_name}: a version that gets all traffic at once; a missing Worker is created."""
    form = read_form(call)
    name = call.path["script_name"]
    workers.check_name(name)
    strict = call.argument("bindings_inherit") == "strict"
    modules = await uploads.keep_code(call, form.modules)
    draft = await uploads.prepare(call, form.metadata, modules, _latest(call.cloud.db, name), strict=strict)
    annotations = _AUTOMATIC | draft.upload["echo"].get("annotations", {})
    refused_ports: set[int] = set()
    while True:
        try:
            async with call.cloud.change() as change:
                row = _find_or_insert(call, change.db, name, refused_ports)
                workers.store_settings(change.db, row["id"], _settings(row, form.metadata))
                uploads.deploy(call, change, row, draft, triggered_by=_UPLOAD, annotations=annotations)
            return Reply(describe(call.cloud.db, workers.find(call.cloud.db, row["id"])) | _told(draft))
        except DataPlaneRefusedError as error:
            if error.kind != "port_in_use":  # another process took the port between our check and the data plane's bind
                raise


async def get_code(call: Call) -> RawReply:
    """GET /workers/scripts/{script_name} and …/content/v2: the modules of the version in force, as a form."""
    row = current_version(call.cloud.db, workers.find_script(call.cloud.db, call.path["script_name"])["id"])
    if row is None:
        raise workers.not_found()
    modules = desired_state.modules_of(call.cloud.db, row["id"])
    upload, etag = json.loads(row["upload"]), uploads.etag(modules)
    return await asyncio.to_thread(code_reply, upload, modules, call.cloud.code, etag)


@uploads.taking_uploads
async def put_code(call: Call) -> Reply:
    """PUT /workers/scripts/{script_name}/content: replaces the modules, and leaves everything else unchanged."""
    form = read_form(call)
    row = workers.find_script(call.cloud.db, call.path["script_name"])
    version = worker_versions.latest(call.cloud.db, row["id"])
    if version is None:
        raise workers.not_found()
    modules = await uploads.keep_code(call, form.modules)
    draft = await uploads.prepare_like(call, version, form.main, modules)
    async with call.cloud.change() as change:
        row = workers.find(change.db, row["id"])
        uploads.deploy(call, change, row, draft, triggered_by=_UPLOAD, annotations=_AUTOMATIC)
    return Reply(describe(call.cloud.db, workers.find(call.cloud.db, row["id"])))


async def delete_script(call: Call) -> Reply:
    """DELETE /workers/scripts/{script_name}: refused if other Workers bind it, unless ?force=true."""
    async with call.cloud.change() as change:
        workers.delete(call, change, workers.find_script(change.db, call.path["script_name"]))
    return Reply(None)


async def get_subdomain(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/subdomain."""
    return Reply(_subdomain(workers.find_script(call.cloud.db, call.path["script_name"])))


async def set_subdomain(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/subdomain: missing fields are unchanged."""
    body = call.fields(unparsable)
    body.required("enabled")
    given = {name: body.flag(name) for name in ("enabled", "previews_enabled") if body.has(name)}
    return await _change_subdomain(call, given)


async def delete_subdomain(call: Call) -> Reply:
    """DELETE /workers/scripts/{script_name}/subdomain: disables it."""
    return await _change_subdomain(call, {"enabled": False, "previews_enabled": False})


def describe(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    """Return a Worker as a script, from the version in force (recorded: the answer to an upload)."""
    settings: dict[str, Json] = json.loads(row["settings"])
    return {
        "created_on": row["created_on"],
        "modified_on": row["deployed_on"] or row["updated_on"],
        "id": row["name"],
        "tag": row["id"],
        "tags": settings["tags"],
        "tail_consumers": workers.tail_consumers(settings),
        "logpush": settings["logpush"],
        "observability": settings["observability"],
        **({} if row["migration_tag"] is None else {"migration_tag": row["migration_tag"]}),
        **_describe_version(db, current_version(db, row["id"])),
    }


def current_version(db: sqlite3.Connection, worker_id: str) -> sqlite3.Row | None:
    """Read the version in force: the deployed one with the most traffic, or else the last upload."""
    deployed = desired_state.main_version_of(db, worker_id)
    if deployed is None:
        return worker_versions.latest(db, worker_id)
    return worker_versions.find(db, worker_id, deployed)


def _wanted_tags(pairs: str) -> dict[str, bool]:
    wanted: dict[str, bool] = {}
    for pair in filter(None, pairs.split(",")):
        tag, _, allowed = pair.rpartition(":")
        if not tag or allowed not in ("yes", "no"):
            raise unparsable("tags", f"Expected tag:yes or tag:no, received '{pair}'")
        wanted[tag] = allowed == "yes"
    return wanted


def _latest(db: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    row = db.execute("SELECT id FROM workers WHERE name = ?", (name,)).fetchone()
    return None if row is None else worker_versions.latest(db, row["id"])


def _find_or_insert(call: Call, db: sqlite3.Connection, name: str, refused_ports: set[int]) -> sqlite3.Row:
    row = db.execute("SELECT * FROM workers WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return row
    worker_id = workers.insert(db, name, workers.DEFAULT_SETTINGS, call.cloud.first_port, refused_ports)
    return workers.find(db, worker_id)


def _settings(row: sqlite3.Row, metadata: Fields) -> dict[str, Json]:
    """Read a Worker's settings from an upload's metadata: a missing setting gets its default.

    Tags are unchanged, because wrangler sends them separately, and so is the subdomain, which metadata does not
    contain.
    """
    kept: dict[str, Json] = json.loads(row["settings"])
    names = ("subdomain",) if metadata.has("tags") else ("subdomain", "tags")
    return workers.read_settings(metadata) | {name: kept[name] for name in names}


def _told(draft: Draft) -> dict[str, Json]:
    """Return what the answer to an upload has besides the script's description."""
    lifecycle = durable_objects.describe(draft.upload)
    main_module = draft.upload["main_module"]
    told: dict[str, Json] = {"startup_time_ms": draft.startup_time_ms}
    if main_module is not None:
        told["entry_point"] = main_module
    if "exports_reconciliation" in lifecycle:
        told["exports_reconciliation"] = lifecycle["exports_reconciliation"]
    return told


def _describe_version(db: sqlite3.Connection, row: sqlite3.Row | None) -> dict[str, Json]:
    if row is None:
        return {"has_assets": False, "has_modules": False, "handlers": []}
    upload: dict[str, Any] = json.loads(row["upload"])
    return {
        "has_assets": bool(upload.get("assets")),
        "etag": uploads.etag(desired_state.modules_of(db, row["id"])),
        "deployment_id": row["id"].replace("-", ""),  # it is the version's, in fact (recorded)
        "has_modules": upload["main_module"] is not None and not upload.get("service_worker", False),
        "handlers": json.loads(row["handlers"]),
        "named_handlers": upload.get("named_handlers", []),
        "last_deployed_from": row["source"],
        "compatibility_date": upload["echo"].get("compatibility_date", ""),
        "compatibility_flags": upload["compatibility_flags"],
        "usage_model": upload["usage_model"],
    }


def _subdomain(row: sqlite3.Row) -> dict[str, Json]:
    return json.loads(row["settings"])["subdomain"]


async def _change_subdomain(call: Call, given: dict[str, Json]) -> Reply:
    async with call.cloud.change() as change:
        row = workers.find_script(change.db, call.path["script_name"])
        settings: dict[str, Json] = json.loads(row["settings"])
        settings["subdomain"] |= given
        workers.store_settings(change.db, row["id"], settings)
    return Reply(_subdomain(workers.find(call.cloud.db, row["id"])))


_SCRIPT = "/accounts/{account_id}/workers/scripts/{script_name}"

ROUTES = (
    Route("GET", "/accounts/{account_id}/workers/scripts", list_scripts),
    Route("PUT", _SCRIPT, put_script),
    Route("GET", _SCRIPT, get_code),
    Route("PUT", _SCRIPT + "/content", put_code),
    Route("GET", _SCRIPT + "/content/v2", get_code),
    Route("DELETE", _SCRIPT, delete_script),
    Route("GET", _SCRIPT + "/subdomain", get_subdomain),
    Route("POST", _SCRIPT + "/subdomain", set_subdomain),
    Route("DELETE", _SCRIPT + "/subdomain", delete_subdomain),
)
