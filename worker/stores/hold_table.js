/**
 * Held tasks in a table of tasks: pending tasks that must not be attempted until they are released. A held task is due at the latest possible time,
 * so that no claim and no sweep finds it due, and it does not expire. Its column `hold` stores what counts from its release. If it ends while it is
 * held, the trigger `end_hold` handles it, see `migrations/`.
 */

import { withPriority } from '../priority.js';
import { HELD_UNTIL_MS, TASK_TTL_SECONDS } from '../task.js';

/** @import { Submission } from '../engines/engine.js' */
/** @import { NewTask } from '../task.js' */
/** @import { Row } from './task_table.js' */

/** The same as `isHeld`. */
export const IS_HELD = (/** @type {string} */ task) => `(${task}.status = 'pending' AND ${task}.due_at >= ${HELD_UNTIL_MS})`;

/**
 * The columns of a task that is stored as held.
 *
 * @param {Pick<NewTask, 'delay_seconds' | 'ttl_seconds'>} task
 */
export function heldColumns({ delay_seconds, ttl_seconds }) {
  const expires_at = HELD_UNTIL_MS / 1000;
  return { due_at: HELD_UNTIL_MS, expires_at, own_expires_at: expires_at, hold: JSON.stringify({ delay_seconds, ttl_seconds }) };
}

/**
 * Makes held tasks due, each after its own delay, and starts their time to live: ?2 is now, in milliseconds. It must run in the transaction that ends
 * what they waited for. A task that is not held is left unchanged.
 *
 * @param {string} ids SQL that returns the ids of the tasks
 */
export const RELEASE = (ids) => {
  const due_at = "?2 + coalesce(hold ->> 'delay_seconds', 0) * 1000";
  const expires_at = `(${due_at}) / 1000 + coalesce(hold ->> 'ttl_seconds', ${TASK_TTL_SECONDS})`;
  return `
    UPDATE tasks SET due_at = ${due_at}, expires_at = ${expires_at}, own_expires_at = ${expires_at}, hold = NULL, waits_for = NULL
    WHERE taskId IN (${ids}) AND ${IS_HELD('tasks')}
    RETURNING taskId, run, max_retries, due_at, priority`;
};

/**
 * @param {Row[]} rows rows of `RELEASE`
 * @param {number} now_ms the ?2 of the statement
 * @returns {Submission[]} the runs to submit
 */
export function releasedRuns(rows, now_ms) {
  return rows.map(({ taskId, run, max_retries, due_at, priority }) => (
    { taskId, run, max_retries, delay_seconds: Math.ceil((due_at - now_ms) / 1000), ...withPriority(priority) }
  ));
}
