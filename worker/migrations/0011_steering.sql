-- What steers the task runner beside its settings. Neither table has a row in a stack that uses none of it.
-- notes: what the sweeper remembers from one time to the next, in the first database or object alone: JSON by name, changed only where it is
-- as it was read.
CREATE TABLE notes (
  name TEXT PRIMARY KEY,
  note TEXT NOT NULL
) WITHOUT ROWID;

-- pauses: the handlers whose tasks wait, and since when (Unix time in milliseconds); * is every handler. In each database or object, so
-- that a claim looks at it in the same statement.
CREATE TABLE pauses (
  handler   TEXT PRIMARY KEY,
  paused_at INTEGER NOT NULL
) WITHOUT ROWID;
