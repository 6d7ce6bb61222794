-- One row a task, clustered on its id: WITHOUT ROWID and without a secondary index a task's three states cost three
-- written rows. Ids are time-ordered (UUIDv7), so a range of the primary key is a range of time.
CREATE TABLE tasks (
  taskId           TEXT PRIMARY KEY,
  status           TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
  payload          TEXT,                               -- the request body; a BLOB when it is not UTF-8
  created_at       TEXT DEFAULT CURRENT_TIMESTAMP,
  expires_at       INTEGER,                            -- epoch seconds; the sweeper deletes the row after it
  attempts         INTEGER NOT NULL DEFAULT 0,         -- deliveries that reached the handler
  lease_expires_at INTEGER,                            -- epoch milliseconds; set while processing
  sent_at          INTEGER,                            -- epoch milliseconds of the sweeper's last send, if it had to
  result           TEXT,                               -- JSON, once completed
  error            TEXT                                -- JSON {name, message} of the last failed attempt
) WITHOUT ROWID;

-- How far the sweeper has come: it reads each task about once, however many are kept.
CREATE TABLE sweep_progress (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  cursor     TEXT NOT NULL DEFAULT '',                 -- tasks up to this id were seen in the present round
  first_open TEXT                                      -- the oldest unfinished task seen in the present round
);
INSERT INTO sweep_progress (id) VALUES (1);
