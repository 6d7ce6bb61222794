"""Workers, which have versions, deployments and cron triggers; and the account's workers.dev name.

Codes come from Cloudflare's OpenAPI (createWorker, editWorker). Its texts are not published, so those are ours, except
those marked (recorded), see d1/databases.py, or (quoted).
"""

import json
import re
import socket
import sqlite3
import uuid
from typing import Any, cast

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields
from local.api.routing import Call, Route
from local.core.cloud import Change
from local.products.assets import manifests as asset_manifests
from local.products.workers import dependents, previews
from local.runtime.data_plane_client import DataPlaneRefusedError

_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_SUBDOMAIN = "local"
_MAX_TAGS = 8
_MAX_TAG_LENGTH = 1024
_PAGE_SIZE = 10
_LARGEST_PAGE = 100
_HIGHEST_PORT = 65_535

DEFAULT_SETTINGS: dict[str, Json] = {
    "logpush": False,
    "observability": {"enabled": False, "head_sampling_rate": 1},
    "subdomain": {"enabled": False, "previews_enabled": False},
    "tags": [],
    "tail_consumers": [],
}

# Cloudflare's answer if observability is not set (the Terraform provider's acceptance tests of a Worker).
_UNSET_OBSERVABILITY: dict[str, Json] = {
    "enabled": False,
    "head_sampling_rate": 1,
    "logs": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "invocation_logs": True, "persist": True},
    "traces": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "persist": True},
}


async def create_worker(call: Call) -> Reply:
    """POST /workers/workers: gives the Worker a permanent port."""
    body = call.fields(_invalid)
    name, settings = _name(body), read_settings(body)
    refused: set[int] = set()
    while True:
        try:
            async with call.cloud.change() as change:
                _check_free(change.db, name, None)
                worker_id = insert(change.db, name, settings, call.cloud.first_port, refused)
            return Reply(describe(call.cloud.db, find(call.cloud.db, worker_id)))
        except DataPlaneRefusedError as error:
            if error.kind != "port_in_use":  # another process took the port between our check and the data plane's bind
                raise


async def list_workers(call: Call) -> Reply:
    """GET /workers/workers: sorted by `order_by` (updated_on, created_on, deployed_on, name) and `order`."""
    column = call.argument("order_by") or "updated_on"
    if column not in ("updated_on", "created_on", "deployed_on", "name"):
        raise _invalid("order_by", "Invalid enum value. Expected 'deployed_on' | 'updated_on' | 'created_on' | 'name'")
    rows = call.cloud.db.execute("SELECT * FROM workers ORDER BY id").fetchall()
    rows.sort(key=lambda row: row[column] or "", reverse=call.argument("order") != "asc")
    page = call.page(len(rows), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [describe(call.cloud.db, row) for row in page.cut(rows)]
    return Reply(shown, page.info(len(shown)))


async def get_worker(call: Call) -> Reply:
    """GET /workers/workers/{worker_id}: by id or by name."""
    return Reply(describe(call.cloud.db, find(call.cloud.db, call.path["worker_id"])))


async def replace_worker(call: Call) -> Reply:
    """PUT /workers/workers/{worker_id}: missing settings get their defaults."""
    body = call.fields(_invalid)
    return await _update(call, _name(body), read_settings(body))


async def patch_worker(call: Call) -> Reply:
    """PATCH /workers/workers/{worker_id}: a JSON merge patch."""
    body = call.fields(_invalid)
    row = find(call.cloud.db, call.path["worker_id"])
    merged = _merge({"name": row["name"], **json.loads(row["settings"])}, dict(body.values))
    whole = Fields(merged, _invalid)
    return await _update(call, _name(whole), read_settings(whole))


async def delete_worker(call: Call) -> Reply:
    """DELETE /workers/workers/{worker_id}: refused if other Workers bind it, unless ?force=true."""
    async with call.cloud.change() as change:
        delete(call, change, find(change.db, call.path["worker_id"]))
    return Reply(None)


async def get_subdomain(call: Call) -> Reply:
    """GET /workers/subdomain."""
    return Reply({"subdomain": _subdomain(call.cloud.db)})


async def put_subdomain(call: Call) -> Reply:
    """PUT /workers/subdomain. Addresses here do not contain it: Workers have ports instead."""
    name = call.fields(_invalid).required_text("subdomain")
    if not _SUBDOMAIN.fullmatch(name):
        raise ApiError(400, 10031, f"Invalid subdomain '{name}': lowercase letters, digits and hyphens only")
    async with call.cloud.change() as change:
        change.db.execute("INSERT OR REPLACE INTO settings VALUES ('subdomain', ?)", (name,))
    return Reply({"subdomain": name})


def find(db: sqlite3.Connection, id_or_name: str) -> sqlite3.Row:
    """Read a Worker by id or name. Raises ApiError 10007."""
    row = db.execute("SELECT * FROM workers WHERE id = ?1 OR name = ?1", (id_or_name,)).fetchone()
    if row is None:
        raise not_found()
    return row


def insert(db: sqlite3.Connection, name: str, settings: dict[str, Json], first_port: int, refused: set[int]) -> str:
    """Store a new Worker, with a port that was not refused before, and return its id.

    When this is called again, its port was in use, and is not tried any more. Raises ApiError 10203 if the settings
    name a Tail Worker that does not exist.
    """
    port = _free_port(db, first_port, refused)
    refused.add(port)
    worker_id, moment = uuid.uuid4().hex, now()
    db.execute(
        "INSERT INTO workers (id, name, port, created_on, updated_on, settings) VALUES (?, ?, ?, ?, ?, ?)",
        (worker_id, name, port, moment, moment, json.dumps(settings)),
    )
    _check_tail_workers(db, settings, DEFAULT_SETTINGS)
    return worker_id


def store_settings(db: sqlite3.Connection, worker_id: str, settings: dict[str, Json]) -> None:
    """Store a Worker's settings. Raises ApiError 10203 if they newly name a Tail Worker that does not exist."""
    _check_tail_workers(db, settings, json.loads(find(db, worker_id)["settings"]))
    db.execute("UPDATE workers SET settings = ?, updated_on = ? WHERE id = ?", (json.dumps(settings), now(), worker_id))


def delete(call: Call, change: Change, row: sqlite3.Row) -> None:
    """Delete a Worker with its versions, deployments, crons and Durable Objects.

    Raises ApiError 10142 (quoted) if others bind it, unless the call forces it, and 10064 (quoted) if it is the
    consumer of a queue.
    """
    users = dependents.all_of(change.db, row)
    if users and call.argument("force") != "true":
        message = (
            f"Cannot delete service '{row['name']}' because it is still referenced by service bindings in Workers"
            f" '{', '.join(users)}'. Please remove bindings pointing to it and try again."
        )
        raise ApiError(400, 10142, message)
    consumes = change.db.execute("SELECT 1 FROM queue_consumers WHERE worker_id = ?", (row["id"],)).fetchone()
    if consumes is not None:
        message = (
            "Cannot delete this Worker as it is a consumer for a Queue."
            " Remove it from the Queue's consumers first, then retry."
        )
        raise ApiError(403, 10064, message)
    namespaces = change.db.execute("SELECT id FROM durable_object_namespaces WHERE worker_id = ?", (row["id"],))
    for namespace in namespaces.fetchall():
        change.add_tombstone("durable_objects", namespace["id"])
    for name in (row["id"], row["name"]):
        asset_manifests.expire(change.db, name)
    change.db.execute("DELETE FROM workers WHERE id = ?", (row["id"],))


def find_script(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    """Read a Worker by name only, as the routes below workers/scripts do. Raises ApiError 10007."""
    row = db.execute("SELECT * FROM workers WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise not_found()
    return row


def not_found() -> ApiError:
    """Return the error for an unknown Worker (recorded)."""
    return ApiError(404, 10007, "This Worker does not exist on your account.")


def address(row: sqlite3.Row) -> str:
    """Return the address of a Worker."""
    return f"http://127.0.0.1:{row['port']}"


def describe(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    """Return a Worker."""
    settings: dict[str, Json] = json.loads(row["settings"])
    return {
        "id": row["id"],
        "name": row["name"],
        "created_on": row["created_on"],
        "updated_on": row["updated_on"],
        "deployed_on": row["deployed_on"],
        "references": _references(db, row["id"]),
        **settings,
        "observability": _merge(_UNSET_OBSERVABILITY, _merge({}, settings["observability"])),  # {}: null is unset, too
        "tail_consumers": [{"name": part["name"]} for part in settings["tail_consumers"]],
        "subdomain": settings["subdomain"] | {"url": address(row), "preview_url_suffix": previews.suffix(row)},
    }


def tail_consumers(settings: dict[str, Json]) -> list[Json]:
    """Return the consumers of a Worker's tail in the form of scripts."""
    consumers: list[dict[str, Json]] = settings["tail_consumers"]
    return [{"service": part["name"], **{k: v for k, v in part.items() if k != "name"}} for part in consumers]


def without_default_observability(description: dict[str, Json]) -> dict[str, Json]:
    """Drop observability that equals the default: the provider would see any mention as a difference."""
    return {
        key: value
        for key, value in description.items()
        if (key, value) != ("observability", DEFAULT_SETTINGS["observability"])
    }


async def _update(call: Call, name: str, settings: dict[str, Json]) -> Reply:
    async with call.cloud.change() as change:
        row = find(change.db, call.path["worker_id"])
        _check_free(change.db, name, row["id"])
        change.db.execute("UPDATE workers SET name = ? WHERE id = ?", (name, row["id"]))
        store_settings(change.db, row["id"], settings)
    return Reply(describe(call.cloud.db, find(call.cloud.db, row["id"])))


def read_settings(body: Fields) -> dict[str, Json]:
    """Read all of a Worker's settings. Observability is stored as sent, because the provider expects no more."""
    if body.has("previews_base_config"):
        raise ApiError(501, 10021, "The local Cloudflare does not have previews_base_config of a Worker")
    observability = body.fields("observability")
    if observability is not None:
        _check_observability(observability)
    consumers = body.objects("tail_consumers")
    subdomain = body.fields("subdomain") or Fields({}, _invalid, "subdomain")
    read: dict[str, Json] = {
        "logpush": body.flag("logpush"),
        "observability": None if observability is None else dict(observability.values),
        "subdomain": {
            "enabled": bool(subdomain.flag("enabled")),
            "previews_enabled": bool(subdomain.flag("previews_enabled")),
        },
        "tags": _tags(body),
        "tail_consumers": None if consumers is None else [_tail_consumer(part) for part in consumers],
    }
    return DEFAULT_SETTINGS | {key: value for key, value in read.items() if value is not None}


def _check_tail_workers(db: sqlite3.Connection, settings: dict[str, Json], kept: dict[str, Json]) -> None:
    """Refuse new names of Workers that do not exist. Code and text are quoted (workers-sdk issue 8275)."""
    wanted = {part["name"] for part in settings["tail_consumers"]} - {part["name"] for part in kept["tail_consumers"]}
    known = {row["name"] for row in db.execute("SELECT name FROM workers")}
    if wanted - known:
        raise ApiError(400, 10203, "Tail Worker does not exist on this account. Check the Worker name and try again.")


def _tail_consumer(part: Fields) -> dict[str, Json]:
    """Read a consumer of a Worker's tail; a script says `service` where a Worker says `name`."""
    name = part.text("service") or part.required_text("name")
    return {key: value for key, value in part.values.items() if key != "service"} | {"name": name}


def _check_observability(part: Fields) -> None:
    part.flag("enabled")
    for nested in (part, part.fields("logs"), part.fields("traces")):
        if nested is None:
            continue
        try:
            nested.number("head_sampling_rate", 0, 1)
        except ApiError as error:
            message = f"Invalid observability sampling rate: {nested.path('head_sampling_rate')} must be from 0 to 1"
            raise ApiError(400, 100308, message) from error


def _tags(body: Fields) -> list[str] | None:
    tags = body.texts("tags")
    if tags is None:
        return None
    if len(tags) > _MAX_TAGS:
        raise ApiError(403, 100103, f"A Worker can have at most {_MAX_TAGS} tags, received {len(tags)}")
    for tag in tags:
        if len(tag) > _MAX_TAG_LENGTH:
            raise ApiError(400, 100102, f"A tag can have at most {_MAX_TAG_LENGTH} characters")
        if not tag or "," in tag or "&" in tag:
            raise ApiError(400, 100134, f"Invalid tag '{tag}': it must not be empty or contain ',' or '&'")
    return tags


def _name(body: Fields) -> str:
    name = body.text("name")
    if name is None:
        raise ApiError(400, 10003, "Missing required parameter: name")
    check_name(name)
    return name


def check_name(name: str) -> None:
    """Refuse a name that is not valid for a Worker. Raises ApiError 10016."""
    if not _NAME.fullmatch(name):
        message = f"Invalid Worker name '{name}': 1 to 63 lowercase letters, digits, underscores and hyphens"
        raise ApiError(400, 10016, message)


def _check_free(db: sqlite3.Connection, name: str, own_id: str | None) -> None:
    row = db.execute("SELECT id FROM workers WHERE name = ?", (name,)).fetchone()
    if row is not None and row["id"] != own_id:
        message = f"A Worker with the name '{name}' already exists. Please choose a different name."
        raise ApiError(409, 10040, message)


def _free_port(db: sqlite3.Connection, first: int, refused: set[int]) -> int:
    used = refused | {row["port"] for row in db.execute("SELECT port FROM workers").fetchall()}
    for port in [*range(first, _HIGHEST_PORT + 1), *range(1024, first)]:
        if port not in used and _can_listen(port):
            return port
    raise ApiError(403, 10037, "This machine has no free port left for another Worker")


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _references(db: sqlite3.Connection, worker_id: str) -> dict[str, Json]:
    consumers = db.execute(
        "SELECT c.id AS consumer_id, q.id AS queue_id, q.name AS queue_name FROM queue_consumers c"
        " JOIN queues q ON q.id = c.queue_id WHERE c.worker_id = ? ORDER BY q.name",
        (worker_id,),
    )
    domains = db.execute(
        "SELECT d.id, d.certificate_id, d.hostname, d.zone_id, z.name AS zone_name FROM worker_domains d"
        " JOIN zones z ON z.id = d.zone_id WHERE d.worker_id = ? ORDER BY d.hostname",
        (worker_id,),
    )
    return {
        "dispatch_namespace_outbounds": [],
        "domains": [dict(row) for row in domains],
        "durable_objects": [],
        "queues": [
            {"queue_consumer_id": row["consumer_id"], "queue_id": row["queue_id"], "queue_name": row["queue_name"]}
            for row in consumers
        ],
        "workers": [],
    }


def _merge(old: Json, patch: Json) -> Json:
    """Merge as in RFC 7396: null removes, objects are merged, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = dict(cast("dict[str, Any]", old)) if isinstance(old, dict) else {}
    for key, value in cast("dict[str, Any]", patch).items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _subdomain(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT value FROM settings WHERE name = 'subdomain'").fetchone()
    return _DEFAULT_SUBDOMAIN if row is None else row["value"]


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10021, f"Invalid Worker: {path or 'body'}: {problem}")


ROUTES = (
    Route("POST", "/accounts/{account_id}/workers/workers", create_worker),
    Route("GET", "/accounts/{account_id}/workers/workers", list_workers),
    Route("GET", "/accounts/{account_id}/workers/workers/{worker_id}", get_worker),
    Route("PUT", "/accounts/{account_id}/workers/workers/{worker_id}", replace_worker),
    Route("PATCH", "/accounts/{account_id}/workers/workers/{worker_id}", patch_worker),
    Route("DELETE", "/accounts/{account_id}/workers/workers/{worker_id}", delete_worker),
    Route("GET", "/accounts/{account_id}/workers/subdomain", get_subdomain),
    Route("PUT", "/accounts/{account_id}/workers/subdomain", put_subdomain),
)
