-- A task's children: what its handler has submitted, and its callbacks. A task that has no parent costs what it did: it is not in the index. A
-- child writes one row more, when it is stored.
CREATE INDEX tasks_children ON tasks (coalesce(submitted_by, parent), taskId) WHERE coalesce(submitted_by, parent) IS NOT NULL;
