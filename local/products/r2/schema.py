"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
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

SCHEMA = (SchemaStep(_TABLES, single_version=5),)
