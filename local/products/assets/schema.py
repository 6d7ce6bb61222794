"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
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

SCHEMA = (SchemaStep(_TABLES, single_version=6),)
