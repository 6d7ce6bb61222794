/** One attempt at a task: its handler's run, and what becomes of the task. */

import { describeError, MAX_RESULT_BYTES } from './task.js';

/** @import { ClaimedTask, Handler, Outcome } from './task.js' */

/**
 * @param {Handler} handler
 * @param {ClaimedTask} task
 * @param {boolean} isLast whether the task fails when this attempt does
 * @returns {Promise<Outcome>} never rejects: what the handler throws is the outcome's error
 */
export async function attempt(handler, { taskId, payload, attempts }, isLast) {
  try {
    return { taskId, status: 'completed', result: toJson(await handler(payload)) };
  } catch (thrown) {
    const error = describeError(thrown);
    const status = isLast ? 'failed' : 'pending';
    console.error('attempt failed', { taskId, attempts, status, error: error.name });
    return { taskId, status, error };
  }
}

/**
 * @param {unknown} result what a handler returned
 * @throws {RangeError} it is longer than a result may be
 * @throws {TypeError} JSON cannot hold it
 */
function toJson(result) {
  const json = JSON.stringify(result ?? null) ?? 'null';
  const length = new TextEncoder().encode(json).byteLength;
  if (length > MAX_RESULT_BYTES) throw new RangeError(`expected a result of at most ${MAX_RESULT_BYTES} bytes as JSON, got ${length}`);
  return json;
}
