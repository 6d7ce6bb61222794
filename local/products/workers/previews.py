"""Previews: versions that answer under host names of their own, deployed or not.

https://developers.cloudflare.com/workers/configuration/previews/: a version's host name begins with the first eight
characters of its id, or with the alias of its upload; a Worker with Durable Objects has no previews.
"""

import json
import re
import sqlite3
from typing import Any

from local.api.fields import Fields

ALIAS = "workers/alias"

KEPT = 10  # this many of a Worker's newest versions have a preview; each of them runs
_PREFIX = 8
_LONGEST_LABEL = 63  # of a DNS name
_ALIAS = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def check_alias(annotations: Fields, worker_name: str) -> None:
    """Refuse an alias that cannot be part of a host name. Raises the product's error."""
    alias = annotations.text(ALIAS)
    if alias is None:
        return
    if not _ALIAS.fullmatch(alias):
        problem = f"Expected lowercase letters, digits and hyphens, the first a letter, received '{alias}'"
        raise annotations.wrong(ALIAS, problem)
    if len(_label(alias, worker_name)) > _LONGEST_LABEL:
        problem = f"'{_label(alias, worker_name)}' is longer than {_LONGEST_LABEL} characters"
        raise annotations.wrong(ALIAS, problem)


def has_preview(db: sqlite3.Connection, worker_id: str) -> bool:
    """Tell whether versions of a Worker may have previews: not if it has Durable Objects."""
    row = db.execute("SELECT 1 FROM durable_object_namespaces WHERE worker_id = ?", (worker_id,)).fetchone()
    return row is None


def suffix(worker: sqlite3.Row) -> str:
    """Return what follows a version's prefix, or an alias, in an address."""
    return f"-{worker['name']}.localhost:{worker['port']}"


def url(db: sqlite3.Connection, worker: sqlite3.Row, version_id: str) -> str | None:
    """Return the address of a version's preview; None if it has none."""
    if version_id not in hosts(db, worker).values():
        return None
    return f"http://{version_id[:_PREFIX]}{suffix(worker)}"


def hosts(db: sqlite3.Connection, worker: sqlite3.Row) -> dict[str, str]:
    """Return the host names of versions, {name: version id}."""
    settings: dict[str, Any] = json.loads(worker["settings"])
    if not settings["subdomain"]["previews_enabled"] or not has_preview(db, worker["id"]):
        return {}
    rows = db.execute(
        "SELECT id, upload ->> '$.echo.annotations.\"workers/alias\"' AS alias FROM worker_versions"
        " WHERE worker_id = ? ORDER BY number DESC",
        (worker["id"],),
    ).fetchall()
    named = {_label(row["id"][:_PREFIX], worker["name"]): row["id"] for row in rows[:KEPT]}
    aliased = {_label(row["alias"], worker["name"]): row["id"] for row in reversed(rows) if row["alias"]}
    return {f"{label}.localhost": version_id for label, version_id in (named | aliased).items()}


def _label(prefix: str, worker_name: str) -> str:
    return f"{prefix}-{worker_name}"
