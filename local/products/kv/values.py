"""Keys and values of Workers KV, one by one and in bulk. Codes and texts are explained in kv/namespaces.py."""

import base64
import binascii
import json
import time
from typing import Any

from local.api import json_text
from local.api.envelope import ApiError, Json, RawReply, Reply
from local.api.fields import Fields, array, objects, type_name
from local.api.multipart import boundary_of, form_parts
from local.api.routing import Call, Route
from local.products.kv.namespaces import find, invalid
from local.runtime.data_plane_client import DataPlaneRefusedError

# https://developers.cloudflare.com/kv/platform/limits/
MAX_KEY_BYTES = 512
MAX_VALUE_BYTES = 25 * 1024 * 1024
MAX_METADATA_BYTES = 1024
MIN_TTL_SECONDS = 60

# https://developers.cloudflare.com/api/resources/kv/subresources/namespaces/
_MAX_BULK_PAIRS = 10_000
_MAX_BULK_KEYS = 100  # the limit of a bulk get
_SMALLEST_LIST = 10
_LARGEST_LIST = 1000

_FOREVER = (1 << 53) - 1  # the largest whole number that every JSON parser reads exactly


async def put_value(call: Call) -> Reply:
    """PUT …/values/{key}: the body is the value, or a form with `value` and `metadata`; it replaces the old pair."""
    namespace_id, key = _namespace(call, "put"), _key(call.path["key"])
    value, metadata = _value_and_metadata(call)
    query = Fields({name: _whole_number(call, name) for name in ("expiration", "expiration_ttl")}, invalid)
    pair = _pair(key, value, metadata, _expiration(query))
    await call.cloud.data_plane.call("kv", namespace_id, "put", {"pairs": [pair]})
    return Reply(None)


async def get_value(call: Call) -> RawReply:
    """GET …/values/{key}: the bytes unchanged; a header says when they expire."""
    namespace_id, key = _namespace(call, "get"), _key(call.path["key"])
    entry = await _entry(call, namespace_id, key)
    expiration = entry["expiration"]
    headers = {} if expiration is None else {"expiration": str(expiration)}
    return RawReply(base64.b64decode(entry["value_base64"]), headers)


async def delete_value(call: Call) -> Reply:
    """DELETE …/values/{key}: succeeds even if the key does not exist."""
    namespace_id, key = _namespace(call, "delete"), _key(call.path["key"])
    await call.cloud.data_plane.call("kv", namespace_id, "delete", {"keys": [key]})
    return Reply(None)


async def get_metadata(call: Call) -> Reply:
    """GET …/metadata/{key}: null if there is none."""
    namespace_id, key = _namespace(call, "get"), _key(call.path["key"])
    return Reply(_metadata_of(await _entry(call, namespace_id, key)))


async def list_keys(call: Call) -> Reply:
    """GET …/keys: by `prefix`, `limit` at a time; an empty `cursor` in the answer marks the last page."""
    namespace_id = _namespace(call, "list keys")
    prefix, cursor = call.argument("prefix") or "", call.argument("cursor")
    limit = _whole_number(call, "limit")
    limit = _LARGEST_LIST if limit is None else limit
    if not _SMALLEST_LIST <= limit <= _LARGEST_LIST:
        message = f"list keys: 'invalid limit argument: {limit} is not from {_SMALLEST_LIST} to {_LARGEST_LIST}'"
        raise ApiError(400, 10028, message)
    try:
        body = {"prefix": prefix, "limit": limit, "cursor": cursor}
        listed = await call.cloud.data_plane.call("kv", namespace_id, "list", body)
    except DataPlaneRefusedError as error:
        if error.kind != "bad_request":
            raise
        raise ApiError(400, 10029, f"list keys: '{error.message}'") from error
    shown = [_listed(key) for key in listed["keys"]]
    return Reply(shown, {"count": len(shown), "cursor": listed["cursor"] or ""})


async def put_values(call: Call) -> Reply:
    """PUT …/bulk: an array of {key, value, base64, expiration, expiration_ttl, metadata}; one error refuses all."""
    namespace_id = _namespace(call, "put")
    pairs = [_bulk_pair(item) for item in objects(_array(call), invalid)]
    await call.cloud.data_plane.call("kv", namespace_id, "put", {"pairs": pairs})
    return _counted(len(pairs))


async def delete_values(call: Call) -> Reply:
    """POST …/bulk/delete, and DELETE …/bulk, its older form: an array of keys."""
    namespace_id = _namespace(call, "delete")
    keys = [_bulk_key(item, str(index)) for index, item in enumerate(_array(call))]
    await call.cloud.data_plane.call("kv", namespace_id, "delete", {"keys": keys})
    return _counted(len(keys))


async def get_values(call: Call) -> Reply:
    """POST …/bulk/get: {keys, type: text | json, withMetadata}; a missing key has the value null."""
    namespace_id = _namespace(call, "get")
    body = call.fields(invalid)
    keys = [_bulk_key(item, f"keys.{index}") for index, item in enumerate(body.items("keys") or [])]
    if not keys:
        raise ApiError(400, 10029, "You must request a minimum of 1 key")
    if len(keys) > _MAX_BULK_KEYS:
        raise ApiError(400, 10029, f"You can request a maximum of {_MAX_BULK_KEYS} keys")
    kind = body.choice("type", ("text", "json")) or "text"
    with_metadata = body.flag("withMetadata") or False
    entries = await _entries(call, namespace_id, keys)
    shown = {
        key: None if entry is None else _bulk_value(entry, kind, with_metadata=with_metadata)
        for key, entry in zip(keys, entries, strict=True)
    }
    return Reply({"values": shown})


def _namespace(call: Call, operation: str) -> str:
    return find(call.cloud.db, call.path["namespace_id"], operation)["id"]


async def _entries(call: Call, namespace_id: str, keys: list[str]) -> list[dict[str, Any] | None]:
    """Read values: each is {value_base64, expiration, metadata}, or None."""
    return (await call.cloud.data_plane.call("kv", namespace_id, "get", {"keys": keys}))["entries"]


async def _entry(call: Call, namespace_id: str, key: str) -> dict[str, Any]:
    [entry] = await _entries(call, namespace_id, [key])
    if entry is None:
        raise ApiError(404, 10009, "get: 'key not found'")  # quoted
    return entry


def _key(key: str) -> str:
    if key in (".", ".."):
        raise ApiError(400, 10029, f'Illegal key name "{key}". Please use a different name.')
    length = len(key.encode())
    if length > MAX_KEY_BYTES:  # quoted
        message = f"UTF-8 encoded length of {length} exceeds key length limit of {MAX_KEY_BYTES}."
        raise ApiError(414, 10030, message)
    return key


def _value_and_metadata(call: Call) -> tuple[bytes, Json]:
    boundary = boundary_of(call.content_type)
    if boundary is None:
        return call.body, None
    try:
        parts = {part.name: part.content for part in form_parts(call.body, boundary)}
    except ValueError as error:
        raise invalid("", str(error)) from error
    if "value" not in parts:
        raise invalid("value", "Required")
    try:
        return parts["value"], json_text.parse(parts.get("metadata") or b"null")
    except ValueError as error:
        raise invalid("metadata", f"Invalid JSON: {error}") from error


def _pair(key: str, value: bytes, metadata: Json, expiration: int | None) -> dict[str, Any]:
    """Return a pair in the form of the data plane."""
    if len(value) > MAX_VALUE_BYTES:
        raise ApiError(413, 10024, f"Value length of {len(value)} exceeds limit of {MAX_VALUE_BYTES}.")
    text = None if metadata is None else json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
    length = len((text or "").encode())
    if length > MAX_METADATA_BYTES:
        raise ApiError(413, 10024, f"Metadata length of {length} exceeds limit of {MAX_METADATA_BYTES}.")
    encoded = base64.b64encode(value).decode()
    return {"key": key, "value_base64": encoded, "metadata": text, "expiration": expiration}


def _bulk_pair(part: Fields) -> dict[str, Any]:
    key = _bulk_key(part.values.get("key"), part.path("key"))
    text = part.text("value")
    if text is None:
        raise part.wrong("value", "Required")
    try:
        value = base64.b64decode(text, validate=True) if part.flag("base64") else text.encode()
    except binascii.Error as error:
        raise part.wrong("value", "Invalid base64") from error
    return _pair(key, value, part.values.get("metadata"), _expiration(part))


def _bulk_key(key: Json, path: str) -> str:
    if not isinstance(key, str):
        raise invalid(path, f"Expected string, received {type_name(key)}")
    if not key:
        raise ApiError(400, 10029, "Key names must not be empty")
    return _key(key)


def _expiration(part: Fields) -> int | None:
    """Return when a key expires, in epoch seconds; if both settings are given, the time to live counts (documented).

    The texts are the binding's (quoted: "KV PUT failed: 400 Invalid expiration_ttl of 30. …").
    """
    ttl = part.integer("expiration_ttl", -_FOREVER, _FOREVER)
    expiration = part.integer("expiration", -_FOREVER, _FOREVER)
    moment = int(time.time())
    if ttl is not None:
        if ttl <= 0:
            raise ApiError(400, 10034, f"Invalid expiration_ttl of {ttl}. Please specify integer greater than 0.")
        if ttl < MIN_TTL_SECONDS:
            wanted = f"Expiration TTL must be at least {MIN_TTL_SECONDS}."
            raise ApiError(400, 10034, f"Invalid expiration_ttl of {ttl}. {wanted}")
        return moment + ttl
    if expiration is not None and expiration < moment + MIN_TTL_SECONDS:
        wanted = f"Expiration times must be at least {MIN_TTL_SECONDS} seconds in the future."
        raise ApiError(400, 10033, f"Invalid expiration of {expiration}. {wanted}")
    return expiration


def _whole_number(call: Call, name: str) -> int | None:
    text = call.argument(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise ApiError(400, _NUMBER_CODES[name], f"Invalid {name} of {text}. Please specify an integer.") from error


_NUMBER_CODES = {"limit": 10028, "expiration": 10033, "expiration_ttl": 10034}


def _array(call: Call) -> list[Json]:
    items = array(call.json(invalid), invalid)
    if not 0 < len(items) <= _MAX_BULK_PAIRS:
        raise ApiError(400, 10029, f"invalid request: {len(items)} keys, expected 1 to {_MAX_BULK_PAIRS}")
    return items


def _counted(count: int) -> Reply:
    return Reply({"successful_key_count": count, "unsuccessful_keys": []})


def _listed(key: dict[str, Any]) -> dict[str, Json]:
    shown: dict[str, Json] = {"name": key["key"]}
    if key["expiration"] is not None:
        shown["expiration"] = key["expiration"]
    if key["metadata"] is not None:
        shown["metadata"] = json.loads(key["metadata"])
    return shown


def _bulk_value(entry: dict[str, Any], kind: str, *, with_metadata: bool) -> Json:
    text = base64.b64decode(entry["value_base64"]).decode(errors="replace")
    try:
        value = json_text.parse(text) if kind == "json" else text
    except ValueError as error:
        message = "At least one of the requested keys corresponds to a non-json value"
        raise ApiError(400, 10029, message) from error
    if not with_metadata:
        return value
    expiration = {} if entry["expiration"] is None else {"expiration": entry["expiration"]}
    return {"value": value, "metadata": _metadata_of(entry), **expiration}


def _metadata_of(entry: dict[str, Any]) -> Json:
    return None if entry["metadata"] is None else json.loads(entry["metadata"])


_NAMESPACE = "/accounts/{account_id}/storage/kv/namespaces/{namespace_id}"

ROUTES = (
    Route("PUT", _NAMESPACE + "/values/{key*}", put_value),
    Route("GET", _NAMESPACE + "/values/{key*}", get_value),
    Route("DELETE", _NAMESPACE + "/values/{key*}", delete_value),
    Route("GET", _NAMESPACE + "/metadata/{key*}", get_metadata),
    Route("GET", _NAMESPACE + "/keys", list_keys),
    Route("PUT", _NAMESPACE + "/bulk", put_values),
    Route("DELETE", _NAMESPACE + "/bulk", delete_values),
    Route("POST", _NAMESPACE + "/bulk/delete", delete_values),
    Route("POST", _NAMESPACE + "/bulk/get", get_values),
)
