-- Callbacks: tasks that tell a URL how another task has ended. A task that has none costs what it did: both columns are NULL, and
-- neither has an index. Added at the end, where a large table need not be written anew.
-- callback: JSON {url, on}: where it is told that the task has ended, and which ends are told.
-- parent: of a callback, the id of the task that it tells of.
ALTER TABLE tasks ADD COLUMN callback TEXT;
ALTER TABLE tasks ADD COLUMN parent TEXT;
