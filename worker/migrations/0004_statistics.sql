-- What statistics are made of. The sweeper counts each task once and follows it until it has ended, so that `GET /stats` reads a few
-- rows, and no write of a task pays for it. `counted` tasks are there with ids up to `counted_to`; of them `unscanned`, those after
-- `scanned_to`, have not been looked at, because more are open than are followed at once. `followed` is JSON, the ids of open tasks,
-- and so is `tally`, see `stores/tally.js`.
ALTER TABLE sweep_progress ADD COLUMN counted_to TEXT NOT NULL DEFAULT '';
ALTER TABLE sweep_progress ADD COLUMN counted    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_progress ADD COLUMN scanned_to TEXT NOT NULL DEFAULT '';
ALTER TABLE sweep_progress ADD COLUMN unscanned  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_progress ADD COLUMN followed   TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sweep_progress ADD COLUMN tally      TEXT;
