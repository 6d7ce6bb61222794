-- A state folder's cloudflare.db as it was when all products shared one schema version, 7.
BEGIN TRANSACTION;
CREATE TABLE asset_files (           -- what was uploaded: the client's name for a content, and the content
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (hash, size)
) WITHOUT ROWID;
CREATE TABLE asset_manifest_entries (
    manifest_id TEXT NOT NULL REFERENCES asset_manifests (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,           -- bytes
    PRIMARY KEY (manifest_id, path)
) WITHOUT ROWID;
CREATE TABLE asset_manifests (
    id TEXT PRIMARY KEY,
    script_name TEXT NOT NULL,       -- of a Worker that need not exist
    expires_at INTEGER NOT NULL      -- seconds since 1970; later, it lives only in versions
);
CREATE TABLE d1_databases (
    uuid TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    jurisdiction TEXT,
    location TEXT,
    read_replication TEXT            -- mode; null until somebody sets it
);
CREATE TABLE doomed_data (           -- of what was deleted, as long as the data plane may still have it
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
INSERT INTO "doomed_data" VALUES('d1','gone');
CREATE TABLE durable_object_namespaces (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    class_name TEXT NOT NULL,
    use_sqlite INTEGER NOT NULL,
    UNIQUE (worker_id, class_name)
);
CREATE TABLE kv_namespaces (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    jurisdiction TEXT
);
INSERT INTO "kv_namespaces" VALUES('k1','kept','2026-01-01T00:00:00Z',NULL);
CREATE TABLE queue_consumers (
    id TEXT PRIMARY KEY,
    queue_id TEXT NOT NULL UNIQUE REFERENCES queues (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    worker_id TEXT REFERENCES workers (id),
    dead_letter_queue_id TEXT REFERENCES queues (id),
    settings TEXT NOT NULL,          -- JSON, complete
    created_on TEXT NOT NULL
);
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
INSERT INTO "queues" VALUES('q1','kept','2026-01-01T00:00:00Z','2026-01-01T00:00:00Z',NULL,0,0,345600,NULL);
CREATE TABLE r2_buckets (
    id TEXT PRIMARY KEY,             -- ours: a bucket that comes back under its name is another one
    name TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    location TEXT NOT NULL,
    storage_class TEXT NOT NULL,     -- of objects to come
    creation_date TEXT NOT NULL,
    UNIQUE (jurisdiction, name)
);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "settings" VALUES('port','9000');
CREATE TABLE worker_deployments (
    sequence INTEGER PRIMARY KEY,    -- the newest is in force
    id TEXT NOT NULL UNIQUE,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    created_on TEXT NOT NULL,
    source TEXT NOT NULL,
    annotations TEXT NOT NULL,       -- JSON
    versions TEXT NOT NULL           -- JSON: [{version_id, percentage}], in the order sent
);
CREATE TABLE worker_modules (
    version_id TEXT NOT NULL REFERENCES worker_versions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_base64 TEXT NOT NULL,
    PRIMARY KEY (version_id, name)
);
CREATE TABLE worker_schedules (
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    cron TEXT NOT NULL,
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL,
    PRIMARY KEY (worker_id, cron)
);
CREATE TABLE worker_tails (
    id TEXT PRIMARY KEY,
    worker_id TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    key TEXT NOT NULL UNIQUE,        -- who knows it may listen
    expires_at TEXT NOT NULL,
    filters TEXT NOT NULL            -- JSON: what was sent
);
CREATE TABLE worker_version_assets (
    version_id TEXT PRIMARY KEY REFERENCES worker_versions (id) ON DELETE CASCADE,
    manifest_id TEXT NOT NULL REFERENCES asset_manifests (id),
    site TEXT NOT NULL,              -- the folder that it serves
    headers TEXT,                    -- the file _headers
    redirects TEXT                   -- the file _redirects
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
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    port INTEGER NOT NULL UNIQUE,
    created_on TEXT NOT NULL,
    updated_on TEXT NOT NULL,
    deployed_on TEXT,
    settings TEXT NOT NULL           -- JSON: logpush, observability, subdomain, tags, tail_consumers
, class_lifecycle TEXT, migration_tag TEXT);
INSERT INTO "workers" VALUES('w1','kept',9001,'2026-01-01T00:00:00Z','2026-01-01T00:00:00Z',NULL,'{}',NULL,NULL);
CREATE TABLE workflow_versions (
    sequence INTEGER PRIMARY KEY,    -- the newest is in force
    id TEXT NOT NULL UNIQUE,
    workflow_id TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    class_name TEXT NOT NULL,
    created_on TEXT NOT NULL,
    settings TEXT NOT NULL           -- JSON: limits, concurrency, default_retention
);
CREATE TABLE workflows (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    script_name TEXT NOT NULL,       -- of a Worker that may be deleted since
    class_name TEXT NOT NULL,
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL
);
CREATE INDEX asset_manifest_entries_by_file ON asset_manifest_entries (hash, size);
COMMIT;
PRAGMA user_version = 7;
