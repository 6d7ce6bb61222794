"""Asset manifests: the files of a site, by path, hash and size, and which of them are uploaded.

A manifest exists as long as its token or a version that serves it; a file exists as long as a manifest that names it.
The client chooses the hash of a content: Cloudflare accepts any 32 hexadecimal digits.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from local.products.assets.tokens import LIFETIME_SECONDS


@dataclass(frozen=True)
class Entry:
    """One line of a manifest; `size` is in bytes."""

    path: str
    hash: str
    size: int


@dataclass(frozen=True)
class File:
    """An uploaded file: the client's hash, and its content."""

    hash: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Site:
    """What a version serves: the folder's name, its manifest, and the texts of `_headers` and `_redirects`."""

    name: str
    manifest_id: str
    texts: dict[str, str]


def insert(db: sqlite3.Connection, script_name: str, entries: Iterable[Entry]) -> str:
    """Write a new manifest, and return its id."""
    manifest_id = uuid.uuid4().hex
    db.execute("INSERT INTO asset_manifests VALUES (?, ?, ?)", (manifest_id, script_name, _expiry()))
    db.executemany(
        "INSERT INTO asset_manifest_entries VALUES (?, ?, ?, ?)",
        [(manifest_id, entry.path, entry.hash, entry.size) for entry in entries],
    )
    return manifest_id


def exists(db: sqlite3.Connection, manifest_id: str) -> bool:
    """Tell whether a manifest still exists."""
    return db.execute("SELECT 1 FROM asset_manifests WHERE id = ?", (manifest_id,)).fetchone() is not None


def prolong(db: sqlite3.Connection, manifest_id: str) -> None:
    """Keep a manifest as long as a token issued now."""
    db.execute("UPDATE asset_manifests SET expires_at = ? WHERE id = ?", (_expiry(), manifest_id))


def expire(db: sqlite3.Connection, script_name: str) -> None:
    """Expire a script's manifests: their tokens become invalid."""
    db.execute("UPDATE asset_manifests SET expires_at = 0 WHERE script_name = ?", (script_name,))


def sizes(db: sqlite3.Connection, manifest_id: str) -> dict[str, set[int]]:
    """Return the sizes of a manifest's files, by hash."""
    found: dict[str, set[int]] = {}
    rows = db.execute("SELECT hash, size FROM asset_manifest_entries WHERE manifest_id = ?", (manifest_id,))
    for row in rows:
        found.setdefault(row["hash"], set()).add(row["size"])
    return found


def missing(db: sqlite3.Connection, manifest_id: str) -> list[tuple[str, int]]:
    """Return hash and size of each file that is not uploaded yet."""
    rows = db.execute(
        "SELECT DISTINCT e.hash, e.size FROM asset_manifest_entries e LEFT JOIN asset_files f USING (hash, size)"
        " WHERE e.manifest_id = ? AND f.hash IS NULL ORDER BY e.hash, e.size",
        (manifest_id,),
    )
    return [(row["hash"], row["size"]) for row in rows]


def remember(db: sqlite3.Connection, files: Iterable[File]) -> None:
    """Store uploaded files. A known file stays unchanged, because versions may serve it."""
    rows = [(file.hash, file.size, file.sha256) for file in files]
    db.executemany("INSERT OR IGNORE INTO asset_files VALUES (?, ?, ?)", rows)


def contents(db: sqlite3.Connection, manifest_id: str) -> dict[str, str]:
    """Return the SHA-256 of the content of each path."""
    rows = db.execute(
        "SELECT e.path, f.sha256 FROM asset_manifest_entries e JOIN asset_files f USING (hash, size)"
        " WHERE e.manifest_id = ? ORDER BY e.path",
        (manifest_id,),
    )
    return {row["path"]: row["sha256"] for row in rows}


def serve(db: sqlite3.Connection, version_id: str, site: Site) -> None:
    """Record what a version serves."""
    row = (version_id, site.manifest_id, site.name, site.texts.get("_headers"), site.texts.get("_redirects"))
    db.execute("INSERT INTO worker_version_assets VALUES (?, ?, ?, ?, ?)", row)


def sites(db: sqlite3.Connection) -> list[Site]:
    """Return what all versions serve, each folder once."""
    return [_site(row) for row in db.execute("SELECT * FROM worker_version_assets GROUP BY site").fetchall()]


def forget_unused(db: sqlite3.Connection) -> bool:
    """Delete manifests that no token or version needs, and their unused files; return False if all are needed."""
    unused = db.execute(
        "DELETE FROM asset_manifests WHERE expires_at <= ?"
        " AND id NOT IN (SELECT manifest_id FROM worker_version_assets)",
        (int(time.time()),),
    )
    if unused.rowcount == 0:
        return False
    db.execute("DELETE FROM asset_files WHERE (hash, size) NOT IN (SELECT hash, size FROM asset_manifest_entries)")
    return True


def digests(db: sqlite3.Connection) -> set[str]:
    """Return the SHA-256 of each needed content."""
    return {row["sha256"] for row in db.execute("SELECT sha256 FROM asset_files")}


def _expiry() -> int:
    return int(time.time()) + LIFETIME_SECONDS


def _site(row: sqlite3.Row) -> Site:
    texts = {f"_{name}": row[name] for name in ("headers", "redirects") if row[name] is not None}
    return Site(row["site"], row["manifest_id"], texts)
