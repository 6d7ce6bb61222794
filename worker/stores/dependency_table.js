/** Tasks that start after others, in a table of tasks: the SQL counterpart of `dependencies.js`. */

import { dependencyError } from '../dependencies.js';
import { RELEASE } from './hold_table.js';

/** @import { LinkEnd } from '../dependencies.js' */

/** How many waiting tasks are handled at once, and how many links between tasks one sweep checks. It is more than one task has. Each link costs a row
 * here and one of the task that is waited for. */
export const TOLD_TASKS = 200;
export const SWEPT_LINKS = 1_000;

export const STATUSES_OF = 'SELECT taskId, status FROM tasks WHERE taskId IN (SELECT value FROM json_each(?1)) AND expires_at > ?2';

/** The tasks of ?1, a JSON array of ids, that have not expired by ?2; results of at most ?3 bytes in total, in that order. */
export const RESULTS = `
  SELECT taskId, status, handler, run, max_retries, error, length, CASE WHEN total <= ?3 THEN result END AS result FROM (
    SELECT taskId, status, handler, run, max_retries, error, result, coalesce(octet_length(result), 0) AS length, sum(coalesce(octet_length(result), 0)) OVER (ORDER BY asked.key) AS total
    FROM json_each(?1) AS asked JOIN tasks ON taskId = asked.value WHERE expires_at > ?2)`;

/** Tasks that have not ended remember who waits for them: ?1 is a JSON array of links. */
export const MARK_AWAITED = `
  UPDATE tasks SET is_awaited = 1
  WHERE taskId IN (SELECT value ->> 'awaited' FROM json_each(?1)) AND is_awaited IS NULL AND status IN ('pending', 'processing')`;
export const KEEP_DEPENDENTS = `
  INSERT INTO dependents (awaited, taskId)
  SELECT tasks.taskId, link.value ->> 'taskId' FROM json_each(?1) AS link JOIN tasks ON tasks.taskId = link.value ->> 'awaited'
  WHERE status IN ('pending', 'processing')
  ON CONFLICT DO NOTHING`;

export const DEPENDENTS = `
  SELECT awaited, taskId FROM dependents WHERE awaited IN (SELECT value FROM json_each(?1)) AND (awaited, taskId) > (?2, ?3)
  ORDER BY awaited, taskId LIMIT ${TOLD_TASKS}`;

/** Cancels tasks that were to start only if all others completed: ?1 is a JSON array of their errors, ?2 now in milliseconds. The trigger `end_hold`
 * does the rest. */
export const CANCEL_WAITING = (/** @type {string} */ returned) => `
  UPDATE tasks SET status = 'cancelled', finished_at = ?2, due_at = NULL, error = told.value ->> 'error' FROM json_each(?1) AS told
  WHERE taskId = told.value ->> 'taskId' AND told.value ->> 'error' IS NOT NULL
    AND waits_for IS NOT NULL AND status = 'pending' AND starts_after ->> 'startWhen' = 'completed'
  RETURNING ${returned}`;

export const TELL_WAITING = `
  UPDATE tasks SET waits_for = (
    SELECT json_group_array(value) FROM json_each(tasks.waits_for) WHERE value NOT IN (SELECT value FROM json_each(told.value, '$.ended')))
  FROM json_each(?1) AS told WHERE taskId = told.value ->> 'taskId' AND waits_for IS NOT NULL`;

export const RELEASE_TOLD = RELEASE("SELECT taskId FROM tasks WHERE taskId IN (SELECT value ->> 'taskId' FROM json_each(?1)) AND waits_for = '[]'");

/** The links of the next waiting tasks, from where the last sweep stopped. Without its index it would read all other tasks too. */
export const WAITING = `
  SELECT tasks.taskId, link.value AS awaited FROM tasks INDEXED BY tasks_waiting JOIN json_each(tasks.waits_for) AS link
  WHERE waits_for IS NOT NULL AND tasks.taskId > (SELECT waiting_cursor FROM sweep_progress) ORDER BY tasks.taskId LIMIT ${SWEPT_LINKS}`;
export const WAITING_POSITION = 'SELECT waiting_cursor FROM sweep_progress';
export const WAITING_ADVANCE = 'UPDATE sweep_progress SET waiting_cursor = ?1';

/**
 * @param {LinkEnd[]} ends
 * @returns {{taskId: string, ended: string[], error: string | null}[]} what each waiting task is told
 */
export function toldOf(ends) {
  return [...Map.groupBy(ends, ({ taskId }) => taskId)].map(([taskId, own]) => {
    const error = own.map(dependencyError).find((each) => each !== null);
    return { taskId, ended: own.map(({ awaited }) => awaited), error: error ? JSON.stringify(error) : null };
  });
}
