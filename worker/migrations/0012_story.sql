-- What became of each attempt of a task: its error, and what it has logged. A task that completes at once and logs nothing costs what it
-- did: the column is NULL, and has no index. It is written with the outcome of an attempt. Added at the end, where a large table need not
-- be written anew.
-- story: JSON, see `story.js`.
ALTER TABLE tasks ADD COLUMN story TEXT;
