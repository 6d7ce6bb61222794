"""Objects of R2 by REST, for `wrangler r2 object` and the SDK. Codes and texts are explained in r2/buckets.py."""

import json
import re
import sqlite3
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from local.api.envelope import ApiError, Json, RawReply, Reply
from local.api.routing import Call, Route
from local.products.r2 import buckets as r2_buckets
from local.runtime.data_plane_client import DataPlaneRefusedError

_MAX_KEY_BYTES = 1024  # https://developers.cloudflare.com/r2/platform/limits/
_LARGEST_UPLOAD_BYTES = 300 * 1024 * 1024  # "300 MB" in the API reference; wrangler sends up to 300 MiB
_LARGEST_PAGE = 1000
_STORAGE_CLASS = r2_buckets.STORAGE_CLASSES[0]

# R2's HTTP metadata, by header.
_HTTP_METADATA = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "content-type": "contentType",
}
_NO_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EXPIRES = "expires"
_CACHE_EXPIRY = "cacheExpiry"  # epoch milliseconds


async def put_object(call: Call) -> Reply:
    """PUT …/objects/{object_key}: the body is the object, headers contain its HTTP metadata."""
    bucket, key = r2_buckets.find(call), _key(call)
    metadata = _http_metadata(call)
    query = {"key": key, "http_metadata": json.dumps(metadata)}
    stored = await call.cloud.data_plane.send_bytes("r2", bucket["id"], call.body, query)
    return Reply(
        {
            "key": stored["key"],
            "etag": stored["etag"],
            "size": str(stored["size"]),  # a string (API reference)
            "version": stored["version"],
            "uploaded": _iso(stored["uploaded_ms"]),
            "storage_class": _STORAGE_CLASS,
        }
    )


async def get_object(call: Call) -> RawReply:
    """GET …/objects/{object_key}: the bytes, with the metadata in headers; 304 if the caller has the same object."""
    bucket, key = r2_buckets.find(call), _key(call)
    try:
        opened = await call.cloud.data_plane.open_bytes("r2", bucket["id"], {"key": key})
    except DataPlaneRefusedError as error:
        if error.kind != "not_found":
            raise
        raise ApiError(404, 10007, "The specified key does not exist.") from error  # documented, with S3's text
    headers = _headers(opened.fields)
    if _is_known(call, headers):
        await opened.close()
        return RawReply(b"", {"etag": headers["etag"]}, status=304)
    return RawReply(opened.read(), headers | {"content-length": str(opened.fields["size"])})


async def delete_object(call: Call) -> Reply:
    """DELETE …/objects/{object_key}: succeeds even if the key does not exist."""
    bucket, key = r2_buckets.find(call), _key(call)
    await call.cloud.data_plane.call("r2", bucket["id"], "delete", {"key": key})
    return Reply({"key": key})


async def list_objects(call: Call) -> Reply:
    """GET …/objects: filtered by `prefix`, `delimiter` and `start_after`; paged by `cursor`."""
    bucket: sqlite3.Row = r2_buckets.find(call)
    size = r2_buckets.page_size(call, default=_LARGEST_PAGE, largest=_LARGEST_PAGE)
    filters = {name: call.argument(name) or None for name in ("prefix", "delimiter", "start_after", "cursor")}
    listed = await call.cloud.data_plane.call("r2", bucket["id"], "list", filters | {"limit": size})
    cursor = listed["cursor"] or ""
    info = {"cursor": cursor, "is_truncated": bool(cursor), "per_page": size}
    return Reply([_listed(stored) for stored in listed["objects"]], info | {"delimited": listed["delimited_prefixes"]})


def _key(call: Call) -> str:
    key = call.path["object_key"]
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise ApiError(400, 10020, "The specified object name is not valid.")
    return key


def _http_metadata(call: Call) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        field: _from_header(call.headers[header]) for header, field in _HTTP_METADATA.items() if header in call.headers
    }
    expires = call.headers.get(_EXPIRES)
    if expires is not None:
        metadata[_CACHE_EXPIRY] = int(_moment(_EXPIRES, expires).timestamp() * 1000)
    return metadata


def _headers(stored: dict[str, Any]) -> dict[str, str]:
    metadata: dict[str, Any] = stored["http_metadata"]
    headers = {header: _to_header(metadata[field]) for header, field in _HTTP_METADATA.items() if metadata.get(field)}
    if metadata.get(_CACHE_EXPIRY) is not None:
        headers[_EXPIRES] = _http_date(metadata[_CACHE_EXPIRY])
    return headers | {"etag": f'"{stored["etag"]}"', "last-modified": _http_date(stored["uploaded_ms"])}


def _from_header(value: str) -> str:
    """Decode a header, which arrives as Latin-1, as the UTF-8 text that a Worker's binding shows."""
    return value.encode("latin-1").decode(errors="replace")


def _to_header(text: str) -> str:
    """Encode a header. Line ends, which a binding accepts and a header cannot have, are replaced."""
    return _NO_HEADER.sub(" ", text).encode().decode("latin-1")


def _is_known(call: Call, headers: dict[str, str]) -> bool:
    """Tell whether the caller has the object (RFC 9110, 13.1): by its etag, or else by its time."""
    etags = call.headers.get("if-none-match")
    if etags is not None:
        return etags.strip() == "*" or headers["etag"] in [etag.strip().removeprefix("W/") for etag in etags.split(",")]
    since = call.headers.get("if-modified-since")
    if since is None:
        return False
    return parsedate_to_datetime(headers["last-modified"]) <= _moment("if-modified-since", since)


def _moment(header: str, text: str) -> datetime:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError as error:
        raise r2_buckets.invalid(header, f"expected an HTTP date, got '{text}'") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _http_date(milliseconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(milliseconds) // 1000, UTC), usegmt=True)


def _iso(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _listed(stored: dict[str, Any]) -> dict[str, Json]:
    metadata = dict(stored["http_metadata"])
    if metadata.get(_CACHE_EXPIRY) is not None:
        metadata[_CACHE_EXPIRY] = _iso(metadata[_CACHE_EXPIRY])
    return {
        "key": stored["key"],
        "etag": stored["etag"],
        "size": stored["size"],
        "last_modified": _iso(stored["uploaded_ms"]),
        "http_metadata": metadata,
        "custom_metadata": stored["custom_metadata"],
        "storage_class": _STORAGE_CLASS,
        "ssec": False,
    }


_OBJECTS = "/accounts/{account_id}/r2/buckets/{bucket_name}/objects"

ROUTES = (
    Route("GET", _OBJECTS, list_objects),
    Route("PUT", _OBJECTS + "/{object_key*}", put_object, largest_body_bytes=_LARGEST_UPLOAD_BYTES),
    Route("GET", _OBJECTS + "/{object_key*}", get_object),
    Route("DELETE", _OBJECTS + "/{object_key*}", delete_object),
)
