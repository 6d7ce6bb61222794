"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
CREATE TABLE worker_tails (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    key TEXT NOT NULL UNIQUE,        -- who knows it may listen
    expires_at TEXT NOT NULL,
    filters TEXT NOT NULL            -- JSON: what was sent
);
"""

SCHEMA = (SchemaStep(_TABLES, single_version=4),)
