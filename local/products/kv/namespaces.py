"""Workers KV namespaces.

Codes are those that Cloudflare documents for KV ("Workers KV namespace errors"; wrangler 1.x has a list of them,
src/commands/kv). Texts marked (quoted) are texts of the real API, quoted in public code and issues; those marked
(recorded) are explained in d1/databases.py.
"""

import re
import sqlite3
import uuid

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields
from local.api.routing import Call, Route

_ID = re.compile(r"[0-9a-f]{32}")
_MAX_TITLE_LENGTH = 512
_PAGE_SIZE = 20  # documented
_LARGEST_PAGE = 1000
_JURISDICTIONS = ("eu", "fedramp", "us")


async def create_namespace(call: Call) -> Reply:
    """POST /storage/kv/namespaces."""
    body = call.fields(invalid)
    namespace_id = call.chosen_id("kv", _ID, invalid) or uuid.uuid4().hex
    row = {
        "id": namespace_id,
        "title": _title(body),
        "created_on": now(),
        "jurisdiction": body.choice("jurisdiction", _JURISDICTIONS),
    }
    async with call.cloud.change() as change:
        try:
            change.db.execute("INSERT INTO kv_namespaces VALUES (:id, :title, :created_on, :jurisdiction)", row)
        except sqlite3.IntegrityError as error:
            if change.db.execute("SELECT 1 FROM kv_namespaces WHERE id = ?", (namespace_id,)).fetchone():
                raise invalid("id", f"'{namespace_id}' is taken") from error
            raise _title_taken() from error
    return Reply(_describe(find(call.cloud.db, namespace_id, "create namespace")))


async def list_namespaces(call: Call) -> Reply:
    """GET /storage/kv/namespaces: sorted by `order` (id, title) and `direction` (asc, desc)."""
    column = call.argument("order") or "id"
    direction = call.argument("direction") or "asc"
    if column not in ("id", "title"):
        raise ApiError(400, 10029, f"list namespaces: 'invalid order argument: {column}'")
    if direction not in ("asc", "desc"):
        raise ApiError(400, 10029, f"list namespaces: 'invalid direction argument: {direction}'")
    rows = call.cloud.db.execute("SELECT * FROM kv_namespaces").fetchall()
    rows.sort(key=lambda row: row[column], reverse=direction == "desc")
    page = call.page(len(rows), _invalid_page, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(row) for row in page.cut(rows)]
    return Reply(shown, page.info(len(shown)))


async def get_namespace(call: Call) -> Reply:
    """GET /storage/kv/namespaces/{namespace_id}."""
    return Reply(_describe(find(call.cloud.db, call.path["namespace_id"], "get namespace")))


async def rename_namespace(call: Call) -> Reply:
    """PUT /storage/kv/namespaces/{namespace_id}: only the title can change."""
    title = _title(call.fields(invalid))
    async with call.cloud.change() as change:
        row = find(change.db, call.path["namespace_id"], "rename namespace")
        try:
            change.db.execute("UPDATE kv_namespaces SET title = ? WHERE id = ?", (title, row["id"]))
        except sqlite3.IntegrityError as error:
            raise _title_taken() from error
    return Reply(_describe(find(call.cloud.db, row["id"], "rename namespace")))


async def delete_namespace(call: Call) -> Reply:
    """DELETE /storage/kv/namespaces/{namespace_id}: with all its values, even if a Worker binds it."""
    async with call.cloud.change() as change:
        row = find(change.db, call.path["namespace_id"], None)
        change.db.execute("DELETE FROM kv_namespaces WHERE id = ?", (row["id"],))
        change.add_tombstone("kv", row["id"])
    return Reply(None)


def find(db: sqlite3.Connection, namespace_id: str, operation: str | None) -> sqlite3.Row:
    """Read a namespace. Raises ApiError.

    An invalid id has 10011 (quoted), an unknown one 10013, whose text names the operation unless it is a deletion
    (recorded).
    """
    if not is_id(namespace_id):
        problem = f"uuid: incorrect UUID length: {namespace_id}"
        raise ApiError(400, 10011, f"could not parse UUID from request's namespace_id: '{problem}'")
    row = db.execute("SELECT * FROM kv_namespaces WHERE id = ?", (namespace_id,)).fetchone()
    if row is None:
        problem = "namespace not found"
        raise ApiError(404, 10013, problem if operation is None else f"{operation}: '{problem}'")
    return row


def is_id(text: str) -> bool:
    """Tell whether a text has the form of a namespace id."""
    return _ID.fullmatch(text) is not None


def invalid(path: str, problem: str) -> ApiError:
    """Return KV's error about a field, 10012 ("malformed value")."""
    return ApiError(400, 10012, f"could not parse request body: '{path or 'body'}: {problem}'")


def _title(body: Fields) -> str:
    title = body.text("title")
    if not title:
        raise ApiError(400, 10019, "missing title")
    if len(title) > _MAX_TITLE_LENGTH:
        raise body.wrong("title", f"String must contain at most {_MAX_TITLE_LENGTH} character(s)")
    return title


def _title_taken() -> ApiError:
    return ApiError(400, 10014, "a namespace with this account ID and title already exists")  # recorded


def _invalid_page(name: str, problem: str) -> ApiError:
    code = 10007 if name == "page" else 10008
    return ApiError(400, code, f"list namespaces: 'malformed {name} argument: {problem}'")


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    jurisdiction = {} if row["jurisdiction"] is None else {"jurisdiction": row["jurisdiction"]}
    return {"id": row["id"], "title": row["title"], "supports_url_encoding": True, **jurisdiction}


ROUTES = (
    Route("POST", "/accounts/{account_id}/storage/kv/namespaces", create_namespace),
    Route("GET", "/accounts/{account_id}/storage/kv/namespaces", list_namespaces),
    Route("GET", "/accounts/{account_id}/storage/kv/namespaces/{namespace_id}", get_namespace),
    Route("PUT", "/accounts/{account_id}/storage/kv/namespaces/{namespace_id}", rename_namespace),
    Route("DELETE", "/accounts/{account_id}/storage/kv/namespaces/{namespace_id}", delete_namespace),
)
