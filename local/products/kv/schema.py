"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
CREATE TABLE kv_namespaces (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    jurisdiction TEXT
);
"""

SCHEMA = (SchemaStep(_TABLES, single_version=2),)
