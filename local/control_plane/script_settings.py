"""Settings of a script: those of its Worker, and those of the version in force.

Recorded answers: see scripts.py.
"""

import json
import sqlite3
from typing import Any

from local.control_plane import bindings, script_versions, scripts, workers
from local.control_plane.envelope import ApiError, Json, Reply
from local.control_plane.fields import Fields
from local.control_plane.routing import Call, Route

_OF_THE_WORKER = ("logpush", "observability", "tags", "tail_consumers")


async def get_script_settings(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/script-settings: those of the Worker alone."""
    return Reply(_of_worker(workers.find_script(call.cloud.db, call.path["script_name"])))


async def patch_script_settings(call: Call) -> Reply:
    """PATCH /workers/scripts/{script_name}/script-settings: what is left out stays, null is the default."""
    body = call.fields(_invalid)
    given = {name: body.values[name] for name in _OF_THE_WORKER if name in body.values}
    async with call.cloud.change() as change:
        row = workers.find_script(change.db, call.path["script_name"])
        settings = workers.read_settings(Fields(json.loads(row["settings"]) | given, _invalid))
        workers.store_settings(change.db, row["id"], settings)
    return Reply(_of_worker(workers.find(call.cloud.db, row["id"])))


async def get_settings(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/settings (recorded): the version's, and the Worker's.

    Nothing may be here that was not sent, or the provider sees it as drift; without `placement` it crashes.
    """
    row = workers.find_script(call.cloud.db, call.path["script_name"])
    version = scripts.current_version(call.cloud.db, row["id"])
    if version is None:
        raise workers.not_found()
    settings = _of_worker(row)
    if settings["observability"] == workers.DEFAULT_SETTINGS["observability"]:
        del settings["observability"]
    return Reply(_of_version(version) | settings)


def _of_worker(row: sqlite3.Row) -> dict[str, Json]:
    settings: dict[str, Json] = json.loads(row["settings"])
    return {name: settings[name] for name in _OF_THE_WORKER}


def _of_version(row: sqlite3.Row) -> dict[str, Json]:
    upload: dict[str, Any] = json.loads(row["upload"])
    echo: dict[str, Json] = upload["echo"]
    return {
        "placement": echo.get("placement", {}),
        "compatibility_date": echo.get("compatibility_date", upload["compatibility_date"]),
        "compatibility_flags": upload["compatibility_flags"],
        "usage_model": upload["usage_model"],
        "annotations": script_versions.annotations(upload),
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
)
