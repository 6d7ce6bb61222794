"""Rate limiting: a binding without a resource."""

import sqlite3

from local.api.fields import Fields
from local.core.binding_checks import must_have, refuse_elsewhere
from local.core.product import BindingType, Product, StoredBinding

_LARGEST_LIMIT = 2**31 - 1


def _ratelimit(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    namespace_id, simple = part.text("namespace_id"), part.fields("simple")
    if not namespace_id or simple is None:
        raise must_have(part, "a `namespace_id` and `simple`")
    refuse_elsewhere(simple, "mitigation_timeout")
    limit, period = simple.integer("limit", 1, _LARGEST_LIMIT), simple.integer("period", 10, 60)
    if limit is None or period not in (10, 60):  # documented
        raise simple.wrong("period" if limit else "limit", "Expected a limit, and a period of 10 or 60 seconds")
    return {"namespace_id": namespace_id, "simple": {"limit": limit, "period": period}}


PRODUCT = Product(
    name="rate_limiting", bindings={"ratelimit": BindingType(_ratelimit, fields=("namespace_id", "simple"))}
)
