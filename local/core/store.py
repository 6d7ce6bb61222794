"""The state of the cloud, in one SQLite file.

A reader sees the committed state. The writer's changes become visible when the data plane runs them.
"""

import base64
import sqlite3
from pathlib import Path

from local.core.code_files import CodeFiles
from local.core.product import SchemaStep
from local.core.registry import products

# The tables of every instance, besides those of its products.
_SETTINGS = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_TOMBSTONES = """
CREATE TABLE doomed_data (           -- of what was deleted, as long as the data plane may still have it
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
"""
_NAMES = """
ALTER TABLE doomed_data RENAME TO tombstones;
"""
_CORE = (SchemaStep(_SETTINGS, single_version=1), SchemaStep(_TOMBSTONES, single_version=7), SchemaStep(_NAMES))

_VERSIONS = """
CREATE TABLE schema_versions (       -- how many steps of its own each product has had; "core" is what all share
    owner TEXT PRIMARY KEY,
    version INTEGER NOT NULL
);
"""
_VERSION_A_PRODUCT = 8  # SQLite's user_version; up to 7 it was the version of all tables


class Store:
    """Two connections to the state file. Raises RuntimeError for a file of another version."""

    def __init__(self, path: Path) -> None:
        self.code = CodeFiles(path.parent / "modules")
        self.writer = _connect(path)
        self.writer.create_function("stored_sha256", 1, self._store_code)
        self._migrate()
        self.reader = _connect(path)

    def close(self) -> None:
        """Close the connections."""
        self.reader.close()
        self.writer.close()

    def setting(self, name: str) -> str | None:
        """Read a setting."""
        row = self.reader.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else row["value"]

    def remember(self, name: str, value: str) -> None:
        """Write a setting; it is committed at once."""
        self.writer.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def _store_code(self, content_base64: str) -> str:
        return self.code.store(base64.b64decode(content_base64))

    def _migrate(self) -> None:
        single_version = self.writer.execute("PRAGMA user_version").fetchone()[0]
        if single_version > _VERSION_A_PRODUCT:
            raise _newer("the state folder", single_version, _VERSION_A_PRODUCT)
        if single_version < _VERSION_A_PRODUCT:
            self._count_steps(single_version)
        for owner, steps in _schemas().items():
            row = self.writer.execute("SELECT version FROM schema_versions WHERE owner = ?", (owner,)).fetchone()
            version = 0 if row is None else row["version"]
            if version > len(steps):
                raise _newer(f"the state folder's part {owner}", version, len(steps))
            for number, step in enumerate(steps[version:], version + 1):
                self.writer.executescript(f"BEGIN;{step.sql}{_noted(owner, number)}COMMIT;")

    def _count_steps(self, single_version: int) -> None:
        """Record which steps of each product a file with a single version has had."""
        had = {
            owner: sum(step.single_version is not None and step.single_version <= single_version for step in steps)
            for owner, steps in _schemas().items()
        }
        rows = "".join(_noted(owner, count) for owner, count in had.items())
        self.writer.executescript(f"BEGIN;{_VERSIONS}{rows}PRAGMA user_version = {_VERSION_A_PRODUCT};COMMIT;")


def _noted(owner: str, version: int) -> str:
    """Return SQL, because it runs in a script; an owner is the name of a folder."""
    return f"INSERT OR REPLACE INTO schema_versions VALUES ('{owner}', {version});"  # noqa: S608


def _schemas() -> dict[str, tuple[SchemaStep, ...]]:
    """List the steps of all owners."""
    return {"core": _CORE} | {product.name: product.schema for product in products() if product.schema}


def _newer(what: str, version: int, known: int) -> RuntimeError:
    return RuntimeError(
        f"{what} is of version {version}, this program of {known}:"
        " run `python -m local reset`, or a newer version of this program"
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # acknowledged changes survive a power cut, not only a crash
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
