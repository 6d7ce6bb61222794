"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
CREATE TABLE d1_databases (
    uuid TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    jurisdiction TEXT,
    location TEXT,
    read_replication TEXT            -- mode; null until somebody sets it
);
"""

SCHEMA = (SchemaStep(_TABLES, single_version=1),)
