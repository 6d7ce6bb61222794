"""Bindings: what a version of a Worker can reach, and under which name.

A type is added here and in desired_state.py. Texts marked (quoted) are of the real API, quoted in public code.
"""

import sqlite3
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from local.control_plane import queues
from local.control_plane.envelope import ApiError, Json
from local.control_plane.fields import Fields

Binding = dict[str, Any]  # as stored: what was sent, and the ids that it stands for

# Types that Cloudflare knows (API reference, "multipart upload metadata") and this machine does not have yet.
_ELSEWHERE = frozenset(
    (
        "ai",
        "ai_search",
        "ai_search_namespace",
        "analytics_engine",
        "artifacts",
        "assets",
        "browser",
        "data_blob",
        "dispatch_namespace",
        "durable_object_namespace",
        "flagship",
        "hyperdrive",
        "images",
        "inherit",
        "k2",
        "kv_namespace",
        "media",
        "messaging",
        "mtls_certificate",
        "pipelines",
        "r2_bucket",
        "ratelimit",
        "secret_key",
        "secrets_store_secret",
        "send_email",
        "service",
        "text_blob",
        "vectorize",
        "version_metadata",
        "vpc_network",
        "vpc_service",
        "wasm_module",
        "workflow",
    )
)


def read_bindings(db: sqlite3.Connection, body: Fields) -> list[Binding]:
    """Read a version's bindings, sorted by name, and find what they bind. Raises ApiError for what is not there.

    The order is bytewise: the provider pairs its own sorted list with the answer's by position.
    """
    found = [_read(db, part) for part in body.objects("bindings") or []]
    found.sort(key=lambda binding: binding["name"].encode())
    for one, other in pairwise(found):
        if one["name"] == other["name"]:
            raise ApiError(400, 10021, f"binding name '{one['name']}' already in use")
    return found


def describe(binding: Binding) -> dict[str, Json]:
    """Describe a stored binding to the outside: without our ids, and without a secret's text."""
    hidden = {"queue_id"} | ({"text"} if binding["type"] == "secret_text" else set[str]())
    return {key: value for key, value in binding.items() if key not in hidden}


def check_still_bound(db: sqlite3.Connection, bindings: list[Binding]) -> None:
    """Refuse to deploy a version whose queue was deleted since. Raises ApiError 11002."""
    for binding in bindings:
        if binding["type"] == "queue" and not _queue_exists(db, binding["queue_id"]):
            raise _queue_missing(binding["queue_name"])


def _queue_exists(db: sqlite3.Connection, queue_id: str) -> bool:
    return db.execute("SELECT 1 FROM queues WHERE id = ?", (queue_id,)).fetchone() is not None


def _read(db: sqlite3.Connection, part: Fields) -> Binding:
    name = part.required_text("name")
    kind = part.required_text("type")
    if kind in _ELSEWHERE:
        raise ApiError(501, 10021, f"The local Cloudflare does not have bindings of type {kind} (binding {name})")
    reader = _READERS.get(kind)
    if reader is None:
        raise ApiError(400, 10021, f"binding {name} has unknown type {kind}")
    return {"name": name, "type": kind, **reader(db, part)}


def _d1(db: sqlite3.Connection, part: Fields) -> Binding:
    """Read a D1 binding; `id` is the older name of `database_id`, and both are accepted and answered."""
    database_id = part.text("database_id") or part.text("id")
    if not database_id:  # quoted
        raise _must_have(part, "a valid `database_id`")
    if db.execute("SELECT 1 FROM d1_databases WHERE uuid = ?", (database_id,)).fetchone() is None:  # quoted
        message = f"D1 binding '{part.values['name']}' references database '{database_id}' which was not found."
        raise ApiError(400, 10181, message)
    return {"id": database_id, "database_id": database_id}


def _queue(db: sqlite3.Connection, part: Fields) -> Binding:
    queue_name = part.text("queue_name")
    if not queue_name:  # quoted
        raise _must_have(part, "a queue")
    row = queues.find_by_name(db, queue_name)
    if row is None:
        raise _queue_missing(queue_name)
    delay = part.integer("delivery_delay", 0, queues.MAX_DELIVERY_DELAY_SECONDS)
    return {"queue_name": queue_name, "queue_id": row["id"]} | ({} if delay is None else {"delivery_delay": delay})


def _text(_: sqlite3.Connection, part: Fields) -> Binding:
    text = part.text("text")
    if text is None:
        raise _must_have(part, "`text`")
    return {"text": text}


def _json(_: sqlite3.Connection, part: Fields) -> Binding:
    if "json" not in part.values:
        raise _must_have(part, "`json`")
    return {"json": part.values["json"]}


_READERS: dict[str, Callable[[sqlite3.Connection, Fields], Binding]] = {
    "d1": _d1,
    "queue": _queue,
    "plain_text": _text,
    "secret_text": _text,
    "json": _json,
}


def _must_have(part: Fields, what: str) -> ApiError:
    """Make the error for an incomplete binding (quoted: "binding DB of type d1 must have … specified")."""
    message = f"binding {part.values['name']} of type {part.values['type']} must have {what} specified"
    return ApiError(400, 10021, message)


def _queue_missing(name: str) -> ApiError:
    return ApiError(400, 11002, f"Queue '{name}' was not found")  # quoted
