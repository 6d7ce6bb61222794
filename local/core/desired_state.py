"""The one place that turns the state into what the data plane shall run."""

import json
import sqlite3
from typing import Any

from local.products.assets import assets

Config = dict[str, Any]  # the body of the data plane's PUT /config


def build(db: sqlite3.Connection) -> Config:
    """Describe everything that shall run, from the state alone."""
    return {"workers": _workers(db), "queues": _queues(db), "workflows": _workflows(db)}


def runnable(upload: dict[str, Any], version_id: str, modules: list[dict[str, str]]) -> dict[str, Any]:
    """Describe one version as the data plane runs it. `upload` is the version as stored."""
    return {
        "id": version_id,
        "main_module": upload["main_module"],
        "compatibility_date": upload["compatibility_date"],
        "compatibility_flags": upload["compatibility_flags"],
        "modules": modules,
        "service_worker": upload.get("service_worker", False),
        "bindings": [_binding(binding, upload, version_id) for binding in upload["bindings"]],
        **({"assets": assets.runnable(upload["assets"])} if upload.get("assets") else {}),
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


def main_version_of(db: sqlite3.Connection, worker_id: str) -> str | None:
    """Name the deployed version with the most traffic, which hosts what only one version can; None without one."""
    split = split_of(db, worker_id)
    return max(split, key=lambda part: part["percentage"])["version_id"] if split else None


def _workers(db: sqlite3.Connection) -> list[Config]:
    return [
        {
            "name": worker["name"],
            "port": worker["port"],
            "schedules": _schedules(db, worker["id"]),
            "tailed": db.execute("SELECT 1 FROM worker_tails WHERE worker_id = ?", (worker["id"],)).fetchone()
            is not None,
            "versions": [
                {
                    **_version(db, part["version_id"]),
                    "percentage": part["percentage"],
                    "durable_objects": _hosted(db, worker["id"], part["version_id"]),
                    "tail_consumers": _tail_consumers(db, worker),
                }
                for part in split_of(db, worker["id"])
            ],
        }
        for worker in db.execute("SELECT id, name, port, settings FROM workers ORDER BY name").fetchall()
    ]


def _tail_consumers(db: sqlite3.Connection, worker: sqlite3.Row) -> list[Config]:
    """Describe the deployed Workers that get a Worker's tail; one that got its own would never end."""
    names = {consumer["name"] for consumer in json.loads(worker["settings"])["tail_consumers"]} - {worker["name"]}
    found = [db.execute("SELECT id FROM workers WHERE name = ?", (name,)).fetchone() for name in sorted(names)]
    versions = {name: main_version_of(db, row["id"]) for name, row in zip(sorted(names), found, strict=True) if row}
    return [{"worker": name, "version_id": version_id} for name, version_id in versions.items() if version_id]


def _schedules(db: sqlite3.Connection, worker_id: str) -> list[str]:
    rows = db.execute("SELECT cron FROM worker_schedules WHERE worker_id = ? ORDER BY position", (worker_id,))
    return [row["cron"] for row in rows]


def _version(db: sqlite3.Connection, version_id: str) -> Config:
    row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (version_id,)).fetchone()
    upload: dict[str, Any] = json.loads(row["upload"])
    upload["bindings"] = [
        found for binding in upload["bindings"] if _still_there(db, binding) and (found := _located(db, binding))
    ]
    return runnable(upload, version_id, modules_of(db, version_id))


def _hosted(db: sqlite3.Connection, worker_id: str, version_id: str) -> list[Config]:
    """Describe the Durable Object classes that run in a version: all of the Worker's, or none."""
    if version_id != main_version_of(db, worker_id):
        return []
    rows = db.execute(
        "SELECT id, class_name, use_sqlite FROM durable_object_namespaces WHERE worker_id = ? ORDER BY class_name",
        (worker_id,),
    )
    return [
        {"class_name": row["class_name"], "namespace_id": row["id"], "use_sqlite": bool(row["use_sqlite"])}
        for row in rows
    ]


def bucket_of(db: sqlite3.Connection, binding: dict[str, Any]) -> str | None:
    """Find the bucket that a binding names; None when there is none."""
    row = db.execute(
        "SELECT id FROM r2_buckets WHERE name = ? AND jurisdiction = ?",
        (binding["bucket_name"], binding.get("jurisdiction", "default")),
    ).fetchone()
    return None if row is None else row["id"]


def _located(db: sqlite3.Connection, binding: dict[str, Any]) -> dict[str, Any] | None:
    """Add to a binding where what it names is: another version's code, a bucket; None when it is nowhere."""
    if binding["type"] == "r2_bucket":
        bucket_id = bucket_of(db, binding)
        return None if bucket_id is None else binding | {"bucket_id": bucket_id}
    if binding["type"] == "durable_object_namespace":
        query = (
            "SELECT w.id, w.name, n.class_name FROM durable_object_namespaces n JOIN workers w ON w.id = n.worker_id"
            " WHERE n.id = ?"
        )
        row = db.execute(query, (binding["namespace_id"],)).fetchone()
    elif binding["type"] == "service":
        row = db.execute("SELECT id, name FROM workers WHERE name = ?", (binding["service"],)).fetchone()
    else:
        return binding
    version_id = None if row is None else main_version_of(db, row["id"])
    if row is None or version_id is None:
        return None
    return binding | dict(row) | {"name": binding["name"], "worker": row["name"], "version_id": version_id}


def _still_there(db: sqlite3.Connection, binding: dict[str, Any]) -> bool:
    """Tell whether what is bound still exists.

    A store may be deleted under a Worker (a queue may not). Its binding must then fail, and not quietly make a new and
    empty one of the same id.
    """
    look_up = _LOOK_UPS.get(binding["type"])
    if look_up is None:
        return True
    query, key = look_up
    return db.execute(query, (binding[key],)).fetchone() is not None


_LOOK_UPS = {
    "d1": ("SELECT 1 FROM d1_databases WHERE uuid = ?", "id"),
    "kv_namespace": ("SELECT 1 FROM kv_namespaces WHERE id = ?", "namespace_id"),
}


def _binding(binding: dict[str, Any], upload: dict[str, Any], version_id: str) -> dict[str, Any]:
    """Describe a stored binding to the data plane, which knows queues by id alone, and nothing of metadata."""
    if binding["type"] == "version_metadata":
        annotations: dict[str, str] = upload["echo"].get("annotations") or {}
        tag = annotations.get("workers/tag", "")
        metadata = {"id": version_id, "tag": tag, "timestamp": upload["uploaded_on"]}
        return {"type": "json", "name": binding["name"], "json": metadata}
    if binding["type"] == "queue":
        return {
            "type": "queue",
            "name": binding["name"],
            "queue_id": binding["queue_id"],
            "delivery_delay": binding.get("delivery_delay"),
        }
    return {key: binding[key] for key in ("type", "name", *_BINDING_FIELDS[binding["type"]]) if key in binding}


_BINDING_FIELDS = {
    "analytics_engine": (),
    "assets": (),
    "d1": ("id",),
    "data_blob": ("part",),
    "text_blob": ("part",),
    "wasm_module": ("part",),
    "durable_object_namespace": ("class_name", "worker", "version_id"),
    "kv_namespace": ("namespace_id",),
    "r2_bucket": ("bucket_id",),
    "workflow": ("workflow_name",),
    "ratelimit": ("namespace_id", "simple"),
    "service": ("worker", "version_id", "entrypoint"),
    "plain_text": ("text",),
    "secret_text": ("text",),
    "json": ("json",),
}


def version_with_class(db: sqlite3.Connection, worker_id: str, class_name: str) -> str | None:
    """Find the deployed version with most traffic of those that export a workflow class."""
    for part in sorted(split_of(db, worker_id), key=lambda part: -part["percentage"]):
        row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (part["version_id"],)).fetchone()
        if class_name in json.loads(row["upload"]).get("workflow_classes", []):
            return part["version_id"]
    return None


def _workflows(db: sqlite3.Connection) -> list[Config]:
    rows = db.execute(
        "SELECT f.*, w.id AS worker_id FROM workflows f LEFT JOIN workers w ON w.name = f.script_name ORDER BY f.name"
    )
    return [_workflow(db, row) for row in rows.fetchall()]


def _workflow(db: sqlite3.Connection, row: sqlite3.Row) -> Config:
    version = db.execute(
        "SELECT id, settings FROM workflow_versions WHERE workflow_id = ? ORDER BY sequence DESC LIMIT 1", (row["id"],)
    ).fetchone()
    code = None if row["worker_id"] is None else version_with_class(db, row["worker_id"], row["class_name"])
    return {
        "id": row["id"],
        "name": row["name"],
        "version_id": version["id"],
        "script_name": row["script_name"],
        "class_name": row["class_name"],
        "worker_version_id": code,
        "step_limit": json.loads(version["settings"]).get("limits", {}).get("steps"),
    }


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
