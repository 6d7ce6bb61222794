"""The data plane's configuration of Workers, computed from the state only."""

import json
import sqlite3
from typing import Any

from local.core.code_files import Module
from local.core.product import Config
from local.core.registry import binding_types
from local.products.assets import assets
from local.products.workers import previews


def configure(db: sqlite3.Connection) -> Config:
    """Return the configuration of all Workers."""
    return {"workers": _workers(db)}


def runnable(upload: dict[str, Any], version_id: str, modules: list[Module]) -> dict[str, Any]:
    """Return the configuration of one version. `upload` is the version as it is stored."""
    return {
        "id": version_id,
        "main_module": upload["main_module"],
        "compatibility_date": upload["compatibility_date"],
        "compatibility_flags": upload["compatibility_flags"],
        "modules": modules,
        "service_worker": upload.get("service_worker", False),
        "workflow_classes": upload.get("workflow_classes", []),
        "bindings": [_binding(binding, upload, version_id) for binding in upload["bindings"]],
        **({"assets": assets.runnable(upload["assets"])} if upload.get("assets") else {}),
    }


def modules_of(db: sqlite3.Connection, version_id: str) -> list[Module]:
    """Read a version's modules, in the order of the upload."""
    rows = db.execute(
        "SELECT name, content_type, sha256 FROM worker_modules WHERE version_id = ? ORDER BY position",
        (version_id,),
    )
    return [dict(row) for row in rows]


def split_of(db: sqlite3.Connection, worker_id: str) -> list[dict[str, Any]]:
    """Read the split in force, [{version_id, percentage}]; empty if nothing is deployed."""
    row = db.execute(
        "SELECT versions FROM worker_deployments WHERE worker_id = ? ORDER BY sequence DESC LIMIT 1", (worker_id,)
    ).fetchone()
    return [] if row is None else json.loads(row["versions"])


def main_version_of(db: sqlite3.Connection, worker_id: str) -> str | None:
    """Return the deployed version with the most traffic, which runs what only one version can; None without one."""
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
            **_previews(db, worker),
        }
        for worker in db.execute("SELECT id, name, port, settings FROM workers ORDER BY name").fetchall()
    ]


def _previews(db: sqlite3.Connection, worker: sqlite3.Row) -> Config:
    """Return the host names of a Worker's previews, and the versions that run only for previews."""
    hosts = previews.hosts(db, worker)
    deployed = {part["version_id"] for part in split_of(db, worker["id"])}
    alone = sorted(set(hosts.values()) - deployed)
    consumers = _tail_consumers(db, worker)
    return {
        "preview_hosts": hosts,
        "previews": [_version(db, version_id) | {"tail_consumers": consumers} for version_id in alone],
    }


def _tail_consumers(db: sqlite3.Connection, worker: sqlite3.Row) -> list[Config]:
    """Return the deployed Workers that get a Worker's tail. A Worker never gets its own, which would not end."""
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
    located = [binding_types()[binding["type"]].locate(db, binding) for binding in upload["bindings"]]
    upload["bindings"] = [binding for binding in located if binding is not None]
    return runnable(upload, version_id, modules_of(db, version_id))


def _hosted(db: sqlite3.Connection, worker_id: str, version_id: str) -> list[Config]:
    """Return the Durable Object classes that run in a version: all of the Worker's, or none."""
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


def entrypoints_of(db: sqlite3.Connection, worker_name: str) -> set[str]:
    """Return what a service binding to a Worker may call: the exports of its deployed version."""
    row = db.execute("SELECT id FROM workers WHERE name = ?", (worker_name,)).fetchone()
    version_id = None if row is None else main_version_of(db, row["id"])
    if version_id is None:
        return {"default"}
    upload = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (version_id,)).fetchone()["upload"]
    return {"default"} | {named["name"] for named in json.loads(upload).get("named_handlers", [])}


def version_with_class(db: sqlite3.Connection, worker_id: str, class_name: str) -> str | None:
    """Find the deployed version with the most traffic among those that export a workflow class."""
    for part in sorted(split_of(db, worker_id), key=lambda part: -part["percentage"]):
        row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (part["version_id"],)).fetchone()
        if class_name in json.loads(row["upload"]).get("workflow_classes", []):
            return part["version_id"]
    return None


def host_of(db: sqlite3.Connection, binding: Config, query: str, key: str) -> Config | None:
    """Add to a binding a Worker (`id` and `name` of the row that `query` finds by `key`) and its main version."""
    row = db.execute(query, (key,)).fetchone()
    version_id = None if row is None else main_version_of(db, row["id"])
    if row is None or version_id is None:
        return None
    return binding | dict(row) | {"name": binding["name"], "worker": row["name"], "version_id": version_id}


def _binding(binding: Config, upload: Config, version_id: str) -> Config:
    """Return a stored binding in the form of the data plane, which identifies resources by id only."""
    kind = binding_types()[binding["type"]]
    if kind.render is not None:
        return kind.render(binding, upload, version_id)
    return {key: binding[key] for key in ("type", "name", *kind.fields) if key in binding}
