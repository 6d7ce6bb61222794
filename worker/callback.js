/**
 * Callbacks: when a task ends, a separate task of the handler `http` calls a URL. The write that ends the task also creates the callback's task. So a
 * callback is retried and leaves a dead letter like any other task. It has no callback itself.
 */

import { withPriority } from './priority.js';
import { ENDED } from './task.js';
import { timePrefix } from './task_id.js';

/** @import { Submission } from './engines/engine.js' */
/** @import { OwnPriority } from './priority.js' */
/** @import { Status, TaskError } from './task.js' */

/** The ends of a task that can call back. @typedef {'completed' | 'failed' | 'cancelled'} End */

/** A callback: its URL, and the ends that call it. @typedef {{url: string, on: End[]}} Callback */

/** An ended task as its row or key stores it. `result` is JSON text.
 *
 * @typedef {{taskId: string, status: Status, handler: string, run: number, attempts: number, result: string | null, error: TaskError | null,
 *   finished_ms: number}} EndedTask
 */

/** @type {readonly End[]} */
export const ENDS = /** @type {End[]} */ ([...ENDED]);

/** The handler that delivers a callback. */
export const CALLBACK_HANDLER = 'http';

/** The first digit of the fourth group of an id, and its replacement in the id of the callback. So no id is that of its own callback. */
const OTHER_VARIANT = /** @type {Record<string, string>} */ ({ 8: '9', 9: '8', a: 'b', b: 'a' });

/** How many runs have different ids: three hexadecimal digits. The time distinguishes further runs. */
const RUN_MASK = 0xfff;

/**
 * The id of a callback is computed from its task's id, the run and the time of its end, so that creating it again is idempotent. It ends like its
 * task's id, and so is in the same shard. `stores/callback_table.js` computes the same in SQL.
 *
 * @param {{taskId: string, run: number, finished_ms: number}} ended
 */
export function callbackTaskId({ taskId, run, finished_ms }) {
  const runDigits = (run & RUN_MASK).toString(16).padStart(3, '0');
  return `${timePrefix(finished_ms)}-7${runDigits}-${OTHER_VARIANT[taskId.charAt(19)] ?? '8'}${taskId.slice(20)}`;
}

/**
 * @param {Callback | null | undefined} callback
 * @param {Status} status
 * @returns {callback is Callback}
 */
export function tellsOf(callback, status) {
  return callback?.on.some((end) => end === status) ?? false;
}

/**
 * @param {EndedTask} task
 * @returns {string} the callback's body in the form of Standard Webhooks (https://www.standardwebhooks.com/). The result is copied as the stored
 *   text: it may be nested too deeply to be parsed and written again
 */
export function callbackBody({ taskId, status, handler, run, attempts, result, error, finished_ms }) {
  const data = JSON.stringify({ taskId, status, handler, run, attempts }).slice(0, -1);
  const timestamp = new Date(finished_ms).toISOString();
  return `{"type":"task.${status}","timestamp":"${timestamp}","data":${data},"result":${result ?? 'null'},"error":${JSON.stringify(error)}}}`;
}

/**
 * @param {{taskId: string, status: Status, run: number, finished_ms: number | null, callback?: Callback | null, priority?: OwnPriority | null}} task
 *   an ended task
 * @returns {Submission[]} the first run of its callback, with the task's priority; empty if it has no callback to make
 */
export function callbackRuns({ taskId, status, run, finished_ms, callback, priority }) {
  if (finished_ms === null || !tellsOf(callback, status)) return [];
  return [{ taskId: callbackTaskId({ taskId, run, finished_ms }), run: 1, delay_seconds: 0, max_retries: null, ...withPriority(priority) }];
}
