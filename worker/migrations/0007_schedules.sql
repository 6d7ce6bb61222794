-- Schedules, in the first database or object alone. schedule is JSON, see `schedules.js`; it is changed only where it is as it was read.
CREATE TABLE schedules (
  name     TEXT PRIMARY KEY,
  schedule TEXT NOT NULL
) WITHOUT ROWID;
