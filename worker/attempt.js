/** One attempt at a task: its handler's run, and what becomes of the task. */

import { describeError } from './task.js';

/** @import { ClaimedTask, Handler, Outcome } from './task.js' */

/**
 * @param {Handler} handler
 * @param {ClaimedTask} task
 * @param {boolean} isLast whether the task fails when this attempt does
 * @returns {Promise<Outcome>} never rejects: what the handler throws is the outcome's error
 */
export async function attempt(handler, { taskId, payload, attempts }, isLast) {
  try {
    const result = await handler(payload);
    return { taskId, status: 'completed', result: JSON.stringify(result ?? null) };
  } catch (thrown) {
    const error = describeError(thrown);
    const status = isLast ? 'failed' : 'pending';
    console.error('attempt failed', { taskId, attempts, status, error: error.name });
    return { taskId, status, error };
  }
}
