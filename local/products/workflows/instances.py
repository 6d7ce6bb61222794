"""Instances of workflows: create, read and control them.

Codes 10400, 10401, 10405 and 10201 and the texts after workflows.api.error are the real API's (recorded in
alchemy-run/distilled, in workers-sdk's deletion of batches, and in public bug reports).
"""

import base64
import binascii
import json
import re
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from local.api import json_text
from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields, array, objects, one_of
from local.api.routing import Call, Route, whole_number
from local.products.workflows.workflows import STATUSES, check_retention, find, invalid, latest_version, not_found
from local.runtime.data_plane_client import DataPlaneRefusedError

# https://developers.cloudflare.com/workflows/reference/limits/
MAX_BATCH = 100
MAX_PARAMS_BYTES = 1024 * 1024

_INSTANCE_ID = re.compile(r"(?!cf_[0-9a-f]{64}$)[a-zA-Z0-9_][a-zA-Z0-9_-]{0,99}")
_UNFINISHED = ("queued", "running", "paused", "waitingForPause", "waiting")
_LOCATIONS = ("wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc", "afr", "me")
_COMMANDS = ("pause", "resume", "terminate", "restart")
_PAGE_SIZE = 10
_LARGEST_PAGE = 100

# Refusals of the data plane, with HTTP status and code; 10001 stands for an unknown code.
_REFUSALS = {
    "instance.not_found": (404, 10400),
    "instance.cannot_terminate": (400, 10401),
    "instance.already_exists": (409, 10405),
    "instance.cannot_restart": (400, 10001),
    "step.not_found": (404, 10001),
    "body": (400, 10002),
}


async def create_instance(call: Call) -> Reply:
    """POST /workflows/{workflow_name}/instances: the instance starts at once."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    wanted = _new_instance(call.fields(invalid))
    creation = await _create(call, workflow, [wanted])
    if creation["errors"]:
        raise _refusal(creation["errors"][0]["reason"])
    return Reply(_created(call.cloud.db, workflow, creation["created"][0]["id"]))


async def create_batch(call: Call) -> Reply:
    """POST /workflows/{workflow_name}/instances/batch: up to 100; ids that exist are left out."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    parts = array(call.json(invalid), invalid)
    if not 1 <= len(parts) <= MAX_BATCH:
        raise invalid("", f"Expected 1 to {MAX_BATCH} instances, received {len(parts)}")
    wanted = [_new_instance(part) for part in objects(parts, invalid)]
    creation = await _create(call, workflow, wanted)
    return Reply([_created(call.cloud.db, workflow, made["id"]) for made in creation["created"]])


async def list_instances(call: Call) -> Reply:
    """GET /workflows/{workflow_name}/instances: newest first, paged by `cursor` or by `page`, which is deprecated."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    direction = _option(call, "direction", ("asc", "desc")) or "desc"
    page = call.page(0, invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    cursor = call.argument("cursor")
    if cursor and call.argument("page"):
        raise invalid("cursor", "Mutually exclusive with page")
    start = _offset(cursor) if cursor else (page.number - 1) * page.size
    found = await call.cloud.data_plane.call(
        "workflows",
        workflow["id"],
        "list",
        {
            "query": {
                "status": _option(call, "status", STATUSES),
                "date_start_ms": _moment_ms(call, "date_start"),
                "date_end_ms": _moment_ms(call, "date_end"),
                "direction": direction,
                "offset": start,
                "limit": page.size,
            }
        },
    )
    shown = [instance | {"workflow_id": workflow["id"]} for instance in found["instances"]]
    info: dict[str, Any] = {"count": len(shown), "per_page": page.size, "total_count": found["total"]}
    if not cursor:
        info["page"] = page.number
    if start + len(shown) < found["total"]:
        info["cursor"] = _cursor(start + len(shown))
    return Reply(shown, info)


async def get_instance(call: Call) -> Reply:
    """GET /workflows/{workflow_name}/instances/{instance_id}: ?order sorts its steps, ?simple=true leaves them out."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    order = _option(call, "order", ("asc", "desc"))
    simple = _option(call, "simple", ("true", "false"))
    async with _refusals():
        told = await call.cloud.data_plane.call(
            "workflows", workflow["id"], "describe", {"instance_id": call.path["instance_id"]}
        )
    steps: list[Json] = told["steps"]
    described: dict[str, Json] = {
        **{name: told[name] for name in ("status", "params", "queued", "start", "end", "success", "error")},
        "output": _output(told["output"]),
        "trigger": {"source": told["trigger_source"]},
        "versionId": told["version_id"],
        "step_count": len(steps),
    }
    if simple != "true":
        described["steps"] = steps[::-1] if order == "desc" else steps
    return Reply(described)


async def get_step(call: Call) -> Reply:
    """GET /workflows/{workflow_name}/instances/{instance_id}/step: by `name` and `type`, with its complete output."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    name, kind = call.argument("name"), _option(call, "type", ("step", "waitForEvent"))
    if not name or not kind:
        raise invalid("type" if name else "name", "Required")
    text = call.argument("attempt")
    attempt = None if text is None else whole_number(text) or 0
    if attempt == 0:
        raise invalid("attempt", "Expected a number from 1")
    step: dict[str, Json] = {"instance_id": call.path["instance_id"], "name": name, "type": kind, "attempt": attempt}
    async with _refusals():
        return Reply(await call.cloud.data_plane.call("workflows", workflow["id"], "step", step))


async def delete_instances(call: Call) -> Reply:
    """POST /workflows/{workflow_name}/instances/batch/delete: up to 100, each on its own.

    Undocumented; wrangler/src/workflows/commands/instances/delete.ts.
    """
    workflow = find(call.cloud.db, call.path["workflow_name"])
    ids = call.fields(invalid).texts("instances") or []
    if not 1 <= len(ids) <= MAX_BATCH:
        raise invalid("instances", f"Expected 1 to {MAX_BATCH} instances, received {len(ids)}")
    deleted: list[Json] = []
    errors: list[Json] = []
    for instance_id in ids:
        try:
            async with _refusals():
                await call.cloud.data_plane.call(
                    "workflows", workflow["id"], "deleteInstance", {"instance_id": instance_id}
                )
            deleted.append({"id": instance_id})
        except ApiError as error:
            errors.append({"id": instance_id, "code": error.code, "message": error.message})
    return Reply({"deleted": deleted, "errors": errors})


async def change_status(call: Call) -> Reply:
    """PATCH /workflows/{workflow_name}/instances/{instance_id}/status."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    body = call.fields(invalid)
    body.required_text("status")
    command = body.choice("status", _COMMANDS)
    options: dict[str, Json] = {"rollback": bool(body.flag("rollback"))}
    step = body.fields("from")
    if step is not None:
        step.required_text("name")
        options["from"] = dict(step.values)
    async with _refusals():
        wanted = {"instance_id": call.path["instance_id"], "command": str(command), "options": options}
        changed = await call.cloud.data_plane.call("workflows", workflow["id"], "command", wanted)
    return Reply({"status": changed["status"], "timestamp": now()})


async def terminate_instances(call: Call) -> Reply:
    """PUT /workflows/{workflow_name}/instances/terminate: all unfinished instances, or those with one `status`.

    Undocumented; wrangler/src/workflows/commands/instances/terminate-all.ts. Cloudflare starts a job; here it is done
    before the answer.
    """
    workflow = find(call.cloud.db, call.path["workflow_name"])
    wanted = _option(call, "status", _UNFINISHED)
    for status in _UNFINISHED if wanted is None else (wanted,):
        for instance_id in await _all_of(call, workflow["id"], status):
            await _terminate(call, workflow["id"], instance_id)
    return Reply({"status": "ok"})


async def send_event(call: Call) -> Reply:
    """POST /workflows/{workflow_name}/instances/{instance_id}/events/{event_type}: the body is the event's payload."""
    workflow = find(call.cloud.db, call.path["workflow_name"])
    instance_id, event_type = call.path["instance_id"], call.path["event_type"]
    try:
        event = {"instance_id": instance_id, "type": event_type, "payload": call.json(invalid)}
        await call.cloud.data_plane.call("workflows", workflow["id"], "sendEvent", event)
    except DataPlaneRefusedError as error:
        if error.message == "instance.not_found":
            raise ApiError(404, 10201, "workflows.api.error.instance.not_found") from error  # another code than 10400
        if error.kind == "workflow":
            raise _refusal(error.message) from error
        raise
    return Reply({"instanceId": instance_id, "timestamp": now()})


async def _all_of(call: Call, workflow_id: str, status: str) -> list[str]:
    """Read the ids of all instances with a status."""
    ids: list[str] = []
    while True:
        query = {"status": status, "direction": "asc", "offset": len(ids), "limit": _LARGEST_PAGE}
        found = (await call.cloud.data_plane.call("workflows", workflow_id, "list", {"query": query}))["instances"]
        if not found:
            return ids
        ids += [instance["id"] for instance in found]


async def _terminate(call: Call, workflow_id: str, instance_id: str) -> None:
    try:
        command: dict[str, Json] = {"instance_id": instance_id, "command": "terminate", "options": {}}
        await call.cloud.data_plane.call("workflows", workflow_id, "command", command)
    except DataPlaneRefusedError as error:
        if error.kind != "workflow":  # otherwise it ended by itself
            raise


def _new_instance(body: Fields) -> dict[str, Json]:
    """Read an instance to create."""
    instance_id = body.text("instance_id")
    if instance_id is not None and not _INSTANCE_ID.fullmatch(instance_id):
        rule = "^[a-zA-Z0-9_][a-zA-Z0-9-_]*$, at most 100 characters"
        raise body.wrong("instance_id", f"Invalid: expected {rule}, received '{instance_id}'")
    given = body.fields("instance_retention")
    check_retention(given)
    body.choice("location_hint", _LOCATIONS)
    params = _params(body)
    wanted: dict[str, Json] = {} if instance_id is None else {"id": instance_id}
    if params is not None:
        wanted["params"] = params
    if given is not None:
        names = {"success_retention": "successRetention", "error_retention": "errorRetention"}
        wanted["retention"] = {names[name]: value for name, value in given.values.items() if name in names}
    return wanted


def _params(body: Fields) -> Json:
    """Read the payload: any JSON, or a string that contains JSON, as in the API reference."""
    params = body.values.get("params")
    if len(json_text.compact(params)) > MAX_PARAMS_BYTES:
        raise body.wrong("params", f"Must be at most {MAX_PARAMS_BYTES} bytes")
    if not isinstance(params, str):
        return params
    try:
        return json_text.parse(params)
    except ValueError as error:
        raise body.wrong("params", f"Expected JSON-encoded text: {error}") from error


async def _create(call: Call, workflow: sqlite3.Row, wanted: list[dict[str, Json]]) -> dict[str, Any]:
    async with _refusals():
        return await call.cloud.data_plane.call("workflows", workflow["id"], "create", {"instances": wanted})


def _created(db: sqlite3.Connection, workflow: sqlite3.Row, instance_id: str) -> dict[str, Json]:
    version_id = latest_version(db, workflow["id"])["id"]
    state = {"status": "queued", "trigger_source": "api"}
    return {"id": instance_id, "version_id": version_id, "workflow_id": workflow["id"]} | state


def _output(output: Json) -> Json:
    """Convert an output as in the API reference: text, a number or null; anything else as JSON."""
    plain = output is None or isinstance(output, str) or (isinstance(output, int | float) and output is not True)
    return output if plain and output is not False else json.dumps(output, ensure_ascii=False, separators=(",", ":"))


@asynccontextmanager
async def _refusals() -> AsyncGenerator[None]:
    """Convert refusals of the data plane to Cloudflare's errors."""
    try:
        yield
    except DataPlaneRefusedError as error:
        if error.kind != "workflow":
            raise
        raise _refusal(error.message) from error


def _refusal(reason: str) -> ApiError:
    if reason == "workflow.not_found":
        return not_found()
    status, code = _REFUSALS.get(reason, (500, 10001))
    return ApiError(status, code, f"workflows.api.error.{reason}")


def _option(call: Call, name: str, options: tuple[str, ...]) -> str | None:
    value = call.argument(name)
    if value is not None and value not in options:
        raise invalid(name, f"Invalid enum value. Expected {one_of(options)}")
    return value


def _moment_ms(call: Call, name: str) -> int | None:
    moment = call.moment(name, invalid)
    return None if moment is None else int(moment.timestamp() * 1000)


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(cursor: str) -> int:
    try:
        offset = whole_number(base64.urlsafe_b64decode(cursor).decode())
    except (binascii.Error, ValueError) as error:
        raise invalid("cursor", "Invalid cursor") from error
    if offset is None:
        raise invalid("cursor", "Invalid cursor")
    return offset


_INSTANCES = "/accounts/{account_id}/workflows/{workflow_name}/instances"
ROUTES = (
    Route("POST", _INSTANCES, create_instance),
    Route("POST", f"{_INSTANCES}/batch", create_batch),
    Route("POST", f"{_INSTANCES}/batch/delete", delete_instances),
    Route("GET", _INSTANCES, list_instances),
    Route("PUT", f"{_INSTANCES}/terminate", terminate_instances),
    Route("GET", _INSTANCES + "/{instance_id}", get_instance),
    Route("GET", _INSTANCES + "/{instance_id}/step", get_step),
    Route("PATCH", _INSTANCES + "/{instance_id}/status", change_status),
    Route("POST", _INSTANCES + "/{instance_id}/events/{event_type}", send_event),
)
