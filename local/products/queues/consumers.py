"""Queue consumers: a Worker to which messages are pushed, or an HTTP client that pulls them. A queue has one consumer.

Codes and texts are explained in queues.py.
"""

import json
import sqlite3
import uuid
from typing import Any

from local.api.envelope import ApiError, Json, Page, Reply, now
from local.api.fields import Fields, unparsable
from local.api.routing import Call, Route
from local.products.queues import queues
from local.products.workers import desired_state, workers

# https://developers.cloudflare.com/queues/platform/limits/ and /queues/configuration/configure-queues/
MAX_BATCH_SIZE = 100
MAX_RETRIES = 100
MAX_WAIT_MS = 60_000
MAX_CONCURRENCY = 250
MAX_RETRY_DELAY_SECONDS = 86_400
MAX_VISIBILITY_TIMEOUT_MS = 12 * 3600 * 1000

_TYPES = ("worker", "http_pull")
_WORKER_DEFAULTS = {
    "batch_size": 10,
    "max_retries": 3,
    "max_wait_time_ms": 5000,
    "max_concurrency": None,  # no limit but the platform's
    "retry_delay": 0,
}
_PULL_DEFAULTS = {"batch_size": 5, "max_retries": 3, "visibility_timeout_ms": 30_000, "retry_delay": 0}


async def create_consumer(call: Call) -> Reply:
    """POST /queues/{queue_id}/consumers."""
    body = call.fields(_invalid, queues.malformed)
    async with call.cloud.change() as change:
        queue = queues.find(change.db, call.path["queue_id"])
        consumer = _read(change.db, queue, body)
        if change.db.execute("SELECT 1 FROM queue_consumers WHERE queue_id = ?", (queue["id"],)).fetchone():
            raise ApiError(409, 11004, f"Queue '{queue['name']}' already has a consumer.")  # quoted
        consumer |= {"id": uuid.uuid4().hex, "queue_id": queue["id"], "created_on": now()}
        change.db.execute(
            "INSERT INTO queue_consumers VALUES"
            " (:id, :queue_id, :type, :worker_id, :dead_letter_queue_id, :settings, :created_on)",
            consumer,
        )
    return Reply(_describe(call.cloud.db, queue["id"], consumer["id"]))


async def list_consumers(call: Call) -> Reply:
    """GET /queues/{queue_id}/consumers."""
    db = call.cloud.db
    queue = queues.find(db, call.path["queue_id"])
    rows = db.execute("SELECT * FROM queue_consumers WHERE queue_id = ?", (queue["id"],)).fetchall()
    consumers = [queues.describe_consumer(db, row) for row in rows]
    page = Page(1, 100, len(consumers))
    return Reply(consumers, page.info(len(consumers)))


async def get_consumer(call: Call) -> Reply:
    """GET /queues/{queue_id}/consumers/{consumer_id}."""
    queue = queues.find(call.cloud.db, call.path["queue_id"])
    return Reply(_describe(call.cloud.db, queue["id"], call.path["consumer_id"]))


async def replace_consumer(call: Call) -> Reply:
    """PUT /queues/{queue_id}/consumers/{consumer_id}: replaces all settings, even the type; the id stays."""
    body = call.fields(_invalid, queues.malformed)
    async with call.cloud.change() as change:
        queue = queues.find(change.db, call.path["queue_id"])
        row = _find(change.db, queue["id"], call.path["consumer_id"])
        consumer = _read(change.db, queue, body)
        change.db.execute(
            "UPDATE queue_consumers SET type = :type, worker_id = :worker_id,"
            " dead_letter_queue_id = :dead_letter_queue_id, settings = :settings WHERE id = :id",
            consumer | {"id": row["id"]},
        )
    return Reply(_describe(call.cloud.db, queue["id"], row["id"]))


async def delete_consumer(call: Call) -> Reply:
    """DELETE /queues/{queue_id}/consumers/{consumer_id}: messages stay in the queue."""
    async with call.cloud.change() as change:
        queue = queues.find(change.db, call.path["queue_id"])
        row = _find(change.db, queue["id"], call.path["consumer_id"])
        change.db.execute("DELETE FROM queue_consumers WHERE id = ?", (row["id"],))
    return Reply(None)


def _read(db: sqlite3.Connection, queue: sqlite3.Row, body: Fields) -> dict[str, Any]:
    """Read a consumer of either type, with its defaults."""
    consumer_type = body.choice("type", _TYPES)
    if consumer_type is None:
        raise body.wrong("type", "Required")
    settings = body.fields("settings") or Fields({}, _invalid, "settings")
    read = _worker_settings(settings) if consumer_type == "worker" else _pull_settings(settings)
    return {
        "type": consumer_type,
        # When the provider changes the type, the body still has the old script_name; for http_pull it is ignored.
        "worker_id": _worker_id(db, body) if consumer_type == "worker" else None,
        "dead_letter_queue_id": _dead_letter_queue_id(db, queue, body),
        "settings": json.dumps(read),
    }


def _worker_id(db: sqlite3.Connection, body: Fields) -> str:
    name = body.text("script_name") or body.text("script") or body.required_text("script_name")
    worker = db.execute("SELECT id FROM workers WHERE name = ?", (name,)).fetchone()
    if worker is None:
        raise workers.not_found()
    check_queue_handler(db, [part["version_id"] for part in desired_state.split_of(db, worker["id"])])
    return worker["id"]


def check_queue_handler(db: sqlite3.Connection, version_ids: list[str]) -> None:
    """Refuse versions without a queue handler, and an empty list of versions. Raises ApiError 11001 (quoted)."""
    rows = [db.execute("SELECT handlers FROM worker_versions WHERE id = ?", (v,)).fetchone() for v in version_ids]
    if not rows or any("queue" not in json.loads(row["handlers"]) for row in rows):
        raise queue_handler_missing()


def queue_handler_missing() -> ApiError:
    """Return the error for a consumer without a queue handler (quoted)."""
    message = (
        "Queue handler is missing. Please see our docs for more information about creating handlers:"
        " https://developers.cloudflare.com/queues/configuration/javascript-apis/#consumer."
    )
    return ApiError(400, 11001, message)


def _dead_letter_queue_id(db: sqlite3.Connection, queue: sqlite3.Row, body: Fields) -> str | None:
    """Find the dead letter queue. A missing one is created, as documented (queues/configuration/dead-letter-queues)."""
    name = body.text("dead_letter_queue")
    if name == queue["name"]:  # code and text are ours; messages would circulate for ever
        raise ApiError(400, 100127, f"The queue '{name}' cannot be its own dead letter queue")
    return queues.create_missing(db, name, now()) if name else None


def _worker_settings(settings: Fields) -> dict[str, Json]:
    read = {
        "batch_size": settings.integer("batch_size", 1, MAX_BATCH_SIZE),
        "max_retries": settings.integer("max_retries", 0, MAX_RETRIES),
        "max_wait_time_ms": settings.integer("max_wait_time_ms", 0, MAX_WAIT_MS),
        "max_concurrency": settings.integer("max_concurrency", 1, MAX_CONCURRENCY),
        "retry_delay": settings.integer("retry_delay", 0, MAX_RETRY_DELAY_SECONDS),
    }
    return _WORKER_DEFAULTS | {key: value for key, value in read.items() if value is not None}


def _pull_settings(settings: Fields) -> dict[str, Json]:
    read = {
        "batch_size": settings.integer("batch_size", 1, MAX_BATCH_SIZE),
        "max_retries": settings.integer("max_retries", 0, MAX_RETRIES),
        "visibility_timeout_ms": settings.integer("visibility_timeout_ms", 0, MAX_VISIBILITY_TIMEOUT_MS),
        "retry_delay": settings.integer("retry_delay", 0, MAX_RETRY_DELAY_SECONDS),
    }
    return _PULL_DEFAULTS | {key: value for key, value in read.items() if value is not None}


def _find(db: sqlite3.Connection, queue_id: str, consumer_id: str) -> sqlite3.Row:
    row = db.execute("SELECT * FROM queue_consumers WHERE id = ? AND queue_id = ?", (consumer_id, queue_id)).fetchone()
    if row is None:  # the code is observed, the text is ours
        raise ApiError(404, 11006, f"Consumer '{consumer_id}' not found. Please verify it exists and try again.")
    return row


def _describe(db: sqlite3.Connection, queue_id: str, consumer_id: str) -> dict[str, Json]:
    return queues.describe_consumer(db, _find(db, queue_id, consumer_id))


def _invalid(path: str, problem: str) -> ApiError:
    """Return the error about the settings: 100127 (wrangler/src/queues/constants.ts), or 10026 for the rest."""
    if path.startswith("settings"):
        return ApiError(400, 100127, f"The specified consumer settings are invalid: {path}: {problem}")
    return unparsable(path, problem)


ROUTES = (
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/consumers", create_consumer),
    Route("GET", "/accounts/{account_id}/queues/{queue_id}/consumers", list_consumers),
    Route("GET", "/accounts/{account_id}/queues/{queue_id}/consumers/{consumer_id}", get_consumer),
    Route("PUT", "/accounts/{account_id}/queues/{queue_id}/consumers/{consumer_id}", replace_consumer),
    Route("DELETE", "/accounts/{account_id}/queues/{queue_id}/consumers/{consumer_id}", delete_consumer),
)
