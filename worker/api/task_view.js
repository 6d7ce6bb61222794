/** A task as the API shows it: JSON with ISO 8601 times. */

/** @import { TaskRecord, TaskSummary } from '../task.js' */
/** @import { Environment } from './call.js' */

/**
 * A task with its result, which goes as the text that it is kept as: it may be nested deeper than can be read and written.
 *
 * @param {TaskRecord} task
 * @param {Environment} env
 * @returns {string} JSON
 */
export function taskJson(task, env) {
  const head = JSON.stringify(state(task, env)).slice(0, -1);
  const tail = JSON.stringify({ error: task.error, ...times(task) }).slice(1);
  return `${head},"result":${task.result ?? 'null'},${tail}`;
}

/**
 * A task in a list, which has everything but the result.
 *
 * @param {TaskSummary} task
 * @param {Environment} env
 */
export function summaryView(task, env) {
  return { ...state(task, env), error: task.error, ...times(task) };
}

/**
 * @param {TaskSummary} task
 * @param {Environment} env
 */
function state({ taskId, status, handler, run, attempts, crashes, max_retries, progress }, env) {
  return { taskId, status, handler, run, attempts, crashes, maxRetries: max_retries ?? Number(env.MAX_RETRIES), progress };
}

/** @param {TaskSummary} task */
function times({ created_ms, started_ms, finished_ms, next_attempt_ms, expires_ms }) {
  return {
    createdAt: isoTime(created_ms),
    startedAt: isoTime(started_ms),
    finishedAt: isoTime(finished_ms),
    nextAttemptAt: isoTime(next_attempt_ms),
    expiresAt: isoTime(expires_ms),
  };
}

/** @param {number | null} time_ms */
export function isoTime(time_ms) {
  return time_ms === null ? null : new Date(time_ms).toISOString();
}
