"""D1 databases as SQL files: import and export.

Both are finished when the request that starts them is answered, so there is nothing to wait for; polling is answered
all the same. The formats are those of Cloudflare's API reference (d1/database, import and export).
"""

import asyncio
import hashlib
from typing import Any

from local.api.envelope import ApiError, Json, RawReply, Reply
from local.api.fields import Fields
from local.api.routing import Call, Route
from local.products.d1 import databases as d1
from local.products.d1.sql import statements
from local.runtime.data_plane_client import DataPlaneRefusedError

_IMPORTS = "/d1-imports/"
_EXPORTS = "/d1-exports/"
_SQL_TYPE = "application/sql"


async def import_file(call: Call) -> Reply:
    """POST /d1/database/{database_id}/import: `init` returns an address for the file, `ingest` runs the uploaded file.

    A script runs completely or not at all.
    """
    row = d1.find(call.cloud.db, call.path["database_id"])
    body = call.fields(d1.invalid)
    body.required_text("action")
    action = body.choice("action", ("init", "ingest", "poll"))
    if action == "init":
        return _begin(call, row["uuid"], body)
    if action == "ingest":
        return Reply(await _ingest(call, row["uuid"], body))
    return Reply(_outcome("import", error="Not currently importing anything."))


async def export_file(call: Call) -> Reply:
    """POST /d1/database/{database_id}/export: the database or some tables, as SQL, at an address of its own."""
    row = d1.find(call.cloud.db, call.path["database_id"])
    body = call.fields(d1.invalid)
    body.required_text("output_format")
    body.choice("output_format", ("polling",))
    options = body.fields("dump_options") or Fields({}, d1.invalid, "dump_options")
    if options.text("compatibility") not in (None, "d1"):
        raise ApiError(501, 7500, "The local Cloudflare exports with compatibility d1 alone")
    try:
        dump = await call.cloud.data_plane.call(
            "d1",
            row["uuid"],
            "export",
            {
                "no_schema": options.flag("no_schema") or False,
                "no_data": options.flag("no_data") or False,
                "tables": options.texts("tables") or [],
            },
        )
    except DataPlaneRefusedError as error:
        if error.kind != "sql":
            raise
        return Reply(_outcome("export", error=error.message))
    file = call.cloud.presigned_files.open(row["uuid"], dump["sql"].encode())
    address = {"filename": f"{row['name']}.sql", "signed_url": f"{call.cloud.origin}{_EXPORTS}{file.key}"}
    return Reply(_outcome("export", bookmark=dump["bookmark"], result=address))


async def receive(call: Call) -> RawReply:
    """PUT /d1-imports/{key}: answers like R2, with the MD5 of the body."""
    file = call.cloud.presigned_files.find(call.path["key"])
    if file is None:
        raise _expired()
    file.content = call.body
    return RawReply(b"", {"etag": f'"{_md5(call.body)}"'})


async def send(call: Call) -> RawReply:
    """GET /d1-exports/{key}."""
    file = call.cloud.presigned_files.find(call.path["key"])
    if file is None or file.content is None:
        raise _expired()
    return RawReply(file.content, {"etag": f'"{_md5(file.content)}"'}, _SQL_TYPE)


def _begin(call: Call, database_id: str, body: Fields) -> Reply:
    body.required_text("etag")
    file = call.cloud.presigned_files.open(database_id)
    upload_url = f"{call.cloud.origin}{_IMPORTS}{file.key}"
    return Reply({"success": True, "type": "import", "filename": file.key, "upload_url": upload_url})


async def _ingest(call: Call, database_id: str, body: Fields) -> dict[str, Json]:
    filename, etag = body.required_text("filename"), body.required_text("etag")
    file = call.cloud.presigned_files.find(filename)
    if file is None or file.owner != database_id or file.content is None:
        return _outcome("import", error=f"File not found: {filename}")
    call.cloud.presigned_files.close(filename)
    if await asyncio.to_thread(_md5, file.content) != etag.strip('"'):
        return _outcome("import", error="The file is not the one that was announced: its MD5 differs from the etag")
    try:
        done = await call.cloud.data_plane.call("d1", database_id, "import", {"statements": _script(file.content)})
    except DataPlaneRefusedError as error:
        if error.kind != "sql":
            raise
        return _outcome("import", error=error.message)
    except ApiError as error:
        return _outcome("import", error=error.message)
    result = {"final_bookmark": done["bookmark"], "num_queries": done["num_queries"], "meta": done["meta"]}
    return _outcome("import", bookmark=done["bookmark"], result=result)


def _script(content: bytes) -> list[str]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise d1.invalid("", f"the file is not UTF-8: {error}") from error
    parts = statements(text)
    d1.check_statements(parts)
    if not parts:
        raise d1.no_statements()
    return parts


def _outcome(
    kind: str, *, bookmark: str | None = None, result: dict[str, Any] | None = None, error: str | None = None
) -> dict[str, Json]:
    if error is not None:
        return {"success": False, "type": kind, "status": "error", "error": error, "errors": [error], "messages": []}
    return {
        "success": True,
        "type": kind,
        "at_bookmark": bookmark,
        "status": "complete",
        "messages": [],
        "result": result,
    }


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _expired() -> ApiError:
    return ApiError(403, 10035, "Request has expired")  # code and text are ours; R2 answers XML


_DATABASE = "/accounts/{account_id}/d1/database/{database_id}"

ROUTES = (
    Route("POST", _DATABASE + "/import", import_file),
    Route("POST", _DATABASE + "/export", export_file),
)
OPEN_ROUTES = (
    Route("PUT", _IMPORTS + "{key}", receive),
    Route("GET", _EXPORTS + "{key}", send),
)
