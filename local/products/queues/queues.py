"""Queues, their metrics, and purging.

Codes and texts marked (recorded) come from answers of the real API, recorded on 2026-09-29 and published in
chenhunghan/flare-operator, test/recordings; those marked (quoted) are quoted by users in public code and issues; a code
alone comes from the typed errors of alchemy-run/distilled, which were observed on the real API.
"""

import json
import re
import sqlite3
import uuid
from typing import Any

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields, unparsable
from local.api.routing import Call, Route
from local.products.workers import desired_state

# https://developers.cloudflare.com/queues/platform/limits/ and wrangler/src/queues/constants.ts
MAX_DELIVERY_DELAY_SECONDS = 86_400
MIN_RETENTION_SECONDS = 60
MAX_RETENTION_SECONDS = 1_209_600
DEFAULT_RETENTION_SECONDS = 345_600  # the paid plan's four days; a free account gets one day (recorded)

_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
_ID = re.compile("[0-9a-f]{32}")
_JURISDICTIONS = ("eu", "us", "fedramp")
_PAGE_SIZE = 100  # recorded
_LARGEST_PAGE = 1000
_DEFAULTS = {"delivery_delay": 0, "delivery_paused": False, "message_retention_period": DEFAULT_RETENTION_SECONDS}


async def create_queue(call: Call) -> Reply:
    """POST /queues."""
    body = call.fields(_invalid, malformed)
    moment, chosen = now(), call.chosen_id("queues", _ID, _invalid)
    async with call.cloud.change() as change:
        name = _free_name(change.db, body, None)
        if chosen is not None and change.db.execute("SELECT 1 FROM queues WHERE id = ?", (chosen,)).fetchone():
            raise _invalid("id", f"'{chosen}' is taken")
        queue_id = insert_queue(
            change.db, name, moment, _DEFAULTS | _settings(body), body.choice("jurisdiction", _JURISDICTIONS), chosen
        )
    return Reply(describe(call.cloud.db, find(call.cloud.db, queue_id)))


async def list_queues(call: Call) -> Reply:
    """GET /queues: `name` may be repeated, and each matches one queue exactly."""
    names = call.query.get("name", [])
    rows = call.cloud.db.execute("SELECT * FROM queues ORDER BY created_on, id").fetchall()
    found = [row for row in rows if not names or row["name"] in names]
    page = call.page(len(found), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [describe(call.cloud.db, row) for row in page.cut(found)]
    return Reply(shown, page.info(len(shown)))


async def get_queue(call: Call) -> Reply:
    """GET /queues/{queue_id}."""
    return Reply(describe(call.cloud.db, find(call.cloud.db, call.path["queue_id"])))


async def replace_queue(call: Call) -> Reply:
    """PUT /queues/{queue_id}: a setting that is left out gets its default (recorded)."""
    return await _update(call, _DEFAULTS, name_required=True)


async def patch_queue(call: Call) -> Reply:
    """PATCH /queues/{queue_id}: a setting that is left out is unchanged (recorded)."""
    return await _update(call, {}, name_required=False)


async def delete_queue(call: Call) -> Reply:
    """DELETE /queues/{queue_id}: its messages and its own consumer are deleted with it.

    Refused while a deployed Worker binds it, or another queue's consumer names it as its dead letter queue.
    """
    async with call.cloud.change() as change:
        row = find(change.db, call.path["queue_id"])
        _refuse_if_bound(change.db, row)
        _refuse_if_dead_letter_queue(change.db, row)
        change.db.execute("DELETE FROM queues WHERE id = ?", (row["id"],))
        change.add_tombstone("queues", row["id"])
    return Reply(None)


async def get_metrics(call: Call) -> Reply:
    """GET /queues/{queue_id}/metrics."""
    row = find(call.cloud.db, call.path["queue_id"])
    return Reply(await call.cloud.data_plane.call("queues", row["id"], "metrics"))


async def start_purge(call: Call) -> Reply:
    """POST /queues/{queue_id}/purge: the messages are deleted before it answers."""
    body = call.fields(_invalid, malformed)
    if body.flag("delete_messages_permanently") is not True:
        raise body.wrong("delete_messages_permanently", "must be true to confirm that messages are deleted")
    async with call.cloud.change() as change:
        row = find(change.db, call.path["queue_id"])
        change.db.execute("UPDATE queues SET purge_started_on = ? WHERE id = ?", (now(), row["id"]))
        change.before_commit(lambda: call.cloud.data_plane.call("queues", row["id"], "purge"))
    return Reply(describe(call.cloud.db, find(call.cloud.db, row["id"])))


async def get_purge(call: Call) -> Reply:
    """GET /queues/{queue_id}/purge: the last purge; the API's type of `completed` is text."""
    row = find(call.cloud.db, call.path["queue_id"])
    started = row["purge_started_on"]
    return Reply({"completed": "false" if started is None else "true", "started_at": started or ""})


def find(db: sqlite3.Connection, queue_id: str) -> sqlite3.Row:
    """Read a queue by id. Raises ApiError 11000 (recorded)."""
    row = db.execute("SELECT * FROM queues WHERE id = ?", (queue_id,)).fetchone()
    if row is None:
        raise ApiError(404, 11000, f"Queue '{queue_id}' not found. Please verify it exists and try again.")
    return row


def find_by_name(db: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    """Read a queue by name."""
    return db.execute("SELECT * FROM queues WHERE name = ?", (name,)).fetchone()


def insert_queue(
    db: sqlite3.Connection,
    name: str,
    moment: str,
    settings: dict[str, Any],
    jurisdiction: str | None,
    chosen_id: str | None = None,
) -> str:
    """Store a new queue and return its id."""
    queue_id = chosen_id or uuid.uuid4().hex
    db.execute(
        "INSERT INTO queues (id, name, created_on, modified_on, jurisdiction, delivery_delay, delivery_paused,"
        " message_retention_period)"
        " VALUES (:id, :name, :at, :at, :jurisdiction, :delivery_delay, :delivery_paused, :message_retention_period)",
        {"id": queue_id, "name": name, "at": moment, "jurisdiction": jurisdiction, **settings},
    )
    return queue_id


def create_missing(db: sqlite3.Connection, name: str, moment: str) -> str:
    """Create a queue of this name with default settings if there is none, and return its id."""
    row = find_by_name(db, name)
    if row is not None:
        return row["id"]
    _check_name(name)
    return insert_queue(db, name, moment, _DEFAULTS, None)


def describe(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    """Return a queue with its producers and consumers."""
    producers = [{"type": "worker", "script": name} for name in _producers(db, row["id"])]
    consumers = [
        describe_consumer(db, consumer)
        for consumer in db.execute("SELECT * FROM queue_consumers WHERE queue_id = ?", (row["id"],)).fetchall()
    ]
    description: dict[str, Json] = {
        "queue_id": row["id"],
        "queue_name": row["name"],
        "created_on": row["created_on"],
        "modified_on": row["modified_on"],
        "settings": {
            "delivery_delay": row["delivery_delay"],
            "delivery_paused": bool(row["delivery_paused"]),
            "message_retention_period": row["message_retention_period"],
        },
        "producers_total_count": len(producers),
        "producers": producers,
        "consumers_total_count": len(consumers),
        "consumers": consumers,
    }
    if row["jurisdiction"] is not None:
        description["jurisdiction"] = row["jurisdiction"]
    return description


def describe_consumer(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Json]:
    """Return a consumer. Answers have `script` where requests have `script_name` (provider PR #6420); this has both."""
    queue_names = {queue["id"]: queue["name"] for queue in db.execute("SELECT id, name FROM queues").fetchall()}
    description: dict[str, Json] = {
        "consumer_id": row["id"],
        "type": row["type"],
        "created_on": row["created_on"],
        "queue_name": queue_names[row["queue_id"]],
        "settings": json.loads(row["settings"]),
        "dead_letter_queue": queue_names.get(row["dead_letter_queue_id"], ""),
    }
    if row["type"] == "worker":
        worker = db.execute("SELECT name FROM workers WHERE id = ?", (row["worker_id"],)).fetchone()
        description |= {"script": worker["name"], "script_name": worker["name"]}
    return description


async def _update(call: Call, base: dict[str, Any], *, name_required: bool) -> Reply:
    body = call.fields(_invalid, malformed)
    async with call.cloud.change() as change:
        row = find(change.db, call.path["queue_id"])
        name = _free_name(change.db, body, row) if name_required or body.has("queue_name") else row["name"]
        values = {key: row[key] for key in _DEFAULTS} | base | _settings(body)
        change.db.execute(
            "UPDATE queues SET name = :name, modified_on = :at, delivery_delay = :delivery_delay,"
            " delivery_paused = :delivery_paused, message_retention_period = :message_retention_period"
            " WHERE id = :id",
            {"id": row["id"], "name": name, "at": now(), **values},
        )
    return Reply(describe(call.cloud.db, find(call.cloud.db, row["id"])))


def _settings(body: Fields) -> dict[str, Any]:
    settings = body.fields("settings")
    if settings is None:
        return {}
    read = {
        "delivery_delay": settings.integer("delivery_delay", 0, MAX_DELIVERY_DELAY_SECONDS),
        "delivery_paused": settings.flag("delivery_paused"),
        "message_retention_period": settings.integer(
            "message_retention_period", MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS
        ),
    }
    return {key: value for key, value in read.items() if value is not None}


def _free_name(db: sqlite3.Connection, body: Fields, current: sqlite3.Row | None) -> str:
    name = body.text("queue_name") or ""
    _check_name(name)
    other = find_by_name(db, name)
    if other is not None and (current is None or other["id"] != current["id"]):
        message = f"Queue name '{name}' is already taken. Please use a different name and try again."
        raise ApiError(409, 11009, message)  # recorded
    return name


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        message = f"Queue name '{name}' is invalid: invalid queue name: {name}. Must match {_NAME.pattern}."
        raise ApiError(400, 11003, message)  # recorded


def _producers(db: sqlite3.Connection, queue_id: str) -> list[str]:
    """Return the Workers whose deployed versions bind a queue."""
    return [
        worker["name"]
        for worker in db.execute("SELECT id, name FROM workers ORDER BY name").fetchall()
        if any(queue_id in _bound_queues(db, part["version_id"]) for part in desired_state.split_of(db, worker["id"]))
    ]


def _bound_queues(db: sqlite3.Connection, version_id: str) -> set[str]:
    row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (version_id,)).fetchone()
    bindings: list[dict[str, Any]] = json.loads(row["upload"])["bindings"]
    return {binding["queue_id"] for binding in bindings if binding["type"] == "queue"}


def _refuse_if_bound(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Raise ApiError 11005 if a Worker binds it (quoted)."""
    workers = _producers(db, row["id"])
    if workers:
        name = row["name"]
        message = (
            f"Cannot delete queue '{name}' that is still referenced by a binding in a Worker. Unbind queue '{name}'"
            f" from the Workers '{', '.join(workers)}'; then try again."
        )
        raise ApiError(400, 11005, message)


def _refuse_if_dead_letter_queue(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Raise ApiError 11005 if another queue uses it (quoted, perhaps not completely)."""
    user = db.execute(
        "SELECT 1 FROM queue_consumers WHERE dead_letter_queue_id = ?1 AND queue_id <> ?1", (row["id"],)
    ).fetchone()
    if user is not None:
        message = f"Cannot delete queue '{row['name']}' that serves as dead letter queue for consumers"
        raise ApiError(400, 11005, message)


def malformed(_path: str, problem: str) -> ApiError:
    """Return Queues' error for a body that is not JSON (documented: queues/reference/error-codes)."""
    return ApiError(400, 10208, problem)


def _invalid(path: str, problem: str) -> ApiError:
    """Return the error about a queue's settings: 100128 (wrangler/src/queues/constants.ts), or 10026 for the rest."""
    if path.startswith("settings"):
        return ApiError(400, 100128, f"The specified queue settings are invalid: {path}: {problem}")
    return unparsable(path, problem)


ROUTES = (
    Route("POST", "/accounts/{account_id}/queues", create_queue),
    Route("GET", "/accounts/{account_id}/queues", list_queues),
    Route("GET", "/accounts/{account_id}/queues/{queue_id}", get_queue),
    Route("PUT", "/accounts/{account_id}/queues/{queue_id}", replace_queue),
    Route("PATCH", "/accounts/{account_id}/queues/{queue_id}", patch_queue),
    Route("DELETE", "/accounts/{account_id}/queues/{queue_id}", delete_queue),
    Route("GET", "/accounts/{account_id}/queues/{queue_id}/metrics", get_metrics),
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/purge", start_purge),
    Route("GET", "/accounts/{account_id}/queues/{queue_id}/purge", get_purge),
)
