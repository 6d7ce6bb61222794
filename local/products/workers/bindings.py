"""Bindings: what a version of a Worker can use, and by which names.

Each product declares its types. Texts marked (quoted) are texts of the real API that public code quotes.
"""

import sqlite3
from collections.abc import Collection
from itertools import pairwise
from typing import cast

from local.api import json_text
from local.api.envelope import ApiError, Json
from local.api.fields import Fields
from local.core.product import StoredBinding
from local.core.registry import binding_types
from local.products.workers import desired_state

Binding = StoredBinding

# https://developers.cloudflare.com/workers/platform/limits/#environment-variables and /d1/platform/limits/ (metadata)
MAX_VARIABLES = 128
MAX_METADATA_BYTES = 1024 * 1024

_VARIABLES = ("plain_text", "secret_text", "json")

# Types that Cloudflare supports and that no product here declares (API reference, "multipart upload metadata";
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
    db: sqlite3.Connection, body: Fields, earlier: list[Binding], *, strict: bool, uploaded: str
) -> tuple[list[Binding], list[Binding]]:
    """Read the bindings of an upload: its own, and those that it keeps from an earlier version.

    Finds the bound resources. Raises ApiError if one does not exist, except the Worker that is `uploaded` itself.
    """
    parts = body.objects("bindings") or []
    own = [_read(db, part) for part in parts if part.values.get("type") != "inherit"]
    _check_named(db, own, uploaded)
    kept = _inherited([part for part in parts if part.values.get("type") == "inherit"], earlier, strict=strict)
    taken = {binding["name"] for binding in (*own, *kept)}
    types = body.texts("keep_bindings") or []
    kept += [binding for binding in earlier if binding["type"] in types and binding["name"] not in taken]
    return own, kept


def in_order(bindings: list[Binding]) -> list[Binding]:
    """Sort bindings by name. Raises ApiError if a name occurs twice.

    The order is bytewise, because the provider pairs its own sorted list with the answer's by position.
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
    _check_named(db, added, None)
    return [binding for binding in bindings if binding["name"] not in parts] + added


def describe(binding: Binding) -> dict[str, Json]:
    """Return a stored binding for an answer: without internal ids, and without the text of a secret."""
    hidden = binding_types()[binding["type"]].hidden
    return {key: value for key, value in binding.items() if key not in hidden}


def check_still_bound(db: sqlite3.Connection, bindings: list[Binding]) -> None:
    """Refuse to deploy a version whose queue, KV namespace or R2 bucket was deleted after its upload.

    Raises ApiError 11002, 10041 and 10085.
    """
    for binding in bindings:
        binding_types()[binding["type"]].check_bound(db, binding)


def check_format(bindings: list[Binding], part_names: list[str], *, service_worker: bool) -> None:
    """Refuse bindings that the Worker's syntax does not support. Raises ApiError 100329 (quoted) and 10021.

    workers-sdk#392 says that ES modules cannot bind parts; the text is ours.
    """
    for binding in bindings:
        named = f"Binding '{binding['name']}' of type '{binding['type']}'"
        if service_worker and binding_types()[binding["type"]].modules_only:
            raise ApiError(400, 100329, f"{named} requires a Worker written in ES module format.")
        if not service_worker and "part" in binding:
            raise ApiError(400, 10021, f"{named} requires a Worker written in service worker format.")
        if "part" in binding and binding["part"] not in part_names:
            raise ApiError(400, 10021, f"{named} references part '{binding['part']}' which was not found.")


def check_amount(bindings: list[Binding]) -> None:
    """Refuse more bindings than a Worker may have. The limits are documented; code and texts are ours."""
    variables = sum(binding["type"] in _VARIABLES for binding in bindings)
    if variables > MAX_VARIABLES:
        message = f"A Worker can have at most {MAX_VARIABLES} environment variables and secrets, received {variables}"
        raise ApiError(400, 10021, message)
    size = len(json_text.compact(cast("list[Json]", bindings)))
    if size > MAX_METADATA_BYTES:
        message = f"The bindings of a Worker can take at most {MAX_METADATA_BYTES} bytes, received {size}"
        raise ApiError(400, 10021, message)


def _read(db: sqlite3.Connection, part: Fields) -> Binding:
    name = part.required_text("name")
    kind = part.required_text("type")
    known = binding_types().get(kind)
    if known is not None:
        return {"name": name, "type": kind, **known.read(db, part)}
    if kind in _ELSEWHERE:
        raise ApiError(501, 10021, f"The local Cloudflare does not have bindings of type {kind} (binding {name})")
    raise ApiError(400, 10021, f"binding {name} has unknown type {kind}")


def _check_named(db: sqlite3.Connection, bindings: list[Binding], uploaded: str | None) -> None:
    for binding in bindings:
        binding_types()[binding["type"]].check_named(db, binding, uploaded)


def check_entrypoints(db: sqlite3.Connection, bindings: list[Binding], uploaded: str, own: Collection[str]) -> None:
    """Refuse a service binding to a missing entrypoint; `own` are those of the upload. The text is ours."""
    for binding in bindings:
        wanted = binding.get("entrypoint") if binding["type"] == "service" else None
        if wanted is None:
            continue
        found = own if binding["service"] == uploaded else desired_state.entrypoints_of(db, binding["service"])
        if wanted not in found:
            message = (
                f"Service binding '{binding['name']}' references entrypoint '{wanted}' of Worker"
                f" '{binding['service']}' which was not found. It exports: {', '.join(sorted(found))}."
            )
            raise ApiError(400, 10021, message)


def _inherited(parts: list[Fields], earlier: list[Binding], *, strict: bool) -> list[Binding]:
    """Find the bindings that an upload inherits. Raises ApiError 10057, one error for each (both texts are quoted)."""
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
