CREATE TABLE IF NOT EXISTS tasks (
  taskId     TEXT PRIMARY KEY,
  status     TEXT NOT NULL,                 -- pending | processing | completed | failed
  payload    TEXT,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  expires_at INTEGER                        -- TTL analog (epoch secs); swept by an optional cron trigger
);
CREATE INDEX IF NOT EXISTS idx_tasks_status ON tasks(status);
