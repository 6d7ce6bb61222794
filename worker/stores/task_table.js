/**
 * Task state in a table of SQLite, be it D1's or a Durable Object's. All tasks of a batch move in one conditional UPDATE,
 * given as one JSON parameter (a statement takes at most 100 parameters,
 * https://developers.cloudflare.com/d1/platform/limits/). `migrations/` has the schema.
 */

import { LEASE_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { creationTime, timePrefix } from '../task_id.js';

/** @import { AttemptName, ClaimedTask, NewTask, Outcome, Progress, TaskError, TaskRecord, TaskSummary } from '../task.js' */
/** @import { Delivery, Insertion, Moments, OpenTask, Page, Query, Store, SweepCounts } from './store.js' */

/** @typedef {{sql: string, parameters: (string | number | null | Uint8Array)[]}} Statement */

/**
 * @typedef {Record<string, any>} Row
 * @typedef {(statements: Statement[]) => Promise<Row[][]>} Run runs statements in one transaction; gives the rows of each
 */

/** How many rows one sweep reads, and how many it deletes: bounds its cost. */
const SWEEP_ROWS = 50_000;
const EXPIRE_ROWS = 10_000;

/** How many open tasks one sweep returns of new ones, and of those that had to wait. */
const SWEEP_TASKS = 100;

/** How many rows a filtered list looks at, and how many of the newest tasks statistics are made of. */
const LIST_ROWS = 1_000;
const RECENT_ROWS = 10_000;

/** Longest error message in a list, in characters. */
const LISTED_ERROR_LENGTH = 200;

/** Longest JSON parameter: a D1 value may have 2 MB, and a character up to 3 bytes. */
const PARAMETER_LENGTH = 600_000;

const FORGET_EXPIRED_KEYS = `
  DELETE FROM tasks WHERE idempotency_key IN (SELECT value FROM json_each(?1)) AND expires_at <= ?2`;

const UNLESS_KEY_IS_HELD = `
  ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING`;

const FIND_KEYS = `
  SELECT idempotency_key, fingerprint, taskId, run, status FROM tasks
  WHERE idempotency_key IN (SELECT value FROM json_each(?1))`;

const SUMMARY = `taskId, status, handler, run, attempts, max_retries, progress, started_at, finished_at, due_at, expires_at`;

const FIND = `SELECT ${SUMMARY}, error, result FROM tasks WHERE taskId = ?1 AND expires_at > ?2`;

/** A redrive starts a new run of a failed task, just as `RETRY` does, and takes it at once. */
const CLAIM = `
  UPDATE tasks SET status = 'processing', run = delivery.value ->> 'run', lease_expires_at = ?2,
    attempts = CASE WHEN status = 'failed' THEN 1 ELSE tasks.attempts + 1 END,
    started_at = CASE WHEN status = 'failed' THEN ?3 ELSE coalesce(started_at, ?3) END,
    due_at = CASE WHEN status = 'failed' OR due_at IS NOT NULL THEN ?2 END,
    error = CASE WHEN status = 'failed' THEN NULL ELSE error END,
    expires_at = CASE WHEN status = 'failed' THEN ?5 ELSE expires_at END,
    own_expires_at = CASE WHEN status = 'failed' THEN ?5 ELSE own_expires_at END,
    finished_at = NULL, progress = NULL
  FROM json_each(?1) AS delivery
  WHERE taskId = delivery.value ->> 'taskId' AND expires_at > ?4 AND CASE
    WHEN run = delivery.value ->> 'run' THEN status = 'pending'
      OR (status = 'processing' AND (lease_expires_at <= ?3 OR delivery.value ->> 'attempts' > 1))
    ELSE status = 'failed' AND delivery.value ->> 'redrive' AND run + 1 = delivery.value ->> 'run' END
  RETURNING taskId, run, attempts, handler, parameters, payload, max_retries`;

const EXISTING = `SELECT taskId FROM tasks WHERE taskId IN (SELECT value FROM json_each(?1))`;

const IS_AT_ATTEMPT = (/** @type {string} */ name) => `
  taskId = ${name}.value ->> 'taskId' AND run = ${name}.value ->> 'run' AND attempts = ${name}.value ->> 'attempts'`;

const IS_OF_ATTEMPT = (/** @type {string} */ name) => `${IS_AT_ATTEMPT(name)} AND status = 'processing'`;

const SETTLE = `
  UPDATE tasks SET status = outcome.value ->> 'status', result = outcome.value ->> 'result',
    error = outcome.value ->> 'error', progress = coalesce(outcome.value ->> 'progress', progress),
    due_at = outcome.value ->> 'next_attempt_ms', lease_expires_at = NULL,
    finished_at = CASE outcome.value ->> 'status' WHEN 'pending' THEN NULL ELSE ?2 END
  FROM json_each(?1) AS outcome
  WHERE ${IS_OF_ATTEMPT('outcome')}
  RETURNING taskId`;

const REPORT = `
  UPDATE tasks SET progress = coalesce(report.value ->> 'progress', progress) FROM json_each(?1) AS report
  WHERE ${IS_OF_ATTEMPT('report')}
  RETURNING taskId`;

const BELONGING = `SELECT taskId FROM tasks, json_each(?1) AS report WHERE ${IS_OF_ATTEMPT('report')}`;

const CANCEL = `
  UPDATE tasks SET status = 'cancelled', finished_at = ?2, lease_expires_at = NULL, due_at = NULL
  WHERE taskId = ?1 AND status IN ('pending', 'processing') AND expires_at > ?3
  RETURNING taskId`;

const RETRY = `
  UPDATE tasks SET status = 'pending', run = run + 1, attempts = 0, due_at = ?2, expires_at = ?4, own_expires_at = ?4,
    sent_at = NULL, started_at = NULL, finished_at = NULL, progress = NULL, error = NULL
  WHERE taskId = ?1 AND status IN ('failed', 'cancelled') AND expires_at > ?3
  RETURNING run`;

const ABANDON = `
  UPDATE tasks SET status = 'failed', error = ?2, finished_at = ?3, lease_expires_at = NULL, due_at = NULL
  FROM json_each(?1) AS lost
  WHERE ${IS_AT_ATTEMPT('lost')}
    AND (status = 'pending' OR (status = 'processing' AND lease_expires_at <= ?3))`;

const MARK_SENT = `UPDATE tasks SET sent_at = ?2 WHERE taskId IN (SELECT value FROM json_each(?1))`;

const EXPIRE_ADVANCE = `
  UPDATE sweep_progress SET expire_from = expire_cursor, expire_cursor = coalesce(
    (SELECT max(taskId) FROM (SELECT taskId FROM tasks WHERE taskId > expire_cursor AND taskId < ?1
      ORDER BY taskId LIMIT ${EXPIRE_ROWS})), expire_cursor)`;

const EXPIRE = `
  DELETE FROM tasks WHERE own_expires_at IS NULL
    AND taskId > (SELECT expire_from FROM sweep_progress) AND taskId <= (SELECT expire_cursor FROM sweep_progress)`;

const EXPIRE_OWN = `
  DELETE FROM tasks WHERE taskId IN
    (SELECT taskId FROM tasks WHERE own_expires_at <= ?1 ORDER BY own_expires_at LIMIT ${EXPIRE_ROWS})`;

const CHANGES = 'SELECT changes() AS count';

const OPEN = `taskId, run, attempts, max_retries, sent_at AS sent_at_ms, due_at, status = 'processing' AS isHeld`;

const SWEEP_DUE = `
  SELECT ${OPEN} FROM tasks WHERE due_at IS NOT NULL AND due_at < ?1 ORDER BY due_at LIMIT ${SWEEP_TASKS}`;

/** The new rows of one sweep: those after the cursor and old enough, oldest first. */
const SWEEP_WINDOW = `
  WITH swept AS (SELECT taskId, status, run, attempts, max_retries, sent_at, due_at, lease_expires_at FROM tasks
    WHERE taskId > (SELECT cursor FROM sweep_progress) AND taskId < ?1 ORDER BY taskId LIMIT ${SWEEP_ROWS})`;

const SWEEP_OPEN = `${SWEEP_WINDOW}
  SELECT ${OPEN} FROM swept WHERE due_at IS NULL
    AND (status = 'pending' OR (status = 'processing' AND lease_expires_at <= ?2)) ORDER BY taskId LIMIT ${SWEEP_TASKS}`;

/** The sweep goes on after the rows it has seen. Once it has seen all, the next round starts at the oldest task that
 * was still open, so that the finished ones before it are never read again. */
const SWEEP_ADVANCE = `${SWEEP_WINDOW}, seen AS (SELECT count(*) AS rows, max(taskId) AS last,
    min(CASE WHEN due_at IS NULL AND status IN ('pending', 'processing') THEN taskId END) AS open FROM swept)
  UPDATE sweep_progress SET
    cursor = CASE WHEN seen.rows = ${SWEEP_ROWS} THEN seen.last
      ELSE coalesce(substr(coalesce(first_open, seen.open), 1, ${timePrefix(0).length}), seen.last, cursor) END,
    first_open = CASE WHEN seen.rows = ${SWEEP_ROWS} THEN coalesce(first_open, seen.open) END
  FROM seen`;

const COUNT_SWEEP = `
  UPDATE sweep_progress SET expired = expired + ?1, resent = resent + ?2, returned = returned + ?3, failed = failed + ?4`;

const SWEEP_COUNTS = 'SELECT expired, resent, returned, failed FROM sweep_progress';

const RECENT = `
  SELECT substr(taskId, 1, ${timePrefix(0).length}) AS id, status, started_at AS started_ms, finished_at AS finished_ms FROM tasks
  ORDER BY taskId DESC LIMIT ${RECENT_ROWS}`;

/** After every id. */
const LAST_ID = 'g';

/** @implements {Store} */
export class TaskTable {
  settling_seconds = 0;

  /** @param {Run} run */
  constructor(run) {
    this.run = run;
  }

  /**
   * @param {NewTask[]} tasks
   * @returns {Promise<Insertion[]>}
   */
  async insert(tasks) {
    const keys = JSON.stringify(tasks.flatMap(({ idempotency }) => idempotency?.key ?? []));
    const inserts = tasks.map(insertion);
    if (keys === '[]') {
      await this.run(inserts);
      return tasks.map(({ taskId }) => ({ taskId, run: 1, status: 'pending', isNew: true, conflict: false }));
    }
    const results = await this.run([statement(FORGET_EXPIRED_KEYS, keys, seconds(Date.now())), ...inserts, statement(FIND_KEYS, keys)]);
    const holders = new Map(results.at(-1)?.map((row) => [row['idempotency_key'], row]));
    return tasks.map(({ taskId, idempotency }) => {
      const holder = holders.get(idempotency?.key) ?? { taskId, run: 1, status: 'pending', fingerprint: undefined };
      const isNew = holder['taskId'] === taskId;
      return {
        taskId: holder['taskId'], run: holder['run'], status: holder['status'], isNew,
        conflict: !isNew && holder['fingerprint'] !== idempotency?.fingerprint,
      };
    });
  }

  /**
   * @param {string} taskId
   * @returns {Promise<TaskRecord | null>}
   */
  async find(taskId) {
    const [row] = await this.#rows(FIND, taskId, seconds(Date.now()));
    return row ? { ...summary(row), result: row['result'] } : null;
  }

  /**
   * @param {Delivery[]} deliveries one for each task
   * @returns {Promise<ClaimedTask[]>}
   */
  async claim(deliveries) {
    const now_ms = Date.now();
    const now_seconds = seconds(now_ms);
    const rows = await this.#rows(
      CLAIM, JSON.stringify(deliveries), now_ms + LEASE_SECONDS * 1000, now_ms, now_seconds, now_seconds + TASK_TTL_SECONDS,
    );
    return rows.map(({ taskId, run, attempts, handler, max_retries, parameters, payload }) => ({
      taskId, run, attempts, handler, max_retries,
      parameters: JSON.parse(parameters ?? '{}'),
      payload: typeof payload === 'string' ? payload : new Uint8Array(payload),
    }));
  }

  /** @param {Delivery[]} deliveries */
  async existing(deliveries) {
    return ids(await this.#rows(EXISTING, JSON.stringify(deliveries.map(({ taskId }) => taskId))));
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    const now_ms = Date.now();
    const rows = outcomes.map((outcome) => JSON.stringify({
      ...outcome,
      ...('error' in outcome && { error: JSON.stringify(outcome.error) }),
      progress: outcome.progress && JSON.stringify(outcome.progress),
    }));
    const results = await this.run(jsonArrays(rows).map((array) => statement(SETTLE, array, now_ms)));
    return ids(results.flat());
  }

  /** @param {(AttemptName & {progress: Progress | null})[]} reports */
  async report(reports) {
    const parameter = JSON.stringify(reports.map((each) => ({ ...each, progress: each.progress && JSON.stringify(each.progress) })));
    const hasNews = reports.some(({ progress }) => progress);
    return ids(await this.#rows(hasNews ? REPORT : BELONGING, parameter));
  }

  /** @param {string} taskId */
  async cancel(taskId) {
    const now_ms = Date.now();
    return (await this.#rows(CANCEL, taskId, now_ms, seconds(now_ms))).length > 0;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<number | null>}
   */
  async retry(taskId) {
    const now_ms = Date.now();
    const [row] = await this.#rows(RETRY, taskId, now_ms, seconds(now_ms), seconds(now_ms) + TASK_TTL_SECONDS);
    return row?.['run'] ?? null;
  }

  /**
   * @param {AttemptName[]} lost
   * @param {TaskError} error
   */
  async abandon(lost, error) {
    await this.#rows(ABANDON, JSON.stringify(lost), JSON.stringify(error), Date.now());
  }

  /** @param {string[]} taskIds */
  async markSent(taskIds) {
    await this.#rows(MARK_SENT, JSON.stringify(taskIds), Date.now());
  }

  /**
   * @param {number} before_ms only tasks due before this Unix time, of those not yet swept in this round
   * @returns {Promise<OpenTask[]>} at most {@link SWEEP_TASKS} of either kind, oldest first
   */
  async sweep(before_ms) {
    const frontier = timePrefix(before_ms);
    const results = await this.run([
      statement(SWEEP_DUE, before_ms),
      statement(SWEEP_OPEN, frontier, Date.now()),
      statement(SWEEP_ADVANCE, frontier),
    ]);
    return results.flat().map(({ taskId, due_at, isHeld, ...rest }) => (
      /** @type {OpenTask} */ ({ taskId, ...rest, due_ms: due_at ?? creationTime(taskId), isHeld: isHeld === 1 })
    ));
  }

  /** @returns {Promise<number>} how many, at most {@link EXPIRE_ROWS} of either kind, the oldest first */
  async expire() {
    const now_ms = Date.now();
    const results = await this.run([
      statement(EXPIRE_ADVANCE, timePrefix(now_ms - TASK_TTL_SECONDS * 1000)),
      statement(EXPIRE),
      statement(CHANGES),
      statement(EXPIRE_OWN, seconds(now_ms)),
      statement(CHANGES),
    ]);
    return results.flat().reduce((sum, { count }) => sum + count, 0);
  }

  /** @param {SweepCounts} counts */
  async countSweep({ expired, resent, returned, failed }) {
    await this.#rows(COUNT_SWEEP, expired, resent, returned, failed);
  }

  /** @returns {Promise<SweepCounts>} */
  async sweepCounts() {
    const [counts] = await this.#rows(SWEEP_COUNTS);
    return /** @type {SweepCounts} */ (counts);
  }

  /**
   * @param {Query} query
   * @returns {Promise<Page>}
   */
  async list({ status, handler, limit, cursor }) {
    const isFiltered = status !== null || handler !== null;
    const window_rows = isFiltered ? LIST_ROWS : limit + 1;
    const window = listWindow(status);
    const before = cursor ?? LAST_ID;
    const [rows = [], [seen] = []] = await this.run([
      statement(
        `SELECT * FROM (${window}) WHERE status = coalesce(?2, status) AND handler = coalesce(?4, handler) AND expires_at > ?5
         ORDER BY taskId DESC LIMIT ?6`,
        before, status, window_rows, handler, seconds(Date.now()), limit + 1,
      ),
      statement(`SELECT count(*) AS rows, min(taskId) AS last FROM (${window})`, before, status, window_rows),
    ]);
    const tasks = rows.slice(0, limit).map(summary).map(shortened);
    if (rows.length > limit) return { tasks, cursor: tasks.at(-1)?.taskId ?? null };
    return { tasks, cursor: seen?.['rows'] === window_rows ? seen['last'] : null };
  }

  /** @returns {Promise<{tasks: Moments[], isAll: boolean}>} */
  async recent() {
    const rows = await this.#rows(RECENT);
    const tasks = rows.map(({ id, ...moments }) => /** @type {Moments} */ ({ ...moments, created_ms: creationTime(id) }));
    return { tasks, isAll: rows.length < RECENT_ROWS };
  }

  /**
   * @param {string} sql
   * @param {...(string | number | null)} parameters
   */
  async #rows(sql, ...parameters) {
    const [rows = []] = await this.run([statement(sql, ...parameters)]);
    return rows;
  }
}

/**
 * @param {string} sql
 * @param {...(string | number | null)} parameters
 * @returns {Statement}
 */
function statement(sql, ...parameters) {
  return { sql, parameters };
}

/**
 * Names those columns alone that the task has a value for: most tasks need few, and every one costs time.
 *
 * @param {NewTask} task
 * @returns {Statement}
 */
function insertion({ taskId, handler, parameters, payload, delay_seconds, ttl_seconds, max_retries, idempotency }) {
  const created_ms = creationTime(taskId);
  const isOrdinary = delay_seconds === 0 && ttl_seconds === null;
  const expires_at = seconds(created_ms) + delay_seconds + (ttl_seconds ?? TASK_TTL_SECONDS);
  const columns = Object.entries({
    taskId, status: 'pending', handler, payload, expires_at, max_retries,
    parameters: Object.keys(parameters).length > 0 ? JSON.stringify(parameters) : null,
    own_expires_at: isOrdinary ? null : expires_at,
    due_at: delay_seconds > 0 ? created_ms + delay_seconds * 1000 : null,
    idempotency_key: idempotency?.key ?? null,
    fingerprint: idempotency?.fingerprint ?? null,
  }).filter(([, value]) => value !== null);
  const names = columns.map(([name]) => name).join(', ');
  const values = columns.map((_, index) => `?${index + 1}`).join(', ');
  return {
    sql: `INSERT INTO tasks (${names}) VALUES (${values})${idempotency ? UNLESS_KEY_IS_HELD : ''}`,
    parameters: columns.map(([, value]) => value),
  };
}

/**
 * The rows that a list looks at. Those that failed or were cancelled have an index; the status in its own terms lets
 * SQLite use it.
 *
 * @param {string | null} status
 */
function listWindow(status) {
  const indexed = status === 'failed' || status === 'cancelled' ? `AND status IN ('failed', 'cancelled') AND status = ?2` : '';
  return `SELECT ${SUMMARY}, error FROM tasks WHERE taskId < ?1 ${indexed} ORDER BY taskId DESC LIMIT ?3`;
}

/**
 * @param {Row} row
 * @returns {TaskSummary}
 */
function summary(row) {
  const { taskId, status, handler, run, attempts, max_retries, progress, error, started_at, finished_at, due_at, expires_at } = row;
  return {
    taskId, status, handler, run, attempts, max_retries,
    progress: JSON.parse(progress ?? 'null'),
    error: JSON.parse(error ?? 'null'),
    created_ms: creationTime(taskId),
    started_ms: started_at,
    finished_ms: finished_at,
    next_attempt_ms: status === 'pending' ? due_at : null,
    expires_ms: expires_at * 1000,
  };
}

/**
 * @param {TaskSummary} task
 * @returns {TaskSummary} as a list shows it
 */
function shortened(task) {
  const { error } = task;
  return { ...task, error: error && { ...error, message: error.message.slice(0, LISTED_ERROR_LENGTH) } };
}

/** @param {Row[]} rows */
function ids(rows) {
  return new Set(rows.map((row) => String(row['taskId'])));
}

/** @param {number} time_ms */
function seconds(time_ms) {
  return Math.floor(time_ms / 1000);
}

/**
 * @param {string[]} items JSON texts
 * @returns {string[]} JSON arrays that hold them, in order, as few as can be of bounded length
 */
function jsonArrays(items) {
  /** @type {string[][]} */
  const groups = [];
  let length = Infinity;
  for (const item of items) {
    if (length + item.length > PARAMETER_LENGTH) {
      groups.push([]);
      length = 0;
    }
    groups.at(-1)?.push(item);
    length += item.length;
  }
  return groups.map((group) => `[${group}]`);
}
