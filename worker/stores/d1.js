/**
 * Task state in D1. All tasks of a batch move in one conditional UPDATE, given as one JSON parameter (a statement takes
 * at most 100 parameters, https://developers.cloudflare.com/d1/platform/limits/).
 */

import { LEASE_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { timePrefix } from '../task_id.js';

/** @import { ClaimedTask, Outcome, Payload, TaskError, TaskRecord } from '../task.js' */
/** @import { Delivery, OpenTask, Store } from './store.js' */

/** How many rows one sweep reads, and how many it deletes: bounds its cost. */
const SWEEP_ROWS = 10_000;
const EXPIRE_ROWS = 1_000;

/** How many open tasks one sweep returns. */
const SWEEP_TASKS = 100;

/** Longest JSON parameter: a D1 value may have 2 MB, and a character up to 3 bytes. */
const PARAMETER_LENGTH = 600_000;

const INSERT = `INSERT INTO tasks (taskId, status, payload, expires_at) VALUES (?1, 'pending', ?2, ?3)`;

const FIND = 'SELECT status, attempts, result, error FROM tasks WHERE taskId = ?1';

const CLAIM = `
  UPDATE tasks SET status = 'processing', attempts = tasks.attempts + 1, lease_expires_at = ?2
  FROM json_each(?1) AS delivery
  WHERE taskId = delivery.value ->> 'taskId' AND (status = 'pending'
    OR (status = 'processing' AND (lease_expires_at <= ?3 OR delivery.value ->> 'attempts' > 1)))
  RETURNING taskId, payload, attempts`;

const EXISTING = `SELECT taskId FROM tasks WHERE taskId IN (SELECT value FROM json_each(?1))`;

const SETTLE = `
  UPDATE tasks SET status = outcome.value ->> 'status', result = outcome.value ->> 'result',
    error = outcome.value ->> 'error', lease_expires_at = NULL
  FROM json_each(?1) AS outcome
  WHERE taskId = outcome.value ->> 'taskId' AND status = 'processing'`;

const ABANDON = `
  UPDATE tasks SET status = 'failed', error = ?2, lease_expires_at = NULL
  WHERE taskId IN (SELECT value FROM json_each(?1))
    AND (status = 'pending' OR (status = 'processing' AND lease_expires_at <= ?3))`;

const MARK_SENT = `UPDATE tasks SET sent_at = ?2 WHERE taskId IN (SELECT value FROM json_each(?1))`;

const EXPIRE = `
  DELETE FROM tasks WHERE taskId IN
    (SELECT taskId FROM tasks WHERE taskId < ?1 AND expires_at <= ?2 ORDER BY taskId LIMIT ${EXPIRE_ROWS})`;

/** The rows of one sweep: those after the cursor and old enough, oldest first. */
const SWEEP_WINDOW = `
  WITH swept AS (SELECT taskId, status, attempts, sent_at, lease_expires_at FROM tasks
    WHERE taskId > (SELECT cursor FROM sweep_progress) AND taskId < ?1 ORDER BY taskId LIMIT ${SWEEP_ROWS})`;

const SWEEP_OPEN = `${SWEEP_WINDOW}
  SELECT taskId, attempts, sent_at AS sent_at_ms FROM swept
  WHERE status = 'pending' OR (status = 'processing' AND lease_expires_at <= ?2) ORDER BY taskId LIMIT ${SWEEP_TASKS}`;

/** The sweep goes on after the rows it has seen. Once it has seen all, the next round starts at the oldest task that
 * was still open, so that the finished ones before it are never read again. */
const SWEEP_ADVANCE = `${SWEEP_WINDOW}, seen AS (SELECT count(*) AS rows, max(taskId) AS last,
    min(CASE WHEN status IN ('pending', 'processing') THEN taskId END) AS open FROM swept)
  UPDATE sweep_progress SET
    cursor = CASE WHEN seen.rows = ${SWEEP_ROWS} THEN seen.last
      ELSE coalesce(substr(coalesce(first_open, seen.open), 1, ${timePrefix(0).length}), seen.last, cursor) END,
    first_open = CASE WHEN seen.rows = ${SWEEP_ROWS} THEN coalesce(first_open, seen.open) END
  FROM seen`;

/** @implements {Store} */
export class D1Store {
  settling_seconds = 0;

  /** @param {{DB: D1Database}} env */
  constructor(env) {
    this.db = env.DB;
  }

  /**
   * @param {string} taskId
   * @param {Payload} payload
   */
  async insert(taskId, payload) {
    const expires_at = Math.floor(Date.now() / 1000) + TASK_TTL_SECONDS;
    await this.db.prepare(INSERT).bind(taskId, payload, expires_at).run();
  }

  /**
   * @param {string} taskId
   * @returns {Promise<TaskRecord | null>}
   */
  async find(taskId) {
    const row = await this.db.prepare(FIND).bind(taskId).first();
    if (!row) return null;
    const { status, attempts, result, error } = /** @type {TaskRecord & {error: string | null}} */ (row);
    return { status, attempts, result, error: error && JSON.parse(error) };
  }

  /**
   * @param {Delivery[]} deliveries one for each task
   * @returns {Promise<ClaimedTask[]>}
   */
  async claim(deliveries) {
    const now_ms = Date.now();
    const { results } = await this.db.prepare(CLAIM)
      .bind(JSON.stringify(deliveries), now_ms + LEASE_SECONDS * 1000, now_ms).all();
    return results.map((row) => {
      const { taskId, payload, attempts } = /** @type {{taskId: string, payload: string | number[], attempts: number}} */ (row);
      return { taskId, attempts, payload: typeof payload === 'string' ? payload : Uint8Array.from(payload) };
    });
  }

  /**
   * @param {string[]} taskIds
   * @returns {Promise<Set<string>>} those that exist, in whatever state
   */
  async existing(taskIds) {
    const { results } = await this.db.prepare(EXISTING).bind(JSON.stringify(taskIds)).all();
    return new Set(results.map((row) => String(row['taskId'])));
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    const rows = outcomes.map((outcome) => JSON.stringify('error' in outcome ? { ...outcome, error: JSON.stringify(outcome.error) } : outcome));
    const statements = jsonArrays(rows).map((array) => this.db.prepare(SETTLE).bind(array));
    if (statements.length === 1) await statements[0]?.run();
    else await this.db.batch(statements);
  }

  /**
   * @param {number} before_ms only tasks created before this Unix time, of those not yet swept in this round
   * @returns {Promise<OpenTask[]>} at most {@link SWEEP_TASKS}, oldest first
   */
  async sweep(before_ms) {
    const frontier = timePrefix(before_ms);
    const [open] = await this.db.batch([
      this.db.prepare(SWEEP_OPEN).bind(frontier, Date.now()),
      this.db.prepare(SWEEP_ADVANCE).bind(frontier),
    ]);
    return /** @type {OpenTask[]} */ (open?.results ?? []);
  }

  /** @param {string[]} taskIds */
  async markSent(taskIds) {
    await this.db.prepare(MARK_SENT).bind(JSON.stringify(taskIds), Date.now()).run();
  }

  /**
   * @param {string[]} taskIds
   * @param {TaskError} error
   */
  async abandon(taskIds, error) {
    await this.db.prepare(ABANDON).bind(JSON.stringify(taskIds), JSON.stringify(error), Date.now()).run();
  }

  /** @returns {Promise<number>} how many, at most {@link EXPIRE_ROWS}, the oldest first */
  async expire() {
    const now_ms = Date.now();
    const { meta } = await this.db.prepare(EXPIRE)
      .bind(timePrefix(now_ms - TASK_TTL_SECONDS * 1000), Math.floor(now_ms / 1000)).run();
    return meta.changes;
  }
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
