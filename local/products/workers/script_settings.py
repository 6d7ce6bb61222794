"""Settings of a script: those of its Worker, and those of the version in force.

Recorded answers: see scripts.py.
"""

import json
import sqlite3
from typing import Any

from local.api import json_text
from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields
from local.api.routing import Call, Route
from local.products.workers import bindings, desired_state, scripts, uploads, workers
from local.products.workers import versions as worker_versions
from local.products.workers.script_forms import read_parts

_OF_THE_WORKER = ("logpush", "observability", "tags", "tail_consumers")


async def get_script_settings(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/script-settings: only the Worker's settings."""
    return Reply(_of_worker(workers.find_script(call.cloud.db, call.path["script_name"])))


async def patch_script_settings(call: Call) -> Reply:
    """PATCH /workers/scripts/{script_name}/script-settings: a missing setting is unchanged, null sets the default."""
    body = call.fields(_invalid)
    given = {name: body.values[name] for name in _OF_THE_WORKER if name in body.values}
    async with call.cloud.change() as change:
        row = workers.find_script(change.db, call.path["script_name"])
        _store(change.db, row["id"], given)
    return Reply(_of_worker(workers.find(call.cloud.db, row["id"])))


async def get_settings(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/settings (recorded): the settings of the version and of the Worker.

    The answer must not contain what was not sent, because the provider would see drift; without `placement` it crashes.
    """
    row = workers.find_script(call.cloud.db, call.path["script_name"])
    version = scripts.current_version(call.cloud.db, row["id"])
    if version is None:
        raise workers.not_found()
    return Reply(_of_version(version) | workers.without_default_observability(_of_worker(row)))


@uploads.taking_uploads
async def patch_settings(call: Call) -> Reply:
    """PATCH /workers/scripts/{script_name}/settings: a form with JSON in `settings`; a missing setting is unchanged.

    The code is unchanged too. The change makes a version that is deployed at once.
    """
    parts = {part.name: part.content for part in read_parts(call)}
    try:
        given = Fields(json_text.parse(parts.get("settings", b"null")), _invalid, "settings").values
    except ValueError as error:
        raise _invalid("settings", f"Invalid JSON: {error}") from error
    of_worker = {name: value for name, value in given.items() if name in _OF_THE_WORKER}
    of_version = {name: value for name, value in given.items() if name not in _OF_THE_WORKER}
    row = workers.find_script(call.cloud.db, call.path["script_name"])
    version = worker_versions.deployed_latest(call.cloud.db, row["id"])
    if version is None:  # the code is wrangler's (src/secret/index.ts), the text is ours
        message = "Settings edit failed: the latest version of your Worker isn't currently deployed."
        raise ApiError(400, 10214, message)
    modules = desired_state.modules_of(call.cloud.db, version["id"])
    draft = await uploads.prepare_like(call, version, of_version, modules)
    async with call.cloud.change() as change:
        _store(change.db, row["id"], of_worker)
        uploads.deploy(call, change, workers.find(change.db, row["id"]), draft, triggered_by="upload")
    return await get_settings(call)


def _store(db: sqlite3.Connection, worker_id: str, given: dict[str, Json]) -> None:
    row = workers.find(db, worker_id)
    settings = workers.read_settings(Fields(json.loads(row["settings"]) | given, _invalid))
    workers.store_settings(db, row["id"], settings)


def _of_worker(row: sqlite3.Row) -> dict[str, Json]:
    settings: dict[str, Json] = json.loads(row["settings"])
    return {name: settings[name] for name in _OF_THE_WORKER} | {"tail_consumers": workers.tail_consumers(settings)}


def _of_version(row: sqlite3.Row) -> dict[str, Json]:
    upload: dict[str, Any] = json.loads(row["upload"])
    echo: dict[str, Json] = upload["echo"]
    return {
        "placement": echo.get("placement", {}),
        "compatibility_date": echo.get("compatibility_date", ""),
        "compatibility_flags": upload["compatibility_flags"],
        "usage_model": upload["usage_model"],
        "annotations": uploads.annotations(upload),
        "bindings": [bindings.describe(binding) for binding in upload["bindings"]],
        **{name: echo[name] for name in ("limits", "cache_options") if name in echo},
    }


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10021, f"Invalid settings: {path or 'body'}: {problem}")


_SCRIPT = "/accounts/{account_id}/workers/scripts/{script_name}"

ROUTES = (
    Route("GET", _SCRIPT + "/script-settings", get_script_settings),
    Route("PATCH", _SCRIPT + "/script-settings", patch_script_settings),
    Route("GET", _SCRIPT + "/settings", get_settings),
    Route("PATCH", _SCRIPT + "/settings", patch_settings),
)
