-- Tasks that are held until something releases them, and tasks that start after others. A task that neither waits nor is awaited costs
-- what it did: all of these columns are NULL, and it is in no index. Added at the end, where a large table need not be written anew.
-- hold: JSON {delay_seconds, ttl_seconds}, while the task is held: what counts from its release. Its due_at is as late as can be then.
-- starts_after: JSON {taskIds, startWhen}: after which tasks it starts, and after which of their ends.
-- waits_for: JSON, the ids of those of them that have not ended yet; NULL of a task that waits for none.
-- is_awaited: 1 of a task that has rows in `dependents`.
-- submitted_by: the id of the task whose handler submitted it.
ALTER TABLE tasks ADD COLUMN hold         TEXT;
ALTER TABLE tasks ADD COLUMN starts_after TEXT;
ALTER TABLE tasks ADD COLUMN waits_for    TEXT;
ALTER TABLE tasks ADD COLUMN is_awaited   INTEGER;
ALTER TABLE tasks ADD COLUMN submitted_by TEXT;

CREATE INDEX tasks_waiting ON tasks (taskId) WHERE waits_for IS NOT NULL;

-- Which tasks wait for a task, in its own shard; those that wait may be in others.
CREATE TABLE dependents (
  awaited TEXT NOT NULL,
  taskId  TEXT NOT NULL,
  PRIMARY KEY (awaited, taskId)
) WITHOUT ROWID;

CREATE TRIGGER forget_dependents AFTER DELETE ON tasks WHEN OLD.is_awaited IS NOT NULL BEGIN
  DELETE FROM dependents WHERE awaited = OLD.taskId;
END;

-- A held task does not expire. One that ends while it is held lives for its time to live from then on, by whichever code it ends.
CREATE TRIGGER end_hold AFTER UPDATE OF status ON tasks WHEN OLD.hold IS NOT NULL AND NEW.finished_at IS NOT NULL BEGIN
  UPDATE tasks SET hold = NULL, waits_for = NULL,
    expires_at = NEW.finished_at / 1000 + coalesce(OLD.hold ->> 'ttl_seconds', 86400),
    own_expires_at = NEW.finished_at / 1000 + coalesce(OLD.hold ->> 'ttl_seconds', 86400)
  WHERE taskId = NEW.taskId;
END;

-- The waiting tasks up to this id were looked at in the present round.
ALTER TABLE sweep_progress ADD COLUMN waiting_cursor TEXT NOT NULL DEFAULT '';
