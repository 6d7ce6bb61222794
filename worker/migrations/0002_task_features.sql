-- Handlers, cancelling, retrying by hand, delays, times to live, idempotency keys and progress. SQLite cannot change a
-- CHECK, so the table is made anew. A task that uses none of these still costs three written rows: every index here is
-- partial and has only the tasks that need it. Long columns come last, so that reading the others does not read them.
CREATE TABLE new_tasks (
  taskId           TEXT PRIMARY KEY,
  status           TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  handler          TEXT NOT NULL DEFAULT 'default',
  created_at       TEXT DEFAULT CURRENT_TIMESTAMP,
  expires_at       INTEGER,                            -- epoch seconds; nobody sees the task after it
  own_expires_at   INTEGER,                            -- the same, where it is not a day after the creation
  run              INTEGER NOT NULL DEFAULT 1,         -- one more with each retry by hand and each redrive
  attempts         INTEGER NOT NULL DEFAULT 0,         -- deliveries of this run that reached the handler
  max_retries      INTEGER,                            -- of this task; NULL: the stack's
  due_at           INTEGER,                            -- epoch milliseconds; when the sweeper is to look at a task that had
                                                       -- to wait, or is no new one; NULL: it finds it by its id
  lease_expires_at INTEGER,                            -- epoch milliseconds; set while processing
  sent_at          INTEGER,                            -- epoch milliseconds of the sweeper's last send, if it had to
  started_at       INTEGER,                            -- epoch milliseconds of this run's first attempt
  finished_at      INTEGER,                            -- epoch milliseconds
  progress         TEXT,                               -- JSON {percent, note} of the last attempt that told any
  error            TEXT,                               -- JSON {name, message} of the last failed attempt
  idempotency_key  TEXT,                               -- SHA-256 of the caller's key, in hexadecimal
  fingerprint      TEXT,                               -- SHA-256 of what was submitted with it
  parameters       TEXT,                               -- JSON object; NULL: {}
  payload          TEXT,                               -- the request body; a BLOB when it is not UTF-8
  result           TEXT                                -- JSON, once completed
) WITHOUT ROWID;

INSERT INTO new_tasks (taskId, status, created_at, expires_at, attempts, lease_expires_at, sent_at, error, payload, result)
  SELECT taskId, status, created_at, expires_at, attempts, lease_expires_at, sent_at, error, payload, result FROM tasks;

DROP TABLE tasks;

ALTER TABLE new_tasks RENAME TO tasks;

CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;

CREATE INDEX tasks_own_expiry ON tasks (own_expires_at) WHERE own_expires_at IS NOT NULL;

CREATE INDEX tasks_not_completed ON tasks (status, taskId) WHERE status IN ('failed', 'cancelled');

CREATE UNIQUE INDEX tasks_idempotency_key ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Tasks up to expire_cursor that had no time to live of their own are gone; those after expire_from were looked at last.
ALTER TABLE sweep_progress ADD COLUMN expire_from TEXT NOT NULL DEFAULT '';
ALTER TABLE sweep_progress ADD COLUMN expire_cursor TEXT NOT NULL DEFAULT '';

-- What the sweeper has done.
ALTER TABLE sweep_progress ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_progress ADD COLUMN resent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_progress ADD COLUMN returned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_progress ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
