"""The data plane's configuration of queues."""

import json
import sqlite3
from typing import Any

from local.core.product import Config


def configure(db: sqlite3.Connection) -> Config:
    """Return the configuration of all queues."""
    return {"queues": _queues(db)}


def _queues(db: sqlite3.Connection) -> list[Config]:
    return [
        {
            "id": queue["id"],
            "name": queue["name"],
            "delivery_delay_seconds": queue["delivery_delay"],
            "delivery_paused": bool(queue["delivery_paused"]),
            "message_retention_seconds": queue["message_retention_period"],
            "consumer": _consumer(db, queue["id"]),
        }
        for queue in db.execute("SELECT * FROM queues ORDER BY name").fetchall()
    ]


def _consumer(db: sqlite3.Connection, queue_id: str) -> Config | None:
    row = db.execute(
        "SELECT c.*, w.name AS script_name FROM queue_consumers c LEFT JOIN workers w ON w.id = c.worker_id"
        " WHERE c.queue_id = ?",
        (queue_id,),
    ).fetchone()
    if row is None:
        return None
    settings: dict[str, Any] = json.loads(row["settings"])
    consumer = {
        "type": row["type"],
        "dead_letter_queue_id": row["dead_letter_queue_id"],
        "batch_size": settings["batch_size"],
        "max_retries": settings["max_retries"],
        "retry_delay_seconds": settings["retry_delay"],
    }
    if row["type"] == "worker":
        own = {
            "script_name": row["script_name"],
            "max_wait_time_ms": settings["max_wait_time_ms"],
            "max_concurrency": settings["max_concurrency"],
        }
    else:
        own = {"visibility_timeout_ms": settings["visibility_timeout_ms"]}
    return consumer | own
