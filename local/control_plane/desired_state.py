"""The one place that turns the state into what the data plane shall run."""

import json
import sqlite3
from typing import Any

Config = dict[str, Any]  # the body of the data plane's PUT /config

EMPTY: Config = {"workers": [], "queues": []}


def build(db: sqlite3.Connection) -> Config:
    """Describe everything that shall run, from the state alone."""
    return {"workers": _workers(db), "queues": _queues(db)}


def runnable(upload: dict[str, Any], version_id: str, modules: list[dict[str, str]]) -> dict[str, Any]:
    """Describe one version as the data plane runs it. `upload` is the version as stored."""
    return {
        "id": version_id,
        "main_module": upload["main_module"],
        "compatibility_date": upload["compatibility_date"],
        "compatibility_flags": upload["compatibility_flags"],
        "modules": modules,
        "bindings": [_binding(binding) for binding in upload["bindings"]],
    }


def modules_of(db: sqlite3.Connection, version_id: str) -> list[dict[str, str]]:
    """Read a version's modules, in the order of the upload."""
    rows = db.execute(
        "SELECT name, content_type, content_base64 FROM worker_modules WHERE version_id = ? ORDER BY position",
        (version_id,),
    )
    return [dict(row) for row in rows]


def split_of(db: sqlite3.Connection, worker_id: str) -> list[dict[str, Any]]:
    """Read the split in force, [{version_id, percentage}]; empty when nothing is deployed."""
    row = db.execute(
        "SELECT versions FROM worker_deployments WHERE worker_id = ? ORDER BY sequence DESC LIMIT 1", (worker_id,)
    ).fetchone()
    return [] if row is None else json.loads(row["versions"])


def _workers(db: sqlite3.Connection) -> list[Config]:
    return [
        {
            "name": worker["name"],
            "port": worker["port"],
            "schedules": _schedules(db, worker["id"]),
            "versions": [
                {**_version(db, part["version_id"]), "percentage": part["percentage"]}
                for part in split_of(db, worker["id"])
            ],
        }
        for worker in db.execute("SELECT id, name, port FROM workers ORDER BY name").fetchall()
    ]


def _schedules(db: sqlite3.Connection, worker_id: str) -> list[str]:
    rows = db.execute("SELECT cron FROM worker_schedules WHERE worker_id = ? ORDER BY position", (worker_id,))
    return [row["cron"] for row in rows]


def _version(db: sqlite3.Connection, version_id: str) -> Config:
    row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (version_id,)).fetchone()
    upload: dict[str, Any] = json.loads(row["upload"])
    upload["bindings"] = [binding for binding in upload["bindings"] if _still_there(db, binding)]
    return runnable(upload, version_id, modules_of(db, version_id))


def _still_there(db: sqlite3.Connection, binding: dict[str, Any]) -> bool:
    """Tell whether what is bound still exists.

    A database may be deleted under a Worker (a queue may not). Its binding must then fail, and not quietly make a new
    and empty database of the same id.
    """
    if binding["type"] != "d1":
        return True
    return db.execute("SELECT 1 FROM d1_databases WHERE uuid = ?", (binding["id"],)).fetchone() is not None


def _binding(binding: dict[str, Any]) -> dict[str, Any]:
    """Describe a stored binding to the data plane, which knows queues by id alone."""
    if binding["type"] == "queue":
        return {
            "type": "queue",
            "name": binding["name"],
            "queue_id": binding["queue_id"],
            "delivery_delay": binding.get("delivery_delay"),
        }
    fields = {"d1": ("id",), "plain_text": ("text",), "secret_text": ("text",), "json": ("json",)}
    return {key: binding[key] for key in ("type", "name", *fields.get(binding["type"], ()))}


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
