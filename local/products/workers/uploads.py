"""Uploads: the code and the bindings of one version are read, tried in a separate workerd, and stored.

The trial comes before the storing, so that code that does not start is refused with the runtime's message. Texts marked
(quoted) are texts of the real API that public code quotes.
"""

import asyncio
import gzip
import hashlib
import json
import re
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from local.api.envelope import ApiError, Json, RawReply, Reply, now
from local.api.fields import Fields
from local.api.routing import Call, Handler
from local.core.cloud import Change
from local.core.code_files import CodeFiles, Module, NewModule
from local.products.assets import assets
from local.products.durable_objects import namespaces as durable_objects
from local.products.queues import consumers as queue_consumers
from local.products.workers import bindings, deployments, desired_state, previews, workers

# https://developers.cloudflare.com/workers/platform/limits/#worker-size, paid plan
MAX_COMPRESSED_BYTES = 10 * 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024

_DEFAULT_COMPATIBILITY_DATE = "2021-11-02"  # documented: the compatibility date of a Worker without one
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONTENT_TYPES = (
    "application/javascript+module",
    "text/javascript+module",
    "application/javascript",
    "text/javascript",
    "application/wasm",
    "text/plain",
    "application/octet-stream",
    "application/json",
    "application/source-map",
)
_PYTHON = ("text/x-python", "text/x-python-requirement")  # as wrangler sends them
# https://developers.cloudflare.com/workers/platform/limits/ and /workers/wrangler/configuration/#limits
MAX_CPU_MS = 300_000
MAX_SUBREQUESTS = 10_000_000

# https://developers.cloudflare.com/workers/versions-and-deployments/: the number of versions that can be deployed
KEPT_VERSIONS = 100

_PLACEMENTS = ("smart", "targeted")
_USAGE_MODELS = ("standard", "bundled", "unbound")
_ECHOED = ("annotations", "cache_options", "limits", "package_dependencies", "placement")  # stored, without effect here
_ELSEWHERE = ("containers",)


class OutdatedError(Exception):
    """An upload keeps something of a version that is not the latest any more: the upload must be read again."""


@dataclass(frozen=True)
class Draft:
    """A future version. `upload` is the version as it is stored, without its modules."""

    version_id: str
    upload: dict[str, Any]
    modules: list[Module]
    handlers: list[str]
    startup_time_ms: int
    heir_of: str | None = None  # the version from which it keeps something; None if it keeps nothing

    @property
    def etag(self) -> str:
        """The fingerprint of the code."""
        return etag(self.modules)


def taking_uploads(handler: Handler) -> Handler:
    """Make a route start again if another version was uploaded during its trial."""

    @wraps(handler)
    async def again(call: Call) -> Reply | RawReply:
        while True:
            try:
                return await handler(call)
            except OutdatedError:
                continue

    return again


async def keep_code(call: Call, modules: list[NewModule]) -> list[Module]:
    """Write modules to the disk, where the data plane finds them by their hashes."""
    return await asyncio.to_thread(call.cloud.code.keep, modules)


async def prepare(
    call: Call, body: Fields, modules: list[Module], previous: sqlite3.Row | None, *, strict: bool = True
) -> Draft:
    """Read an upload and try it. Raises ApiError.

    It may keep bindings and assets of the version `previous`. Unless `strict`, a binding whose resource does not exist
    is left out.
    """
    if _has_code(body, modules):
        _check_modules(modules, body)
        await asyncio.to_thread(_check_size, call.cloud.code, modules)
    found = assets.read(call.cloud.db, call.cloud.asset_token_key, body, previous)
    names = [module["name"] for module in modules]
    upload = _upload(call, body, names, previous, strict=strict)
    assets.check(found, upload["bindings"], has_code=upload["main_module"] is not None)
    upload |= {"assets": found, "workflow_classes": [], "classes": [], "named_handlers": []}
    heir_of = _id_of(previous) if _keeps(body) else None
    version_id = str(uuid.uuid4())
    if upload["main_module"] is None:
        return Draft(version_id, upload, modules, [], 0, heir_of)
    report = await call.cloud.data_plane.validate(desired_state.runnable(upload, version_id, modules))
    if not report["handlers"] and not report["named_handlers"]:  # quoted
        raise ApiError(400, 10068, "The uploaded script has no registered event handlers.")
    exported = {"default", *(named["name"] for named in report["named_handlers"])}
    bindings.check_entrypoints(call.cloud.db, upload["bindings"], _uploaded_name(call), exported)
    upload |= {
        "workflow_classes": report["workflow_classes"],
        "classes": [named["name"] for named in report["named_handlers"] if named["handlers"] == ["class"]],
        "named_handlers": report["named_handlers"],
    }
    return Draft(version_id, upload, modules, report["handlers"], report["startup_time_ms"], heir_of)


async def prepare_like(call: Call, row: sqlite3.Row, changes: Mapping[str, Json], modules: list[Module]) -> Draft:
    """Read and try an upload that equals the latest version except for some metadata. Raises ApiError."""
    draft = await prepare(call, Fields(_metadata_of(row) | dict(changes), invalid), modules, row)
    return replace(draft, heir_of=row["id"])


def _metadata_of(row: sqlite3.Row) -> dict[str, Json]:
    """Return a version as the metadata of an upload that would change nothing."""
    upload: dict[str, Any] = json.loads(row["upload"])
    names = ("main_module", "compatibility_date", "compatibility_flags", "usage_model", "exports")
    kept = {name: value for name, value in upload["echo"].items() if name != "annotations"}
    if upload.get("service_worker", False):
        kept["body_part"] = upload["main_module"]
    inherited = [{"type": "inherit", "name": binding["name"]} for binding in upload["bindings"]]
    return (
        kept
        | {name: upload[name] for name in names}
        | {"bindings": inherited, "keep_assets": bool(upload.get("assets"))}
    )


def revise(
    db: sqlite3.Connection, row: sqlite3.Row, new_bindings: list[bindings.Binding], annotations: dict[str, Json]
) -> Draft:
    """Return a draft of a version's code with other bindings."""
    upload: dict[str, Any] = json.loads(row["upload"])
    echo = {key: value for key, value in upload["echo"].items() if key != "annotations"}
    upload |= {
        "uploaded_on": now(),
        "bindings": sorted(new_bindings, key=lambda binding: binding["name"].encode()),
        "migrations": None,  # they were applied already
        "echo": echo | ({"annotations": annotations} if annotations else {}),
    }
    modules = desired_state.modules_of(db, row["id"])
    handlers = json.loads(row["handlers"])
    return Draft(str(uuid.uuid4()), upload, modules, handlers, row["startup_time_ms"], row["id"])


def keep(call: Call, change: Change, worker: sqlite3.Row, draft: Draft, *, triggered_by: str | None = None) -> None:
    """Store a version without deploying it. Raises ApiError, and OutdatedError."""
    _keep(call, change, worker, draft, triggered_by, deploys=False)


def deploy(
    call: Call,
    change: Change,
    worker: sqlite3.Row,
    draft: Draft,
    *,
    triggered_by: str | None = None,
    annotations: dict[str, Json] | None = None,
) -> None:
    """Store a version and send all traffic to it. `annotations` are the deployment's."""
    _keep(call, change, worker, draft, triggered_by, deploys=True)
    split = [{"percentage": 100, "version_id": draft.version_id}]
    deployments.insert(change.db, worker["id"], split, annotations or {}, call.source)


def etag(modules: list[Module]) -> str:
    """Return a fingerprint of modules: the same code has the same fingerprint."""
    return hashlib.sha256(json.dumps(modules).encode()).hexdigest()


def annotations(upload: dict[str, Any]) -> dict[str, Json]:
    """Return a version's annotations: those of its uploader, and what created it."""
    given: dict[str, Json] = upload["echo"].get("annotations", {})
    trigger = upload.get("triggered_by")
    return given | ({} if trigger is None else {"workers/triggered_by": trigger})


def invalid(path: str, problem: str) -> ApiError:
    """Return the error about a field of an upload; the text is ours."""
    return ApiError(400, 10021, f"Invalid Worker version: {path or 'body'}: {problem}")


def _has_code(body: Fields, modules: list[Module]) -> bool:
    """Distinguish a Worker with code from one with assets only, which names no main module."""
    return bool(modules) or body.has(_main_field(body)) or not assets.are_sent(body)


def _main_field(body: Fields) -> str:
    """Return the name of the field that says which part is the Worker; the service worker syntax has its own."""
    return "body_part" if body.has("body_part") else "main_module"


def _upload(
    call: Call, body: Fields, names: list[str], previous: sqlite3.Row | None, *, strict: bool
) -> dict[str, Any]:
    """Read a version, without modules and assets, in the form in which it is stored."""
    for name in _ELSEWHERE:
        if body.values.get(name):
            raise ApiError(501, 10021, f"The local Cloudflare does not have {name} of a Worker version")
    lifecycle = durable_objects.read_lifecycle(body)
    previews.check_alias(body.fields("annotations") or Fields({}, invalid), _uploaded_name(call))
    _check_kept(body)
    service_worker = body.has("body_part")
    date = body.text("compatibility_date")
    if date and not _DATE.fullmatch(date):
        raise body.wrong("compatibility_date", f"Expected a date like 2025-04-01, received '{date}'")
    earlier: list[bindings.Binding] = [] if previous is None else json.loads(previous["upload"])["bindings"]
    own, kept = bindings.read_bindings(call.cloud.db, body, earlier, strict=strict, uploaded=_uploaded_name(call))
    bindings.check_format([*own, *kept], names, service_worker=service_worker)
    bindings.check_amount([*own, *kept])
    return {
        "main_module": body.text(_main_field(body)),
        "service_worker": service_worker,
        "compatibility_date": date or _DEFAULT_COMPATIBILITY_DATE,
        "compatibility_flags": body.texts("compatibility_flags") or [],
        "uploaded_on": now(),
        "usage_model": body.choice("usage_model", _USAGE_MODELS) or "standard",
        "bindings": bindings.in_order([*own, *kept]),
        "exports": lifecycle.exports,
        "migrations": lifecycle.migrations,
        "echo": {name: body.values[name] for name in _ECHOED if body.values.get(name) is not None}
        # The provider compares these with the program's values, and distinguishes null from empty.
        | {name: body.values[name] for name in ("compatibility_date", "compatibility_flags") if body.has(name)},
    }


def _uploaded_name(call: Call) -> str:
    """Return the name of the Worker that an upload is for; it need not exist."""
    return call.path.get("script_name") or workers.find(call.cloud.db, call.path["worker_id"])["name"]


def _check_kept(body: Fields) -> None:
    """Check types and bounds of fields that have no effect here, so that a mistake shows before a real deployment."""
    limits = body.fields("limits") or Fields({}, invalid)
    limits.integer("cpu_ms", 1, MAX_CPU_MS)
    limits.integer("subrequests", 1, MAX_SUBREQUESTS)
    placement = body.fields("placement") or Fields({}, invalid)
    placement.choice("mode", _PLACEMENTS)
    for name in ("region", "hostname", "host"):
        placement.text(name)
    placement.objects("target")
    cache = body.fields("cache_options") or Fields({}, invalid)
    cache.flag("enabled")
    cache.flag("cross_version_cache")
    body.objects("package_dependencies")
    annotations = body.fields("annotations") or Fields({}, invalid)
    for name in annotations.values:
        annotations.text(name)


def _keeps(body: Fields) -> bool:
    """Tell whether an upload keeps something of the previous version, which may have nothing of it."""
    inherits = any(part.values.get("type") == "inherit" for part in body.objects("bindings") or [])
    return bool(inherits or body.texts("keep_bindings") or body.flag("keep_assets"))


def _id_of(version: sqlite3.Row | None) -> str:
    """Return the id of a version; None if there is none."""
    return "" if version is None else version["id"]


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, such as a charset."""
    return content_type.partition(";")[0].strip()


def _check_modules(modules: list[Module], body: Fields) -> None:
    if not modules:
        raise ApiError(400, 10021, "A Worker version needs at least one module")
    names = [module["name"] for module in modules]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ApiError(400, 10021, f'Duplicate module "{min(twice)}".')
    main_module = body.required_text(_main_field(body))
    if main_module not in names:
        raise ApiError(400, 10021, f'No such module "{main_module}".')
    for index, module in enumerate(modules):
        kind = media_type(module["content_type"])
        if kind in _PYTHON:
            raise ApiError(501, 10021, f"The local Cloudflare does not have Python Workers (module {module['name']})")
        if kind not in _CONTENT_TYPES:
            problem = f"Unsupported content type '{module['content_type']}'"
            raise invalid(f"modules.{index}.content_type", problem)


def _check_size(code: CodeFiles, modules: list[Module]) -> None:
    """Refuse code that is too large. Raises ApiError 10027 (quoted for the free plan's 3 MiB)."""
    size = sum(code.size(module["sha256"]) for module in modules)
    too_large = size > MAX_BYTES
    if size > MAX_COMPRESSED_BYTES and not too_large:
        contents = b"".join(code.read(module["sha256"]) for module in modules)
        too_large = len(gzip.compress(contents, compresslevel=6)) > MAX_COMPRESSED_BYTES
    if too_large:
        raise ApiError(413, 10027, "Your Worker exceeded the size limit of 10 MiB.")


def _keep(
    call: Call, change: Change, worker: sqlite3.Row, draft: Draft, triggered_by: str | None, *, deploys: bool
) -> None:
    db, upload = change.db, draft.upload
    last = db.execute(
        "SELECT id, number FROM worker_versions WHERE worker_id = ? ORDER BY number DESC", (worker["id"],)
    ).fetchone()
    if draft.heir_of not in (None, _id_of(last)):
        raise OutdatedError
    consumes = db.execute("SELECT 1 FROM queue_consumers WHERE worker_id = ?", (worker["id"],)).fetchone()
    if consumes is not None and "queue" not in draft.handlers:
        raise queue_consumers.queue_handler_missing()
    bindings.check_still_bound(db, upload["bindings"])
    for namespace_id in durable_objects.apply_lifecycle(db, worker, upload, deploys=deploys):
        change.add_tombstone("durable_objects", namespace_id)
    durable_objects.bind(db, worker["id"], upload["bindings"], upload["classes"])
    upload["triggered_by"] = triggered_by
    number = 1 if last is None else last["number"] + 1
    _insert(db, worker["id"], draft, number, call.source)


def _forget_old(db: sqlite3.Connection, worker_id: str, number: int) -> None:
    """Delete versions that cannot be deployed any more, unless they are deployed, and their former deployments."""
    deployed = [part["version_id"] for part in desired_state.split_of(db, worker_id)]
    db.execute(
        "DELETE FROM worker_versions WHERE worker_id = ? AND number <= ?"
        " AND id NOT IN (SELECT value FROM json_each(?))",
        (worker_id, number - KEPT_VERSIONS, json.dumps(deployed)),
    )
    db.execute(
        "DELETE FROM worker_deployments WHERE worker_id = ?1 AND EXISTS"
        " (SELECT 1 FROM json_each(versions) WHERE value ->> 'version_id' NOT IN"
        " (SELECT id FROM worker_versions WHERE worker_id = ?1))",
        (worker_id,),
    )


def _insert(db: sqlite3.Connection, worker_id: str, draft: Draft, number: int, source: str) -> None:
    db.execute(
        "INSERT INTO worker_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            draft.version_id,
            worker_id,
            number,
            now(),
            source,
            draft.startup_time_ms,
            json.dumps(draft.handlers),
            json.dumps(draft.upload),
        ),
    )
    db.executemany(
        "INSERT INTO worker_modules VALUES (?, ?, ?, ?, ?)",
        [
            (draft.version_id, position, module["name"], module["content_type"], module["sha256"])
            for position, module in enumerate(draft.modules)
        ],
    )
    _forget_old(db, worker_id, number)
    if draft.upload.get("assets"):
        assets.keep(db, draft.version_id, draft.upload["assets"])
