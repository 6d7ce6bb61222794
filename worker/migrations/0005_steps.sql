-- The steps of handlers that have some (`export const steps = true`), and the events that they wait for. A task without steps has no
-- rows here. Both go with their task.
CREATE TABLE steps (
  taskId      TEXT NOT NULL,
  name        TEXT NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('step', 'sleep', 'event')),
  status      TEXT NOT NULL CHECK (status IN ('waiting', 'completed', 'failed')),
  run         INTEGER NOT NULL,                        -- the run of the task that wrote it last
  attempts    INTEGER NOT NULL,                        -- at the step, in that run
  started_at  INTEGER NOT NULL,                        -- epoch milliseconds
  finished_at INTEGER,                                 -- epoch milliseconds
  due_at      INTEGER,                                 -- epoch milliseconds; when a sleep ends, a wait is given up, a step is tried again
  error       TEXT,                                    -- JSON {name, message} of the last failed attempt
  result      TEXT,                                    -- JSON, once completed
  PRIMARY KEY (taskId, name)
) WITHOUT ROWID;

CREATE TABLE events (
  taskId      TEXT NOT NULL,
  name        TEXT NOT NULL,
  received_at INTEGER NOT NULL,                        -- epoch milliseconds
  payload     TEXT NOT NULL,                           -- JSON
  PRIMARY KEY (taskId, name)
) WITHOUT ROWID;

CREATE TRIGGER forget_steps AFTER DELETE ON tasks BEGIN
  DELETE FROM steps WHERE taskId = OLD.taskId;
  DELETE FROM events WHERE taskId = OLD.taskId;
END;
