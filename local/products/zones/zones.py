"""Zones: the domains of an account, as far as Workers need them. DNS, certificates and caching are not implemented.

1061 and its text are the real API's, quoted in public code; 1001 and 1004 are ours, with texts in its style.
"""

import re
import sqlite3
import uuid
from collections.abc import Callable

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import one_of
from local.api.routing import Call, Route
from local.core.credentials import LOCAL_ACCOUNT_ID

# https://datatracker.ietf.org/doc/html/rfc1035#section-2.3.4: 253 characters, labels of 63
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+{_LABEL}")
_ID = re.compile(r"[0-9a-f]{32}")
_KIND = "zones"
_PAGE_SIZE = 20
_LARGEST_PAGE = 50
_ACTIVE = "active"
_TYPES = ("full", "partial")
_OTHER_TYPES = ("secondary", "internal")
_PLAN = "Local"
_NAME_SERVERS = ["one.ns.localhost", "two.ns.localhost"]  # no servers answer at these names

# The operators of a filter, as in `name=contains:example` (API reference, "List Zones").
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "equal": lambda text, wanted: text == wanted.lower(),
    "not_equal": lambda text, wanted: text != wanted.lower(),
    "starts_with": lambda text, wanted: text.startswith(wanted.lower()),
    "ends_with": lambda text, wanted: text.endswith(wanted.lower()),
    "contains": lambda text, wanted: wanted.lower() in text,
    "starts_with_case_sensitive": lambda text, wanted: text.startswith(wanted),
    "ends_with_case_sensitive": lambda text, wanted: text.endswith(wanted),
    "contains_case_sensitive": lambda text, wanted: wanted in text,
}


async def create_zone(call: Call) -> Reply:
    """POST /zones: it is active at once."""
    body = call.fields(_invalid)
    account_id = body.required_fields("account").text("id") or LOCAL_ACCOUNT_ID
    if not call.cloud.credentials.knows_account(account_id):
        raise ApiError(403, 10000, "Authentication error")
    name = body.required_text("name").lower()
    if not HOSTNAME.fullmatch(name):
        raise body.wrong("name", f"Expected a domain such as example.com, received '{name}'")
    kind = _type(body.choice("type", _TYPES + _OTHER_TYPES) or "full")
    zone_id, moment = call.chosen_id(_KIND, _ID, _invalid) or uuid.uuid4().hex, now()
    async with call.cloud.change() as change:
        if change.db.execute("SELECT 1 FROM zones WHERE name = ?", (name,)).fetchone():
            raise ApiError(400, 1061, f"{name} already exists")
        if change.db.execute("SELECT 1 FROM zones WHERE id = ?", (zone_id,)).fetchone():
            raise _invalid("id", f"'{zone_id}' is taken")
        row = (zone_id, name, account_id, kind, False, moment, moment)
        change.db.execute("INSERT INTO zones VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return Reply(_describe(find(call.cloud.db, zone_id)))


async def list_zones(call: Call) -> Reply:
    """GET /zones: zones that match any or all filters (`match`), sorted by `order` and `direction`."""
    db = call.cloud.db
    asked = {
        "name": _filter(call.argument("name")),
        "status": _filter(call.argument("status")),
        "account.id": _filter(call.argument("account.id")),
        "account.name": _filter(call.argument("account.name")),
        "type": _one_of(call.argument("type")),
    }
    tests = [(field, test) for field, test in asked.items() if test is not None]
    combine = any if call.argument("match") == "any" and tests else all
    rows = db.execute("SELECT * FROM zones").fetchall()
    found = [row for row in rows if combine(test(_value(row, field)) for field, test in tests)]
    order = call.argument("order") or "name"
    if order not in (orders := ("name", "status", "account.id", "account.name", "plan.id")):
        raise _invalid("order", f"Invalid enum value. Expected {one_of(orders)}")
    found.sort(key=lambda row: (_value(row, order), row["name"]), reverse=call.argument("direction") == "desc")
    page = call.page(len(found), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(row) for row in page.cut(found)]
    return Reply(shown, page.info(len(shown)))


async def get_zone(call: Call) -> Reply:
    """GET /zones/{zone_id}."""
    return Reply(_describe(find(call.cloud.db, call.path["zone_id"])))


async def edit_zone(call: Call) -> Reply:
    """PATCH /zones/{zone_id}: in a paused zone, Workers run at no route or domain."""
    body = call.fields(_invalid)
    if body.has("vanity_name_servers"):
        raise ApiError(501, 1001, "The local Cloudflare does not have name servers (vanity_name_servers)")
    paused, kind = body.flag("paused"), body.choice("type", _TYPES + _OTHER_TYPES)
    async with call.cloud.change() as change:
        row = find(change.db, call.path["zone_id"])
        values = (row["paused"] if paused is None else paused, _type(kind or row["type"]), now(), row["id"])
        change.db.execute("UPDATE zones SET paused = ?, type = ?, modified_on = ? WHERE id = ?", values)
    return Reply(_describe(find(call.cloud.db, row["id"])))


async def delete_zone(call: Call) -> Reply:
    """DELETE /zones/{zone_id}: with its routes and custom domains."""
    async with call.cloud.change() as change:
        row = find(change.db, call.path["zone_id"])
        change.db.execute("DELETE FROM zones WHERE id = ?", (row["id"],))
    return Reply({"id": row["id"]})


def find(db: sqlite3.Connection, zone_id: str) -> sqlite3.Row:
    """Read a zone by its id. Raises ApiError 7003 for an invalid id, and 1001 for an unknown one."""
    if not _ID.fullmatch(zone_id):
        message = f"Could not route to /client/v4/zones/{zone_id}, perhaps your object identifier is invalid?"
        raise ApiError(404, 7003, message)
    row = db.execute("SELECT * FROM zones WHERE id = ?", (zone_id,)).fetchone()
    if row is None:
        raise ApiError(404, 1001, f"Invalid zone identifier: there is no zone {zone_id}")
    return row


def zone_of(db: sqlite3.Connection, hostname: str) -> sqlite3.Row | None:
    """Find the zone that contains a host name: the longest, if one contains another."""
    rows = [row for row in db.execute("SELECT * FROM zones").fetchall() if includes(row["name"], hostname)]
    return max(rows, key=lambda row: len(row["name"]), default=None)


def includes(zone_name: str, hostname: str) -> bool:
    """Tell whether a host name is in a zone."""
    return hostname == zone_name or hostname.endswith(f".{zone_name}")


def chosen(db: sqlite3.Connection, zone_id: str | None, zone_name: str | None, hostname: str) -> sqlite3.Row:
    """Find the zone given by id or by name, or else the one that contains a host name.

    Raises ApiError if it does not exist; code and text are ours.
    """
    if zone_id:
        return find(db, zone_id)
    wanted = (zone_name or hostname).lower()
    row = zone_of(db, wanted)
    if row is None or (zone_name and row["name"] != wanted):
        problem = f"There is no zone {'' if zone_name else 'for '}{wanted}"
        raise ApiError(400, 1001, f"{problem}: create it with `python -m local adopt zone NAME`")
    return row


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    account = {"id": row["account_id"], "name": "Local Cloudflare"}
    return {
        "id": row["id"],
        "name": row["name"],
        "status": _ACTIVE,
        "paused": bool(row["paused"]),
        "type": row["type"],
        "development_mode": 0,
        "name_servers": _NAME_SERVERS,
        "original_name_servers": None,
        "original_registrar": None,
        "original_dnshost": None,
        "created_on": row["created_on"],
        "modified_on": row["modified_on"],
        "activated_on": row["created_on"],
        "account": account,
        "owner": {"id": None, "name": None, "type": "user"},
        "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 0, "phishing_detected": False},
        "plan": {"id": "local", "name": _PLAN, "is_subscribed": True, "legacy_id": "free", "price": 0},
        "permissions": [],
    }


def _value(row: sqlite3.Row, field: str) -> str:
    part: Json = _describe(row)
    for name in field.split("."):
        part = part[name]
    return str(part).lower() if field != "type" else str(part)


def _filter(text: str | None) -> Callable[[str], bool] | None:
    if text is None:
        return None
    operator, colon, wanted = text.partition(":")
    if not colon:
        operator, wanted = "equal", text
    test = _OPERATORS.get(operator)
    if test is None:
        raise _invalid("name", f"Invalid operator. Expected {one_of(_OPERATORS)}")
    return lambda value: test(value, wanted)


def _one_of(text: str | None) -> Callable[[str], bool] | None:
    return None if text is None else lambda value: value in text.split(",")


def _type(kind: str) -> str:
    if kind in _OTHER_TYPES:
        raise ApiError(501, 1001, f"The local Cloudflare does not have {kind} zones (type)")
    return kind


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 1004, f"Invalid zone: {path or 'body'}: {problem}")


_ONE = "/zones/{zone_id}"

ROUTES = (
    Route("POST", "/zones", create_zone),
    Route("GET", "/zones", list_zones),
    Route("GET", _ONE, get_zone),
    Route("PATCH", _ONE, edit_zone),
    Route("DELETE", _ONE, delete_zone),
)
