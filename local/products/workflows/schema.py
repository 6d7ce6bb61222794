"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
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

SCHEMA = (SchemaStep(_TABLES, single_version=3),)
