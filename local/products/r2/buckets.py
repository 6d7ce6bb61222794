"""R2 buckets. Names are unique within each jurisdiction.

Codes are those of "Error codes" in R2's documentation, https://developers.cloudflare.com/r2/api/error-codes/; texts
marked (quoted) are texts of the real API, quoted in public code and issues.
"""

import base64
import binascii
import re
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from local.api.envelope import ApiError, Json, Reply, now
from local.api.routing import Call, Route, whole_number

JURISDICTIONS = ("default", "eu", "us", "fedramp", "fedramp-high")
STORAGE_CLASSES = ("Standard", "InfrequentAccess")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")  # documented, with code 10005
_LOCATIONS = ("apac", "eeur", "enam", "weur", "wnam", "oc")
_DEFAULT_LOCATION = "ENAM"  # without a hint, Cloudflare chooses the location closest to the caller
_PAGE_SIZE = 20
_LARGEST_PAGE = 1000


async def create_bucket(call: Call) -> Reply:
    """POST /r2/buckets: {name, locationHint, storageClass}."""
    body = call.fields(invalid)
    name = body.text("name") or ""
    if not _NAME.fullmatch(name):
        raise ApiError(400, 10005, "The specified bucket name is not valid.")  # quoted
    hint = (body.text("locationHint") or _DEFAULT_LOCATION).lower()
    if hint not in _LOCATIONS:
        raise body.wrong("locationHint", f"expected one of {', '.join(_LOCATIONS)}, got '{hint}'")
    row = {
        "id": uuid.uuid4().hex,
        "name": name,
        "jurisdiction": _jurisdiction(call),
        "location": hint.upper(),  # in the form of answers (terraform-provider-cloudflare#5819)
        "storage_class": body.choice("storageClass", STORAGE_CLASSES) or STORAGE_CLASSES[0],
        "creation_date": now(),
    }
    async with call.cloud.change() as change:
        try:
            change.db.execute(
                "INSERT INTO r2_buckets VALUES (:id, :name, :jurisdiction, :location, :storage_class, :creation_date)",
                row,
            )
        except sqlite3.IntegrityError as error:  # quoted
            raise ApiError(409, 10004, "The bucket you tried to create already exists, and you own it.") from error
    return Reply(_describe(row))


async def list_buckets(call: Call) -> Reply:
    """GET /r2/buckets: of one jurisdiction, filtered by `name_contains`, `start_after`, `direction`; by `cursor`."""
    direction = call.argument("direction") or "asc"
    if direction not in ("asc", "desc"):
        raise invalid("direction", f"expected asc or desc, got '{direction}'")
    rows = call.cloud.db.execute("SELECT * FROM r2_buckets WHERE jurisdiction = ?", (_jurisdiction(call),)).fetchall()
    rows.sort(key=lambda row: row["name"], reverse=direction == "desc")
    part = call.argument("name_contains") or ""
    after = _from_cursor(call.argument("cursor")) or call.argument("start_after") or ""
    found = [row for row in rows if part in row["name"] and _is_after(row["name"], after, direction)]
    size = page_size(call, default=_PAGE_SIZE, largest=_LARGEST_PAGE)
    cursor = _to_cursor(found[size - 1]["name"]) if len(found) > size else ""
    return Reply({"buckets": [_describe(row) for row in found[:size]]}, {"cursor": cursor, "per_page": size})


async def get_bucket(call: Call) -> Reply:
    """GET /r2/buckets/{bucket_name}."""
    return Reply(_describe(find(call)))


async def edit_bucket(call: Call) -> Reply:
    """PATCH /r2/buckets/{bucket_name}: only the storage class, in a header, can change."""
    storage_class = call.headers.get("cf-r2-storage-class")
    if storage_class not in STORAGE_CLASSES:
        raise invalid("cf-r2-storage-class", f"expected one of {', '.join(STORAGE_CLASSES)}, got '{storage_class}'")
    async with call.cloud.change() as change:
        row = find(call, change.db)
        change.db.execute("UPDATE r2_buckets SET storage_class = ? WHERE id = ?", (storage_class, row["id"]))
    return Reply(_describe(find(call)))


async def delete_bucket(call: Call) -> Reply:
    """DELETE /r2/buckets/{bucket_name}: the bucket must be empty, but a Worker may bind it."""
    async with call.cloud.change() as change:
        row = find(call, change.db)
        listed = await call.cloud.data_plane.call("r2", row["id"], "list", {"limit": 1})
        if listed["objects"]:  # quoted
            where = f"(account {call.path['account_id']})"
            raise ApiError(409, 10008, f"The bucket you tried to delete ({row['name']}) is not empty {where}.")
        change.db.execute("DELETE FROM r2_buckets WHERE id = ?", (row["id"],))
        change.add_tombstone("r2", row["id"])
    return Reply({})


def find(call: Call, db: sqlite3.Connection | None = None) -> sqlite3.Row:
    """Read the bucket that a request names. Raises ApiError 10006 (quoted)."""
    query = "SELECT * FROM r2_buckets WHERE name = ? AND jurisdiction = ?"
    row = (db or call.cloud.db).execute(query, (call.path["bucket_name"], _jurisdiction(call))).fetchone()
    if row is None:
        raise ApiError(404, 10006, "The specified bucket does not exist.")
    return row


def page_size(call: Call, *, default: int, largest: int) -> int:
    """Read `per_page`. Raises ApiError."""
    size = whole_number(call.argument("per_page") or str(default)) or 0
    if not 1 <= size <= largest:  # quoted for S3's MaxKeys, and Miniflare's text
        raise ApiError(400, 10022, f"MaxKeys params must be positive integer <= {largest}.")
    return size


def invalid(path: str, problem: str) -> ApiError:
    """Return R2's error about an argument, 10029; the text is ours."""
    return ApiError(400, 10029, f"Invalid argument: {path or 'body'}: {problem}")


def _jurisdiction(call: Call) -> str:
    jurisdiction = call.headers.get("cf-r2-jurisdiction", JURISDICTIONS[0])
    if jurisdiction not in JURISDICTIONS:
        raise invalid("cf-r2-jurisdiction", f"expected one of {', '.join(JURISDICTIONS)}, got '{jurisdiction}'")
    return jurisdiction


def _is_after(name: str, after: str, direction: str) -> bool:
    return not after or (name > after if direction == "asc" else name < after)


def _to_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _from_cursor(cursor: str | None) -> str:
    try:
        return base64.urlsafe_b64decode(cursor or "").decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("cursor", "expected one of a list before") from error


def _describe(row: Mapping[str, Any] | sqlite3.Row) -> dict[str, Json]:
    return {key: row[key] for key in ("name", "creation_date", "location", "jurisdiction", "storage_class")}


ROUTES = (
    Route("POST", "/accounts/{account_id}/r2/buckets", create_bucket),
    Route("GET", "/accounts/{account_id}/r2/buckets", list_buckets),
    Route("GET", "/accounts/{account_id}/r2/buckets/{bucket_name}", get_bucket),
    Route("PATCH", "/accounts/{account_id}/r2/buckets/{bucket_name}", edit_bucket),
    Route("DELETE", "/accounts/{account_id}/r2/buckets/{bucket_name}", delete_bucket),
)
