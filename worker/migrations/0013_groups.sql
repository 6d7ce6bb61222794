-- Groups: keys whose tasks share limits. A task without a group costs what it did: both of its columns are NULL, and it is in no index.
-- group_key: the group's name, `handler/key` or `/key`, see `group.js`.
-- group_turn: its place in the group's line while it waits there (it is held then); 0: it has its turn, until it has ended or waits for
-- steps; NULL: it has not come to the line yet, or has no turn any more.
ALTER TABLE tasks ADD COLUMN group_key  TEXT;
ALTER TABLE tasks ADD COLUMN group_turn INTEGER;

CREATE INDEX tasks_group ON tasks (group_key) WHERE group_key IS NOT NULL;
CREATE INDEX tasks_turn ON tasks (group_key, group_turn) WHERE group_turn IS NOT NULL;

-- The limits of each group that has tasks.
CREATE TABLE groups (
  name         TEXT PRIMARY KEY,
  concurrency  INTEGER,                                -- how many tasks may have their turn at once; NULL: any number
  rate_limit   INTEGER,                                -- how many may start in `rate_seconds`; NULL: any number
  rate_seconds INTEGER,
  forget_at    INTEGER                                 -- epoch milliseconds; set where it has no tasks any more, but starts that count
) WITHOUT ROWID;

CREATE INDEX groups_forget ON groups (forget_at) WHERE forget_at IS NOT NULL;

-- The turns that count for a group's rate: at most `rate_limit` rows. One that has started counts for `rate_seconds`, and the next task
-- takes its row over; so no task starts sooner than that after the start whose row it took.
CREATE TABLE group_starts (
  id        INTEGER PRIMARY KEY,
  group_key TEXT NOT NULL,
  taskId    TEXT NOT NULL,
  free_at   INTEGER                                    -- epoch milliseconds; NULL until the task has started
);

CREATE INDEX group_starts_free ON group_starts (group_key, free_at);

-- These keep the books whichever statement changes a task. They give no turns: that is the code's.
CREATE TRIGGER take_turn AFTER UPDATE OF group_turn ON tasks WHEN NEW.group_turn = 0 AND OLD.group_turn > 0 BEGIN
  DELETE FROM group_starts WHERE id IN (
    SELECT id FROM group_starts WHERE group_key = NEW.group_key AND free_at IS NOT NULL ORDER BY free_at
    LIMIT max(0, 1 + (SELECT count(*) FROM group_starts WHERE group_key = NEW.group_key)
      - coalesce((SELECT rate_limit FROM groups WHERE name = NEW.group_key), 0)));
  INSERT INTO group_starts (group_key, taskId) SELECT name, NEW.taskId FROM groups WHERE name = NEW.group_key AND rate_limit IS NOT NULL;
END;

-- 50 ms: as much earlier than it is due a task may start (EARLY_MS in `stores/lease.js`).
CREATE TRIGGER begin_turn AFTER UPDATE OF status ON tasks WHEN NEW.group_turn = 0 AND OLD.status = 'pending' AND NEW.status = 'processing' BEGIN
  UPDATE group_starts SET free_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + 50
    + 1000 * coalesce((SELECT rate_seconds FROM groups WHERE name = NEW.group_key), 0)
  WHERE group_key = NEW.group_key AND free_at IS NULL AND taskId = NEW.taskId;
END;

-- A turn that was not used is free for the next one when it would have started.
CREATE TRIGGER end_turn AFTER UPDATE OF status ON tasks
WHEN OLD.group_turn IS NOT NULL AND NEW.status IN ('completed', 'failed', 'cancelled') BEGIN
  UPDATE group_starts SET free_at = OLD.due_at WHERE group_key = OLD.group_key AND free_at IS NULL AND taskId = OLD.taskId;
  UPDATE tasks SET group_turn = NULL WHERE taskId = OLD.taskId;
END;

CREATE TRIGGER forget_turn AFTER DELETE ON tasks WHEN OLD.group_key IS NOT NULL BEGIN
  UPDATE group_starts SET free_at = OLD.due_at WHERE group_key = OLD.group_key AND free_at IS NULL AND taskId = OLD.taskId;
  UPDATE groups SET forget_at = coalesce((SELECT max(free_at) FROM group_starts WHERE group_key = OLD.group_key), 0)
  WHERE name = OLD.group_key AND NOT EXISTS (SELECT 1 FROM tasks WHERE group_key = OLD.group_key);
  DELETE FROM groups WHERE name = OLD.group_key AND forget_at <= unixepoch('subsec') * 1000;
END;

CREATE TRIGGER forget_group AFTER DELETE ON groups BEGIN
  DELETE FROM group_starts WHERE group_key = OLD.name;
END;
