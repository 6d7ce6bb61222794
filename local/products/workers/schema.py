"""The tables and their migrations."""

from local.core.product import SchemaStep

_TABLES = """
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    port INTEGER NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    updated_on TEXT NOT NULL,
    deployed_on TEXT,
    settings TEXT NOT NULL           -- JSON: logpush, observability, subdomain, tags, tail_consumers
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

_CLASSES = """
ALTER TABLE workers ADD COLUMN class_lifecycle TEXT; -- exports or migrations: how it declares Durable Object classes
ALTER TABLE workers ADD COLUMN migration_tag TEXT;
"""

_CODE_BY_HASH = """
CREATE TABLE worker_code (
    version_id TEXT NOT NULL REFERENCES worker_versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    sha256 TEXT NOT NULL,            -- of the content, which is a file
    PRIMARY KEY (version_id, name)
);
INSERT INTO worker_code
SELECT version_id, position, name, content_type, stored_sha256(content_base64) FROM worker_modules;
DROP TABLE worker_modules;
ALTER TABLE worker_code RENAME TO worker_modules;
"""

SCHEMA = (
    SchemaStep(_TABLES, single_version=1),
    SchemaStep(_CLASSES, single_version=2),
    SchemaStep(_CODE_BY_HASH),
)
