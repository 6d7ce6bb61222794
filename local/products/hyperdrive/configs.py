"""Hyperdrive configurations. Begun by `python -m local.scaffold`; fields as in the API reference.

The codes are not documented, and are ours: 2008 for an invalid body, 2016 for a configuration that does not exist, 2017
for a name that is taken.
"""

import json
import sqlite3
import uuid

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields, given, read_with
from local.api.routing import Call, Route

_PAGE_SIZE = 20
_LARGEST_PAGE = 1000
_SCHEMES = ("postgres", "postgresql", "mysql")
_LARGEST_PORT = 65_535
_DEFAULT_PORTS = {"postgres": 5432, "postgresql": 5432, "mysql": 3306}  # documented
_MAX_CONNECTIONS = 100  # the limit of a paid account, documented
_DEFAULT_CONNECTIONS = 60
_LONGEST_AGE_SECONDS = 3600  # developers.cloudflare.com/hyperdrive/concepts/query-caching, "max_age"
_SECRETS = ("password", "access_client_secret")  # "the API never returns this write-only value"

# Settings that need a network, an account or a certificate that do not exist here, with the error text.
_ELSEWHERE = {
    "origin.access_client_id": "databases behind Cloudflare Tunnel",
    "origin.access_client_secret": "databases behind Cloudflare Tunnel",
    "origin.service_id": "databases in a Workers VPC",
    "integration": "databases of PlanetScale",
    "mtls": "certificates for databases",
}


async def create_config(call: Call) -> Reply:
    """POST /hyperdrive/configs."""
    body = _complete(_read(call.fields(_invalid), partial=False))
    config_id, moment = uuid.uuid4().hex, now()
    async with call.cloud.change() as change:
        row = (config_id, body["name"], json.dumps(body), moment, moment)
        try:
            change.db.execute("INSERT INTO hyperdrive_configs VALUES (?, ?, ?, ?, ?, NULL)", row)
        except sqlite3.IntegrityError as error:
            raise _name_taken(body["name"]) from error
    return Reply(_describe(_find(call.cloud.db, config_id)))


async def list_configs(call: Call) -> Reply:
    """GET /hyperdrive/configs."""
    rows = call.cloud.db.execute("SELECT * FROM hyperdrive_configs ORDER BY created_on, name").fetchall()
    page = call.page(len(rows), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(row) for row in page.cut(rows)]
    return Reply(shown, page.info(len(shown)))


async def get_config(call: Call) -> Reply:
    """GET /hyperdrive/configs/{hyperdrive_id}."""
    return Reply(_describe(_find(call.cloud.db, call.path["hyperdrive_id"])))


async def replace_config(call: Call) -> Reply:
    """PUT /hyperdrive/configs/{hyperdrive_id}: replaces all fields."""
    return await _write(call, _read(call.fields(_invalid), partial=False), keep=False)


async def edit_config(call: Call) -> Reply:
    """PATCH /hyperdrive/configs/{hyperdrive_id}: changes the fields that are sent; an empty name changes nothing."""
    return await _write(call, _read(call.fields(_invalid), partial=True), keep=True)


async def delete_config(call: Call) -> Reply:
    """DELETE /hyperdrive/configs/{hyperdrive_id}: even one that a Worker binds, which loses the binding."""
    async with call.cloud.change() as change:
        row = _find(change.db, call.path["hyperdrive_id"])
        change.db.execute("DELETE FROM hyperdrive_configs WHERE id = ?", (row["id"],))
    return Reply(None)


async def restart_config(call: Call) -> Reply:
    """POST /hyperdrive/configs/{hyperdrive_id}/restart: there is no connection pool here; only the time is recorded."""
    async with call.cloud.change() as change:
        row = _find(change.db, call.path["hyperdrive_id"])
        change.db.execute("UPDATE hyperdrive_configs SET restarted_on = ? WHERE id = ?", (now(), row["id"]))
    return Reply(_describe(_find(call.cloud.db, row["id"])))


async def _write(call: Call, body: dict[str, Json], *, keep: bool) -> Reply:
    async with call.cloud.change() as change:
        row = _find(change.db, call.path["hyperdrive_id"])
        before: dict[str, Json] = json.loads(row["body"]) if keep else {}
        origin = before.get("origin", {}) | (body.get("origin") or {})
        written = _complete(before | body | {"origin": origin})
        values = (written["name"], json.dumps(written), now(), row["id"])
        try:
            change.db.execute("UPDATE hyperdrive_configs SET name = ?, body = ?, modified_on = ? WHERE id = ?", values)
        except sqlite3.IntegrityError as error:
            raise _name_taken(written["name"]) from error
    return Reply(_describe(_find(call.cloud.db, row["id"])))


def _read(body: Fields, *, partial: bool) -> dict[str, Json]:
    origin = body.fields("origin") if partial else None
    _refuse_elsewhere(body)
    if not partial:
        origin = body.required_fields("origin")
    name = (body.text("name") or None) if partial else body.required_text("name")
    return given(
        {
            "name": name,
            "origin": None if origin is None else _origin(origin, partial=partial),
            "caching": read_with(_caching, body.fields("caching")),
            "origin_connection_limit": body.integer("origin_connection_limit", 1, _MAX_CONNECTIONS),
        }
    )


def _refuse_elsewhere(body: Fields) -> None:
    """Refuse settings that cannot work here. Raises ApiError 501."""
    origin = body.fields("origin")
    for path, what in _ELSEWHERE.items():
        first, _, inner = path.partition(".")
        part = origin if inner else body
        if part is not None and part.has(inner or first):
            raise ApiError(501, 2008, f"The local Cloudflare does not have {what} ({path})")


def _origin(part: Fields, *, partial: bool) -> dict[str, Json]:
    text = part.text if partial else part.required_text
    choice = part.choice if partial else part.required_choice
    return given(
        {
            **{name: text(name) for name in ("database", "host", "password", "user")},
            "port": part.integer("port", 1, _LARGEST_PORT),
            "scheme": choice("scheme", _SCHEMES),
        }
    )


def _caching(part: Fields) -> dict[str, Json]:
    """Read caching; its times are dropped while it is disabled (documented)."""
    disabled = part.flag("disabled") or False
    times = {name: part.integer(name, 0, _LONGEST_AGE_SECONDS) for name in ("max_age", "stale_while_revalidate")}
    return {"disabled": disabled} | ({} if disabled else given(times))


def _complete(body: dict[str, Json]) -> dict[str, Json]:
    port = {"port": _DEFAULT_PORTS[body["origin"]["scheme"]]}
    defaults = {"caching": {"disabled": False}, "origin_connection_limit": _DEFAULT_CONNECTIONS}
    return defaults | body | {"origin": port | body["origin"]}


def _find(db: sqlite3.Connection, config_id: str) -> sqlite3.Row:
    row = db.execute("SELECT * FROM hyperdrive_configs WHERE id = ?", (config_id,)).fetchone()
    if row is None:
        raise ApiError(404, 2016, f"Hyperdrive config {config_id} not found")
    return row


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    body = json.loads(row["body"])
    origin = {name: value for name, value in body["origin"].items() if name not in _SECRETS}
    times = given({name: row[name] for name in ("created_on", "modified_on", "restarted_on")})
    return {"id": row["id"], **body, "origin": origin, **times}


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 2008, f"{path or 'body'}: {problem}")


def _name_taken(name: str) -> ApiError:
    return ApiError(409, 2017, f"A Hyperdrive config with the name '{name}' already exists")


_ALL = "/accounts/{account_id}/hyperdrive/configs"
_ONE = _ALL + "/{hyperdrive_id}"

ROUTES = (
    Route("POST", _ALL, create_config),
    Route("GET", _ALL, list_configs),
    Route("GET", _ONE, get_config),
    Route("PUT", _ONE, replace_config),
    Route("PATCH", _ONE, edit_config),
    Route("DELETE", _ONE, delete_config),
    Route("POST", _ONE + "/restart", restart_config),
)
