"""The tables."""

from local.core.product import SchemaStep

_TABLES = """
CREATE TABLE zones (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL,
    type TEXT NOT NULL,
    paused INTEGER NOT NULL,
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL
);

CREATE TABLE worker_routes (
    id TEXT PRIMARY KEY,
    zone_id TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    worker_id TEXT REFERENCES workers (id) ON DELETE CASCADE, -- NULL: no Worker runs there
    pattern TEXT NOT NULL,           -- as it was sent
    matches TEXT NOT NULL,           -- the same for patterns that match the same
    UNIQUE (zone_id, matches)
);

CREATE TABLE worker_domains (
    id TEXT PRIMARY KEY,
    zone_id TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    hostname TEXT NOT NULL UNIQUE,
    certificate_id TEXT NOT NULL,
    enabled INTEGER NOT NULL
);
"""

SCHEMA = (SchemaStep(_TABLES),)
