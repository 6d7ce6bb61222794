"""Injected faults: `/local/faults`, which Cloudflare does not have. docs/bad-day.md explains their purpose.

Errors have codes of their own: 1400 for an invalid request, 1404 for a rule or resource that does not exist.
"""

import secrets
import sqlite3
from datetime import UTC, datetime
from typing import Any

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields, one_of
from local.api.routing import Call, Route
from local.products.faults.kinds import LATENCY, PRODUCTS, FaultProduct, Kind
from local.products.faults.rules import LARGEST_COUNT, FaultRule

_LARGEST_SEED = 2**32 - 1
_LARGEST_NUMBER = 2**31 - 1
_LONGEST_LATENCY_MS = 900_000  # no invocation of a consumer lasts longer
_KILL_MS = (0.0, 1_000.0)  # so that an invocation dies at any moment of its work, but not before it has begun
_LONGEST_SECONDS = 7 * 86_400
_FIELDS = frozenset(
    ("product", "error", "resource", "on", "rate", "nth", "per_second", "latency_ms", "seed", "for_seconds")
)


async def set_fault(call: Call) -> Reply:
    """POST /local/faults: sets a rule, which applies to every call after the answer.

    {product, error, resource?, on?, rate?, nth?, per_second?, latency_ms?, seed?, for_seconds?}
    """
    rule = _rule(call.cloud.db, call.fields(_invalid))
    try:
        await call.cloud.faults.add(rule)
    except OverflowError as error:
        raise ApiError(400, 1400, f"Expected at most {LARGEST_COUNT} rules: clear those that are not needed") from error
    return Reply(_describe(rule))


async def list_faults(call: Call) -> Reply:
    """GET /local/faults: all rules that were not cleared, with counts, expired ones included."""
    return Reply([_describe(rule) for rule in await call.cloud.faults.read()])


async def clear_faults(call: Call) -> Reply:
    """DELETE /local/faults: clears all rules, and returns their last counts."""
    return Reply([_describe(rule) for rule in await call.cloud.faults.clear()])


async def clear_fault(call: Call) -> Reply:
    """DELETE /local/faults/{fault_id}: clears one rule, and returns its last counts."""
    fault_id = call.path["fault_id"]
    ended = await call.cloud.faults.clear(fault_id)
    if not ended:
        raise ApiError(404, 1404, f"There is no fault {fault_id}: `python -m local faults list` shows those that are")
    return Reply(_describe(ended[0]))


async def list_kinds(_: Call) -> Reply:
    """GET /local/faults/kinds: what can be set."""
    return Reply(
        [
            {
                "product": name,
                "error": error,
                "about": kind.about,
                "message": kind.message or None,
                "on": list(kind.calls or product.calls or []),
                "per_second": kind.per_second or None,
            }
            for name, product in PRODUCTS.items()
            for error, kind in product.kinds.items()
        ]
    )


def _rule(db: sqlite3.Connection, body: Fields) -> FaultRule:
    unknown = [name for name in body.values if name not in _FIELDS]
    if unknown:
        raise body.wrong(unknown[0], f"Unknown field. Expected {one_of(sorted(_FIELDS))}")
    product_name = body.choice("product", PRODUCTS) or body.required_text("product")
    product = PRODUCTS[product_name]
    error = body.choice("error", product.kinds) or body.required_text("error")
    kind = product.kinds[error]
    now = datetime.now(UTC).timestamp()
    for_seconds = body.number("for_seconds", 0, _LONGEST_SECONDS)
    seed = body.integer("seed", 0, _LARGEST_SEED)
    return FaultRule(
        id=secrets.token_hex(8),
        product=product_name,
        error=error,
        resource=_resource(db, product_name, body.text("resource")),
        calls=_calls(product, kind, body),
        latency_ms=_latency(error, kind, body),
        seed=secrets.randbelow(_LARGEST_SEED + 1) if seed is None else seed,
        created_at=now,
        until=None if for_seconds is None else now + for_seconds,
        **_which(kind, body),
    )


def _which(kind: Kind, body: Fields) -> dict[str, Any]:
    """Read which calls are affected: those above a limit, the nth, a random part, or all."""
    rate = body.number("rate", 0, 1)
    nth = body.integer("nth", 1, _LARGEST_NUMBER)
    per_second = body.integer("per_second", 0, _LARGEST_NUMBER)
    if kind.effect == "limit":
        if rate is not None or nth is not None:
            raise body.wrong("rate" if nth is None else "nth", "A limit hits what is above it: expected per_second")
        return {"rate": None, "nth": None, "per_second": kind.per_second if per_second is None else per_second}
    if per_second is not None:
        raise body.wrong("per_second", "Only a limit has it: expected rate or nth")
    if rate is not None and nth is not None:
        raise body.wrong("nth", "Expected either rate or nth, received both")
    return {"rate": 1.0 if rate is None and nth is None else rate, "nth": nth, "per_second": None}


def _calls(product: FaultProduct, kind: Kind, body: Fields) -> tuple[str, ...] | None:
    value = body.values.get("on")
    names = [body.text("on")] if isinstance(value, str) else body.texts("on")
    if not names:
        return None
    known = kind.calls or product.calls
    wrong = [name for name in names if not name or (known is not None and name not in known)]
    if wrong:
        expected = "the name of a method" if known is None else one_of(known)
        raise body.wrong("on", f"Invalid enum value. Expected {expected}, received '{wrong[0]}'")
    return tuple(str(name) for name in names)


def _latency(error: str, kind: Kind, body: Fields) -> tuple[float, float] | None:
    """Read a latency in milliseconds: one number, or the bounds of a range."""
    value = body.values.get("latency_ms")
    if value is None:
        if error == LATENCY:
            raise body.wrong("latency_ms", "Required")
        return _KILL_MS if kind.effect == "kill" else None
    if kind.effect == "limit":
        raise body.wrong("latency_ms", "A limit has none: set a rule of latency beside it")
    ends = body.items("latency_ms") if isinstance(value, list) else [value, value]
    if ends is None or len(ends) != 2 or not all(_is_latency(end) for end in ends) or ends[0] > ends[1]:
        expected = f"a number or [lowest, highest], from 0 to {_LONGEST_LATENCY_MS}"
        raise body.wrong("latency_ms", f"Expected {expected}")
    return ends[0], ends[1]


def _is_latency(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_LATENCY_MS


def _resource(db: sqlite3.Connection, product_name: str, wanted: str | None) -> tuple[str, str] | None:
    """Find a resource by id or name. Raises ApiError 1404, with the names that exist."""
    if wanted is None:
        return None
    rows = db.execute(f"{PRODUCTS[product_name].resources} ORDER BY name").fetchall()
    for row in rows:
        if wanted in (row["id"], row["name"]):
            return row["id"], row["name"]
    names = ", ".join(row["name"] for row in rows) or "none"
    raise ApiError(404, 1404, f"{product_name} has no resource {wanted}: expected an id or a name of: {names}")


def _describe(rule: FaultRule) -> dict[str, Json]:
    return {
        "id": rule.id,
        "product": rule.product,
        "error": rule.error,
        "message": rule.kind.message or None,
        "resource": None if rule.resource is None else {"id": rule.resource[0], "name": rule.resource[1]},
        "on": None if rule.calls is None else list(rule.calls),
        "rate": rule.rate,
        "nth": rule.nth,
        "per_second": rule.per_second,
        "latency_ms": None if rule.latency_ms is None else list(rule.latency_ms),
        "seed": rule.seed,
        "created_on": _timestamp(rule.created_at),
        "expires_on": None if rule.until is None else _timestamp(rule.until),
        "status": "over" if rule.is_over else "active",
        "calls": rule.seen,
        "faults": rule.injected,
    }


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 1400, f"{path or 'body'}: {problem}")


ROUTES = (
    Route("POST", "/local/faults", set_fault),
    Route("GET", "/local/faults", list_faults),
    Route("DELETE", "/local/faults", clear_faults),
    Route("GET", "/local/faults/kinds", list_kinds),
    Route("DELETE", "/local/faults/{fault_id}", clear_fault),
)
