"""Dependents of a Worker: the other Workers whose deployed versions bind it."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from local.products.workers import desired_state


def all_of(db: sqlite3.Connection, row: sqlite3.Row) -> list[str]:
    """Return the other Workers that bind a Worker, as a service or for its Durable Objects."""
    names = {*by_service(db, row["name"]), *(name for name, _ in by_objects(db, row["id"]))}
    return sorted(names - {row["name"]})


def by_service(db: sqlite3.Connection, service: str) -> Iterator[str]:
    """Return the Workers that bind a Worker as a service."""
    for worker in db.execute("SELECT id, name FROM workers ORDER BY name").fetchall():
        if any(binding.get("service") == service for binding in bindings(db, worker["id"])):
            yield worker["name"]


def by_objects(db: sqlite3.Connection, owner_id: str) -> Iterator[tuple[str, sqlite3.Row]]:
    """Return the Workers that bind a Worker's Durable Object namespaces, itself included, with their bindings."""
    namespaces = db.execute(
        "SELECT id, class_name FROM durable_object_namespaces WHERE worker_id = ?", (owner_id,)
    ).fetchall()
    for worker in db.execute("SELECT id, name FROM workers ORDER BY name").fetchall():
        bound = {binding.get("namespace_id") for binding in bindings(db, worker["id"])}
        yield from ((worker["name"], namespace) for namespace in namespaces if namespace["id"] in bound)


def bindings(db: sqlite3.Connection, worker_id: str) -> Iterator[dict[str, Any]]:
    """Read the bindings of a Worker's deployed versions."""
    for part in desired_state.split_of(db, worker_id):
        row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (part["version_id"],)).fetchone()
        yield from json.loads(row["upload"])["bindings"]
