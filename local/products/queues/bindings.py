"""Bindings of queues. Texts marked (quoted) are texts of the real API that public code quotes."""

import sqlite3

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import exists, must_have
from local.core.product import BindingType, StoredBinding
from local.products.queues import queues


def _queue(db: sqlite3.Connection, part: Fields) -> StoredBinding:
    queue_name = part.text("queue_name")
    if not queue_name:  # quoted
        raise must_have(part, "a queue")
    row = queues.find_by_name(db, queue_name)
    if row is None:
        raise _queue_missing(queue_name)
    delay = part.integer("delivery_delay", 0, queues.MAX_DELIVERY_DELAY_SECONDS)
    return {"queue_name": queue_name, "queue_id": row["id"]} | ({} if delay is None else {"delivery_delay": delay})


def _check_bound(db: sqlite3.Connection, binding: StoredBinding) -> None:
    if not exists(db, "queues", "id", binding["queue_id"]):
        raise _queue_missing(binding["queue_name"])


def _queue_missing(name: str) -> ApiError:
    return ApiError(400, 11002, f"Queue '{name}' was not found")  # quoted


BINDINGS = {
    "queue": BindingType(
        _queue, fields=("queue_id", "delivery_delay"), check_bound=_check_bound, hidden=frozenset({"queue_id"})
    )
}
