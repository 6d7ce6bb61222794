"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
CREATE TABLE durable_object_namespaces (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    class_name TEXT NOT NULL,
    use_sqlite INTEGER NOT NULL,
    UNIQUE (worker_id, class_name)
);
"""

SCHEMA = (SchemaStep(_TABLES, single_version=2),)
