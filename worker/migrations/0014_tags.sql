-- Tags: what a task is found by. A task that has none costs what it did: its column is NULL, and it is not in the index. One that has some
-- writes one row more, when it is stored. The index has the tags themselves, so that a list of those with a tag reads no other task.
-- tags: a JSON object of texts, in the order of its keys, see `tags.js`.
ALTER TABLE tasks ADD COLUMN tags TEXT;

CREATE INDEX tasks_tagged ON tasks (taskId, tags) WHERE tags IS NOT NULL;
