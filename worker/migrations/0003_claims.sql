-- Who holds a task. A claim is found again when only its reply was lost (claim); its message or instance takes it over when it
-- comes again, which tells that the isolate died (holder, delivery); such crashes are counted apart from attempts. Added at
-- the end, where a large table need not be written anew. Statements that read many rows read none of them but crashes, whose
-- 0 or 1 is in a row's header (https://www.sqlite.org/fileformat2.html#record_format): the payload before it is not read.
ALTER TABLE tasks ADD COLUMN crashes  INTEGER NOT NULL DEFAULT 0; -- attempts of this run whose isolate died
ALTER TABLE tasks ADD COLUMN holder   TEXT;                       -- the message or instance that claimed the task last
ALTER TABLE tasks ADD COLUMN delivery INTEGER;                    -- how often that had been delivered by then
ALTER TABLE tasks ADD COLUMN claim    TEXT;                       -- the claim's own name, until another one takes its place

-- The messages by whose arrival the sweeper tells that those sent before them have come or are lost: JSON.
ALTER TABLE sweep_progress ADD COLUMN probes TEXT;
