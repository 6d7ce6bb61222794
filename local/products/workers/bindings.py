"""Bindings: what a version of a Worker can reach, and under which name.

A type is added here and in desired_state.py. Texts marked (quoted) are of the real API, quoted in public code.
"""

import sqlite3
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from local.api.envelope import ApiError, Json
from local.api.fields import Fields
from local.core import desired_state
from local.products.kv import namespaces as kv_namespaces
from local.products.queues import queues
from local.products.r2 import buckets as r2_buckets

_LARGEST_LIMIT = 2**31 - 1
_LONGEST_TEXT_BYTES = 5 * 1024  # https://developers.cloudflare.com/workers/platform/limits/#environment-variables

_MODULES_ONLY = ("d1",)  # of the types that are here; quoted

Binding = dict[str, Any]  # as stored: what was sent, and the ids that it stands for

# Types that Cloudflare knows and this machine does not have yet (API reference, "multipart upload metadata";
# workers-sdk, deploy-helpers/src/deploy/helpers/create-worker-upload-form.ts).
_ELSEWHERE = frozenset(
    (
        "agent_memory",
        "ai",
        "ai_search",
        "ai_search_namespace",
        "artifacts",
        "browser",
        "dispatch_namespace",
        "flagship",
        "hyperdrive",
        "images",
        "k2",
        "logfwdr",
        "media",
        "messaging",
        "mtls_certificate",
        "pipelines",
        "secret_key",
        "secrets_store_secret",
        "send_email",
        "stream",
        "unsafe_hello_world",
        "vectorize",
        "vpc_network",
        "vpc_service",
        "websearch",
        "worker_loader",
    )
)


def read_bindings(
    db: sqlite3.Connection, body: Fields, earlier: list[Binding], *, strict: bool, uploaded: str | None
) -> tuple[list[Binding], list[Binding]]:
    """Read the bindings of an upload: its own, and those that it keeps of an earlier version.

    Finds what they bind. Raises ApiError for what is not there, except the Worker that is `uploaded` itself.
    """
    parts = body.objects("bindings") or []
    own = [_read(db, part) for part in parts if part.values.get("type") != "inherit"]
    _check_services(db, [binding for binding in own if binding.get("service") != uploaded])
    kept = _inherited([part for part in parts if part.values.get("type") == "inherit"], earlier, strict=strict)
    taken = {binding["name"] for binding in (*own, *kept)}
    types = body.texts("keep_bindings") or []
    kept += [binding for binding in earlier if binding["type"] in types and binding["name"] not in taken]
    return own, kept


def in_order(bindings: list[Binding]) -> list[Binding]:
    """Sort bindings by name. Raises ApiError for a name that comes twice.

    The order is bytewise: the provider pairs its own sorted list with the answer's by position.
    """
    found = sorted(bindings, key=lambda binding: binding["name"].encode())
    for one, other in pairwise(found):
        if one["name"] == other["name"]:
            raise ApiError(400, 10021, f"binding name '{one['name']}' already in use")
    return found


def patched(db: sqlite3.Connection, bindings: list[Binding], patch: Fields) -> list[Binding]:
    """Merge a patch, {name: binding or null}, into bindings."""
    parts = {name: patch.fields(name) for name in patch.values}
    added = [_read(db, Fields({**part.values, "name": name}, patch.invalid)) for name, part in parts.items() if part]
    _check_services(db, added)
    return [binding for binding in bindings if binding["name"] not in parts] + added


def describe(binding: Binding) -> dict[str, Json]:
    """Describe a stored binding to the outside: without our ids, and without a secret's text."""
    hidden = {"queue_id"} | ({"text"} if binding["type"] == "secret_text" else set[str]())
    return {key: value for key, value in binding.items() if key not in hidden}


def check_still_bound(db: sqlite3.Connection, bindings: list[Binding]) -> None:
    """Refuse to deploy a version whose queue, KV namespace or R2 bucket was deleted since.

    Raises ApiError 11002, 10041 and 10085.
    """
    for binding in bindings:
        if binding["type"] == "queue" and not _exists(db, "queues", "id", binding["queue_id"]):
            raise _queue_missing(binding["queue_name"])
        if binding["type"] == "kv_namespace" and not _exists(db, "kv_namespaces", "id", binding["namespace_id"]):
            raise _kv_namespace_missing(binding["namespace_id"])
        if binding["type"] == "r2_bucket" and desired_state.bucket_of(db, binding) is None:
            raise _r2_bucket_missing(binding["bucket_name"])


def check_format(bindings: list[Binding], part_names: list[str], *, service_worker: bool) -> None:
    """Refuse what the syntax of a Worker does not have. Raises ApiError 100329 (quoted) and 10021.

    That parts cannot be bound in ES modules is said in workers-sdk#392; the text is ours.
    """
    for binding in bindings:
        named = f"Binding '{binding['name']}' of type '{binding['type']}'"
        if service_worker and binding["type"] in _MODULES_ONLY:
            raise ApiError(400, 100329, f"{named} requires a Worker written in ES module format.")
        if not service_worker and "part" in binding:
            raise ApiError(400, 10021, f"{named} requires a Worker written in service worker format.")
        if "part" in binding and binding["part"] not in part_names:
            raise ApiError(400, 10021, f"{named} references part '{binding['part']}' which was not found.")


def _exists(db: sqlite3.Connection, table: str, column: str, value: str) -> bool:
    return db.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (value,)).fetchone() is not None  # noqa: S608 our own names


def _read(db: sqlite3.Connection, part: Fields) -> Binding:
    name = part.required_text("name")
    kind = part.required_text("type")
    if kind in _ELSEWHERE:
        raise ApiError(501, 10021, f"The local Cloudflare does not have bindings of type {kind} (binding {name})")
    reader = _READERS.get(kind)
    if reader is None:
        raise ApiError(400, 10021, f"binding {name} has unknown type {kind}")
    return {"name": name, "type": kind, **reader(db, part)}


def _check_services(db: sqlite3.Connection, bindings: list[Binding]) -> None:
    """Refuse a binding to a Worker that is not there. Raises ApiError 10143 (quoted)."""
    for binding in bindings:
        if binding["type"] == "service" and not _exists(db, "workers", "name", binding["service"]):
            message = (
                f"Service binding '{binding['name']}' references Worker '{binding['service']}' which was not found."
                " Verify the Worker exists in your account and that the service name in your configuration is correct."
            )
            raise ApiError(400, 10143, message)


def _inherited(parts: list[Fields], earlier: list[Binding], *, strict: bool) -> list[Binding]:
    """Find the bindings that an upload inherits. Raises ApiError 10057, an error for each (both texts are quoted)."""
    by_name = {binding["name"]: binding for binding in earlier}
    found: list[Binding] = []
    problems: list[str] = []
    for part in parts:
        name, version_id = part.required_text("name"), part.text("version_id")
        old_name = part.text("old_name") or name
        if version_id not in (None, "latest"):
            why = f"'version_id' value '{version_id}' is invalid, only the literal 'latest' is supported by this API"
            problems.append(f"inherit binding '{name}' is invalid: {why}")
        elif old_name in by_name:
            found.append(by_name[old_name] | {"name": name})
        elif strict:
            why = f"previous version does not have binding named '{old_name}'"
            problems.append(f"inherit binding '{name}' is invalid: {why}")
    if problems:
        raise ApiError(400, 10057, problems[0], also=problems[1:])
    return found


def _analytics_engine(_: sqlite3.Connection, part: Fields) -> Binding:
    return {"dataset": part.text("dataset") or part.required_text("name")}  # documented, of wrangler's configuration


def _d1(db: sqlite3.Connection, part: Fields) -> Binding:
    """Read a D1 binding; `id` is the older name of `database_id`, and both are accepted and answered."""
    database_id = part.text("database_id") or part.text("id")
    if not database_id:  # quoted
        raise _must_have(part, "a valid `database_id`")
    if not _exists(db, "d1_databases", "uuid", database_id):  # quoted
        message = f"D1 binding '{part.values['name']}' references database '{database_id}' which was not found."
        raise ApiError(400, 10181, message)
    return {"id": database_id, "database_id": database_id}


def _part(_: sqlite3.Connection, part: Fields) -> Binding:
    """Read a binding to a part of the upload, which only the service worker syntax has."""
    name = part.text("part")
    if not name:
        raise _must_have(part, "a `part`")
    return {"part": name}


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
    if len(text.encode()) > _LONGEST_TEXT_BYTES:
        raise ApiError(400, 10054, "workers.api.error.text_binding_too_large")  # quoted
    return {"text": text}


def _json(_: sqlite3.Connection, part: Fields) -> Binding:
    if "json" not in part.values:
        raise _must_have(part, "`json`")
    return {"json": part.values["json"]}


def _kv_namespace(db: sqlite3.Connection, part: Fields) -> Binding:
    namespace_id = part.text("namespace_id")
    if not namespace_id:
        raise _must_have(part, "a valid `namespace_id`")
    if not kv_namespaces.is_id(namespace_id):  # quoted
        message = f"KV namespace '{namespace_id}' is not valid. Please verify the namespace_id in your configuration."
        raise ApiError(400, 10042, message)
    if not _exists(db, "kv_namespaces", "id", namespace_id):
        raise _kv_namespace_missing(namespace_id)
    return {"namespace_id": namespace_id}


def _durable_object_namespace(_: sqlite3.Connection, part: Fields) -> Binding:
    """Read a class's binding; its namespace is found when the upload is kept, for the same upload may create it."""
    class_name = part.text("class_name")
    if not class_name:
        raise _must_have(part, "a `class_name`")
    named = {name: part.text(name) for name in ("script_name", "environment")}
    return {"class_name": class_name} | {name: text for name, text in named.items() if text}


def _r2_bucket(db: sqlite3.Connection, part: Fields) -> Binding:
    bucket_name, jurisdiction = part.text("bucket_name"), part.choice("jurisdiction", r2_buckets.JURISDICTIONS)
    if not bucket_name:
        raise _must_have(part, "a valid `bucket_name`")
    binding = {"bucket_name": bucket_name} | ({} if jurisdiction is None else {"jurisdiction": jurisdiction})
    if desired_state.bucket_of(db, binding) is None:
        raise _r2_bucket_missing(bucket_name)
    return binding


def _ratelimit(_: sqlite3.Connection, part: Fields) -> Binding:
    namespace_id, simple = part.text("namespace_id"), part.fields("simple")
    if not namespace_id or simple is None:
        raise _must_have(part, "a `namespace_id` and `simple`")
    limit, period = simple.integer("limit", 1, _LARGEST_LIMIT), simple.integer("period", 10, 60)
    if limit is None or period not in (10, 60):  # documented
        raise simple.wrong("period" if limit else "limit", "Expected a limit, and a period of 10 or 60 seconds")
    return {"namespace_id": namespace_id, "simple": {"limit": limit, "period": period}}


def _nothing_more(_: sqlite3.Connection, part: Fields) -> Binding:  # noqa: ARG001 a reader's arguments
    return {}


def _service(_: sqlite3.Connection, part: Fields) -> Binding:
    """Read a service binding, whose Worker `_check_services` looks for."""
    service = part.text("service")
    if not service:
        raise _must_have(part, "a `service`")
    named = {name: part.text(name) for name in ("entrypoint", "environment")}
    return {"service": service} | {name: text for name, text in named.items() if text}


def _workflow(_: sqlite3.Connection, part: Fields) -> Binding:
    """Read a workflow binding. The workflow need not exist: it may be created after the code is deployed (recorded)."""
    workflow_name, class_name, script_name = (part.text(key) for key in ("workflow_name", "class_name", "script_name"))
    if not workflow_name:
        raise _must_have(part, "a valid `workflow_name`")
    if class_name == "":
        raise _must_have(part, "a valid `class_name`")
    optional = {"class_name": class_name, "script_name": script_name}
    return {"workflow_name": workflow_name} | {key: value for key, value in optional.items() if value is not None}


_READERS: dict[str, Callable[[sqlite3.Connection, Fields], Binding]] = {
    "analytics_engine": _analytics_engine,
    "assets": _nothing_more,
    "d1": _d1,
    "data_blob": _part,
    "durable_object_namespace": _durable_object_namespace,
    "kv_namespace": _kv_namespace,
    "queue": _queue,
    "r2_bucket": _r2_bucket,
    "ratelimit": _ratelimit,
    "text_blob": _part,
    "wasm_module": _part,
    "workflow": _workflow,
    "service": _service,
    "version_metadata": _nothing_more,
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


def _kv_namespace_missing(namespace_id: str) -> ApiError:
    return ApiError(400, 10041, f"KV namespace '{namespace_id}' not found.")  # quoted


def _r2_bucket_missing(name: str) -> ApiError:  # quoted
    wanted = "Verify the bucket exists in your account and that the bucket_name in your configuration is correct."
    return ApiError(400, 10085, f"R2 bucket '{name}' not found. {wanted}")
