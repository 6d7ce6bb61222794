"""The data plane's configuration of Workflows."""

import json
import sqlite3

from local.core.product import Config
from local.products.workers.desired_state import version_with_class


def configure(db: sqlite3.Connection) -> Config:
    """Return the configuration of all Workflows."""
    return {"workflows": _workflows(db)}


def _workflows(db: sqlite3.Connection) -> list[Config]:
    rows = db.execute(
        "SELECT f.*, w.id AS worker_id FROM workflows f LEFT JOIN workers w ON w.name = f.script_name ORDER BY f.name"
    )
    return [_workflow(db, row) for row in rows.fetchall()]


def _workflow(db: sqlite3.Connection, row: sqlite3.Row) -> Config:
    version = db.execute(
        "SELECT id, settings FROM workflow_versions WHERE workflow_id = ? ORDER BY sequence DESC LIMIT 1", (row["id"],)
    ).fetchone()
    settings: Config = json.loads(version["settings"])
    concurrency: Config | None = settings.get("concurrency")
    retention: Config = settings.get("default_retention") or {}
    code = None if row["worker_id"] is None else version_with_class(db, row["worker_id"], row["class_name"])
    return {
        "id": row["id"],
        "name": row["name"],
        "version_id": version["id"],
        "script_name": row["script_name"],
        "class_name": row["class_name"],
        "worker_version_id": code,
        "step_limit": settings.get("limits", {}).get("steps"),
        "concurrency": None if concurrency is None else concurrency.get("limit"),
        "retention": {
            "successRetention": retention.get("success_retention"),
            "errorRetention": retention.get("error_retention"),
        },
    }
