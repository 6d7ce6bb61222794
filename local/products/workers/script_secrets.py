"""Secrets of a Worker: bindings that are set separately. Each change makes a version that is deployed at once.

10215 is quoted in public code with wrangler's own text; 10053 and 10056 are quoted with the API's.
"""

import json
from collections.abc import Mapping

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields, unparsable
from local.api.routing import Call, Route
from local.products.workers import bindings, uploads, workers
from local.products.workers import versions as worker_versions

_SECRET = "secret_text"  # noqa: S105 a type of bindings
_TRIGGER: dict[str, Json] = {"workers/triggered_by": "secret"}  # quoted in public code, from the real API


async def list_secrets(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/secrets: the names, never the texts."""
    return Reply(list(_secrets(call).values()))


async def get_secret(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/secrets/{secret_name}."""
    name = call.path["secret_name"]
    found = _secrets(call).get(name)
    if found is None:
        raise _missing(name)
    return Reply(found)


async def put_secret(call: Call) -> Reply:
    """PUT /workers/scripts/{script_name}/secrets: {name, text, type}."""
    secret = _read(call.fields(unparsable))
    changed = await _change(call, {secret["name"]: secret})
    return Reply(changed[secret["name"]])


async def patch_secrets(call: Call) -> Reply:
    """PATCH /workers/scripts/{script_name}/secrets-bulk: {secrets: {name: secret or null}}, all or none."""
    part = call.fields(unparsable).fields("secrets")
    if part is None:
        raise unparsable("secrets", "Required")
    patch: dict[str, dict[str, str] | None] = {}
    for name in part.values:
        given = part.fields(name)
        patch[name] = None if given is None else _read(Fields({"name": name, **given.values}, unparsable, name))
    return Reply(await _change(call, patch))


async def delete_secret(call: Call) -> Reply:
    """DELETE /workers/scripts/{script_name}/secrets/{secret_name}; names are encoded, whatever ?url_encoded says."""
    name = call.path["secret_name"]
    if name not in _secrets(call):
        raise _missing(name)
    await _change(call, {name: None})
    return Reply(None)


def _secrets(call: Call) -> dict[str, dict[str, Json]]:
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    row = worker_versions.latest(call.cloud.db, worker["id"])
    found: list[bindings.Binding] = [] if row is None else json.loads(row["upload"])["bindings"]
    return _described(found)


async def _change(call: Call, patch: Mapping[str, dict[str, str] | None]) -> dict[str, dict[str, Json]]:
    """Deploy a version with changed secrets, and return all its secrets."""
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        row = worker_versions.deployed_latest(change.db, worker["id"])
        if row is None:
            message = (
                "Secret edit failed. You attempted to modify a secret, but the latest version of your Worker isn't"
                " currently deployed."
            )
            raise ApiError(400, 10215, message)
        draft = uploads.revise(change.db, row, _patched(json.loads(row["upload"])["bindings"], patch), {})
        uploads.deploy(call, change, worker, draft, triggered_by="secret", annotations=_TRIGGER)
    return _described(draft.upload["bindings"])


def _patched(found: list[bindings.Binding], patch: Mapping[str, dict[str, str] | None]) -> list[bindings.Binding]:
    """Change the secrets among bindings. Raises ApiError 10056 and 10053 (both quoted) for other bindings."""
    for binding in found:
        name = binding["name"]
        if name in patch and binding["type"] != _SECRET:
            if patch[name] is None:
                raise _missing(name)
            message = f"Binding name '{name}' already in use. Please use a different name and try again."
            raise ApiError(400, 10053, message)
    kept = [binding for binding in found if binding["name"] not in patch]
    return kept + [dict(secret) for secret in patch.values() if secret is not None]


def _read(body: Fields) -> dict[str, str]:
    name = body.required_text("name")
    kind = body.text("type") or _SECRET
    if kind != _SECRET:
        raise ApiError(501, 10021, f"The local Cloudflare does not have secrets of type {kind}")
    text = body.text("text")
    if text is None:
        raise body.wrong("text", "Required")
    return {"name": name, "type": _SECRET, "text": text}


def _described(found: list[bindings.Binding]) -> dict[str, dict[str, Json]]:
    return {binding["name"]: bindings.describe(binding) for binding in found if binding["type"] == _SECRET}


def _missing(name: str) -> ApiError:
    return ApiError(404, 10056, f"Binding '{name}' not found. Please use a different name and try again.")  # quoted


_SCRIPT = "/accounts/{account_id}/workers/scripts/{script_name}"

ROUTES = (
    Route("GET", _SCRIPT + "/secrets", list_secrets),
    Route("PUT", _SCRIPT + "/secrets", put_secret),
    Route("GET", _SCRIPT + "/secrets/{secret_name}", get_secret),
    Route("DELETE", _SCRIPT + "/secrets/{secret_name}", delete_secret),
    Route("PATCH", _SCRIPT + "/secrets-bulk", patch_secrets),
)
