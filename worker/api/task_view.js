/** A task as the API shows it: JSON with ISO 8601 times. */

/** @import { TaskRecord, TaskSummary } from '../task.js' */
/** @import { Environment } from './call.js' */

/**
 * @param {TaskRecord} task
 * @param {Environment} env
 */
export function taskView({ result, ...summary }, env) {
  const { error, ...view } = summaryView(summary, env);
  return { ...view, result: JSON.parse(result ?? 'null'), error };
}

/**
 * A task in a list, which has everything but the result.
 *
 * @param {TaskSummary} task
 * @param {Environment} env
 */
export function summaryView(task, { MAX_RETRIES }) {
  const { taskId, status, handler, run, attempts, progress, error } = task;
  return {
    taskId,
    status,
    handler,
    run,
    attempts,
    maxRetries: task.max_retries ?? Number(MAX_RETRIES),
    progress,
    error,
    createdAt: isoTime(task.created_ms),
    startedAt: isoTime(task.started_ms),
    finishedAt: isoTime(task.finished_ms),
    nextAttemptAt: isoTime(task.next_attempt_ms),
    expiresAt: isoTime(task.expires_ms),
  };
}

/** @param {number | null} time_ms */
export function isoTime(time_ms) {
  return time_ms === null ? null : new Date(time_ms).toISOString();
}
