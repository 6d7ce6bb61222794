"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
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

CREATE TABLE queue_consumers (
    id TEXT PRIMARY KEY,
    queue_id TEXT NOT NULL UNIQUE REFERENCES queues (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    worker_id TEXT REFERENCES workers (id),
    dead_letter_queue_id TEXT REFERENCES queues (id),
    settings TEXT NOT NULL,          -- JSON, complete
    created_on TEXT NOT NULL
);
"""

SCHEMA = (SchemaStep(_TABLES, single_version=1),)
