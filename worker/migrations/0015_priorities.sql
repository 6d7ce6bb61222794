-- Priorities: which queue carries a task. A task of normal priority costs what it did: the column is NULL, and has no index. Added at the
-- end, where a large table need not be written anew.
-- priority: 'high' or 'low'; NULL: normal.
ALTER TABLE tasks ADD COLUMN priority TEXT;
