"""Tails: a Worker's invocations, live over a WebSocket, as `wrangler tail` reads them.

Answers are recorded: 2026-09-29, chenhunghan/flare-operator, test/recordings.
"""

import asyncio
import json
import secrets
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from starlette.websockets import WebSocket, WebSocketDisconnect

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields, unparsable
from local.api.routing import Call, Route
from local.core.cloud import Cloud
from local.products.tails import filters as tail_filters
from local.products.tails.subscribers import Event, Queue
from local.products.workers import workers

_LIFETIME = timedelta(hours=6)  # recorded
PATH = "/tails/"
_PROTOCOL = "trace-v1"  # the subprotocol of the WebSocket, which wrangler requests


async def create_tail(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/tails: with filters, all of which an event must match."""
    body = Fields(call.json(unparsable) or {}, unparsable)
    filters = [tail_filters.read_filter(part) for part in body.objects("filters") or []]
    moment = datetime.now(UTC)
    tail_id = uuid.uuid4().hex
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        change.db.execute("DELETE FROM worker_tails WHERE expires_at < ?", (_written(moment),))
        change.db.execute(
            "INSERT INTO worker_tails VALUES (?, ?, ?, ?, ?)",
            (tail_id, worker["id"], secrets.token_urlsafe(32), _written(moment + _LIFETIME), json.dumps(filters)),
        )
    [row] = _rows(call.cloud.db, worker["id"], tail_id)
    return Reply(_describe(call.cloud, row))


async def list_tails(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/tails."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    return Reply([_describe(call.cloud, row) for row in _rows(call.cloud.db, worker["id"])])


async def delete_tail(call: Call) -> Reply:
    """DELETE /workers/scripts/{script_name}/tails/{tail_id}: succeeds even if the tail is gone already."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    for row in _rows(call.cloud.db, worker["id"], call.path["tail_id"]):
        await _forget(call.cloud, row["id"])
    return Reply(None)


def publisher(cloud: Cloud) -> Callable[[str, Event], None]:
    """Return a function that sends an event of a Worker to the listeners."""

    def publish(worker_name: str, event: Event) -> None:
        rows = cloud.db.execute(
            "SELECT t.* FROM worker_tails t JOIN workers w ON w.id = t.worker_id WHERE w.name = ?", (worker_name,)
        )
        for row in rows.fetchall():
            if tail_filters.passes(event, json.loads(row["filters"])):
                cloud.tail_subscribers.publish(row["id"], event)

    return publish


async def talk(cloud: Cloud, socket: WebSocket, path: str) -> None:
    """Send a tail's events until the client disconnects or the tail expires. Raises ApiError for an unknown address."""
    key = path.removeprefix(PATH)
    row = cloud.db.execute("SELECT * FROM worker_tails WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise ApiError(404, 7000, "No route for that URI")
    asked: list[str] = socket.scope["subprotocols"]
    try:
        with cloud.tail_subscribers.subscribe(row["id"]) as queue:
            await socket.accept(_PROTOCOL if _PROTOCOL in asked else None)
            left = datetime.fromisoformat(row["expires_at"]) - datetime.now(UTC)
            async with asyncio.timeout(left.total_seconds()):
                await _pass_on(socket, queue)
    except TimeoutError:
        await socket.close()
    finally:
        if not cloud.tail_subscribers.has(row["id"]):  # another connection to the same tail continues
            await _forget(cloud, row["id"])


async def _pass_on(socket: WebSocket, queue: Queue) -> None:
    """Send events until the client has closed the connection. Its own messages (wrangler's `debug`) have no effect."""
    sender = asyncio.create_task(_send_all(socket, queue))
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        sender.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect):
            await sender


async def _send_all(socket: WebSocket, queue: Queue) -> None:
    while True:
        await socket.send_text(json.dumps(await queue.get()))


async def _forget(cloud: Cloud, tail_id: str) -> None:
    async with cloud.change() as change:
        change.db.execute("DELETE FROM worker_tails WHERE id = ?", (tail_id,))


def _rows(db: sqlite3.Connection, worker_id: str, tail_id: str | None = None) -> list[sqlite3.Row]:
    query = "SELECT * FROM worker_tails WHERE worker_id = ? AND (id = ? OR ? IS NULL) ORDER BY expires_at"
    return db.execute(query, (worker_id, tail_id, tail_id)).fetchall()


def _describe(cloud: Cloud, row: sqlite3.Row) -> dict[str, Json]:
    address = f"{cloud.origin.replace('http', 'ws', 1)}{PATH}{row['key']}"
    return {"id": row["id"], "url": address, "expires_at": row["expires_at"]}


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


_TAILS = "/accounts/{account_id}/workers/scripts/{script_name}/tails"

ROUTES = (
    Route("POST", _TAILS, create_tail),
    Route("GET", _TAILS, list_tails),
    Route("DELETE", _TAILS + "/{tail_id}", delete_tail),
)
