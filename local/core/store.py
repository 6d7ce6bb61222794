"""The state of the cloud, in one SQLite file.

A reader sees what is committed; the writer's changes are seen by nobody until the data plane runs them.
"""

import sqlite3
from pathlib import Path

_FIRST = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE d1_databases (
    uuid TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    jurisdiction TEXT,
    location TEXT,
    read_replication TEXT            -- mode; null until somebody sets it
);

CREATE TABLE queues (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL,
    jurisdiction TEXT,
    delivery_delay INTEGER NOT NULL, -- seconds
    delivery_paused INTEGER NOT NULL,
    message_retention_period INTEGER NOT NULL, -- seconds
    purge_started_on TEXT
);

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    port INTEGER NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    updated_on TEXT NOT NULL,
    deployed_on TEXT,
    settings TEXT NOT NULL           -- JSON: logpush, observability, subdomain, tags, tail_consumers
);

CREATE TABLE queue_consumers (
    id TEXT PRIMARY KEY,
    queue_id TEXT NOT NULL UNIQUE REFERENCES queues (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    worker_id TEXT REFERENCES workers (id),
    dead_letter_queue_id TEXT REFERENCES queues (id),
    settings TEXT NOT NULL,          -- JSON, complete
    created_on TEXT NOT NULL
);

CREATE TABLE worker_versions (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    created_on TEXT NOT NULL,
    source TEXT NOT NULL,
    startup_time_ms INTEGER NOT NULL,
    handlers TEXT NOT NULL,          -- JSON: what the main module's default export can do
    upload TEXT NOT NULL,            -- JSON: the version as it was sent, without its modules
    UNIQUE (worker_id, number)
);

CREATE TABLE worker_modules (
    version_id TEXT NOT NULL REFERENCES worker_versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_base64 TEXT NOT NULL,
    PRIMARY KEY (version_id, name)
);

CREATE TABLE worker_deployments (
    sequence INTEGER PRIMARY KEY,    -- the newest is in force
    id TEXT NOT NULL UNIQUE,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    created_on TEXT NOT NULL,
    source TEXT NOT NULL,
    annotations TEXT NOT NULL,       -- JSON
    versions TEXT NOT NULL           -- JSON: [{version_id, percentage}], in the order sent
);

CREATE TABLE worker_schedules (
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    cron TEXT NOT NULL,
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL,
    PRIMARY KEY (worker_id, cron)
);
"""

_STORES = """
CREATE TABLE kv_namespaces (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    jurisdiction TEXT
);

ALTER TABLE workers ADD COLUMN class_lifecycle TEXT; -- exports or migrations: how it declares Durable Object classes
ALTER TABLE workers ADD COLUMN migration_tag TEXT;

CREATE TABLE durable_object_namespaces (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    class_name TEXT NOT NULL,
    use_sqlite INTEGER NOT NULL,
    UNIQUE (worker_id, class_name)
);
"""

_WORKFLOWS = """
CREATE TABLE workflows (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    script_name TEXT NOT NULL,       -- of a Worker that may be deleted since
    class_name TEXT NOT NULL,
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL
);

CREATE TABLE workflow_versions (
    sequence INTEGER PRIMARY KEY,    -- the newest is in force
    id TEXT NOT NULL UNIQUE,
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    class_name TEXT NOT NULL,
    created_on TEXT NOT NULL,
    settings TEXT NOT NULL           -- JSON: limits, concurrency, default_retention
);
"""

_TAILS = """
CREATE TABLE worker_tails (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    key TEXT NOT NULL UNIQUE,        -- who knows it may listen
    expires_at TEXT NOT NULL,
    filters TEXT NOT NULL            -- JSON: what was sent
);
"""

_R2 = """
CREATE TABLE r2_buckets (
    id TEXT PRIMARY KEY,             -- ours: a bucket that comes back under its name is another one
    name TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    location TEXT NOT NULL,
    storage_class TEXT NOT NULL,     -- of objects to come
    creation_date TEXT NOT NULL,
    UNIQUE (jurisdiction, name)
);
"""

_ASSETS = """
CREATE TABLE asset_manifests (
    id TEXT PRIMARY KEY,
    script_name TEXT NOT NULL,       -- of a Worker that need not exist
    expires_at INTEGER NOT NULL      -- seconds since 1970; later, it lives only in versions
);

CREATE TABLE asset_manifest_entries (
    manifest_id TEXT NOT NULL REFERENCES asset_manifests (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,           -- bytes
    PRIMARY KEY (manifest_id, path)
) WITHOUT ROWID;
CREATE INDEX asset_manifest_entries_by_file ON asset_manifest_entries (hash, size);

CREATE TABLE asset_files (           -- what was uploaded: the client's name for a content, and the content
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (hash, size)
) WITHOUT ROWID;

CREATE TABLE worker_version_assets (
    version_id TEXT PRIMARY KEY REFERENCES worker_versions (id) ON DELETE CASCADE,
    manifest_id TEXT NOT NULL REFERENCES asset_manifests (id),
    site TEXT NOT NULL,              -- the folder that it serves
    headers TEXT,                    -- the file _headers
    redirects TEXT                   -- the file _redirects
);
"""

_DOOMED = """
CREATE TABLE doomed_data (           -- of what was deleted, as long as the data plane may still have it
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
"""

# What brings a file from one version to the next; a file of version n has had the first n of them.
_STEPS = (_FIRST, _STORES, _WORKFLOWS, _TAILS, _R2, _ASSETS, _DOOMED)


class Store:
    """Two connections to the state file. Raises RuntimeError for a file of another version."""

    def __init__(self, path: Path) -> None:
        self.writer = _connect(path)
        self._migrate()
        self.reader = _connect(path)

    def close(self) -> None:
        """Close the file."""
        self.reader.close()
        self.writer.close()

    def setting(self, name: str) -> str | None:
        """Read a remembered value."""
        row = self.reader.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else row["value"]

    def remember(self, name: str, value: str) -> None:
        """Remember a value; it is committed at once."""
        self.writer.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def _migrate(self) -> None:
        version = self.writer.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_STEPS):
            msg = (
                f"the state folder is of version {version}, this program of {len(_STEPS)}:"
                " run `python -m local reset`, or a newer version of this program"
            )
            raise RuntimeError(msg)
        for number, step in enumerate(_STEPS[version:], version + 1):
            self.writer.executescript(f"BEGIN;{step}PRAGMA user_version = {number};COMMIT;")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut, not only a crash
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
