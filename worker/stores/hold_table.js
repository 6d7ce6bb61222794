/**
 * Held tasks in a table of tasks: pending ones that nobody is to attempt before something releases them. Such a task is due as late as a
 * time can be, so that no claim and no sweep takes it for due, and it does not expire; its column `hold` has what counts from its
 * release. One that ends while it is held is seen to by the trigger `end_hold`, see `migrations/`.
 */

import { withPriority } from '../priority.js';
import { HELD_UNTIL_MS, TASK_TTL_SECONDS } from '../task.js';

/** @import { Submission } from '../engines/engine.js' */
/** @import { NewTask } from '../task.js' */
/** @import { Row } from './task_table.js' */

/** As `isHeld`. */
export const IS_HELD = (/** @type {string} */ task) => `(${task}.status = 'pending' AND ${task}.due_at >= ${HELD_UNTIL_MS})`;

/**
 * What a task has in its columns that is stored as a held one.
 *
 * @param {Pick<NewTask, 'delay_seconds' | 'ttl_seconds'>} task
 */
export function heldColumns({ delay_seconds, ttl_seconds }) {
  const expires_at = HELD_UNTIL_MS / 1000;
  return { due_at: HELD_UNTIL_MS, expires_at, own_expires_at: expires_at, hold: JSON.stringify({ delay_seconds, ttl_seconds }) };
}

/**
 * Makes held tasks due, each after its own delay, from when its time to live counts: ?2 is now, in milliseconds. To be run in the
 * transaction that ends what they waited for. A task that is not held is left as it is.
 *
 * @param {string} ids SQL that gives the ids of the tasks
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
 * @param {Row[]} rows that `RELEASE` gives
 * @param {number} now_ms its ?2
 * @returns {Submission[]} the runs to hand over
 */
export function releasedRuns(rows, now_ms) {
  return rows.map(({ taskId, run, max_retries, due_at, priority }) => (
    { taskId, run, max_retries, delay_seconds: Math.ceil((due_at - now_ms) / 1000), ...withPriority(priority) }
  ));
}
