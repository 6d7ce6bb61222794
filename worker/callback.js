/**
 * Callbacks: that a task has ended is told to a URL by a task of its own, of the handler `http`, which the write that ends the task
 * makes as well. So it is retried and leaves a dead letter as any other, and makes no callback itself.
 */

import { withPriority } from './priority.js';
import { ENDED } from './task.js';
import { timePrefix } from './task_id.js';

/** @import { Submission } from './engines/engine.js' */
/** @import { OwnPriority } from './priority.js' */
/** @import { Status, TaskError } from './task.js' */

/** The ends that can be told. @typedef {'completed' | 'failed' | 'cancelled'} End */

/** Where it is told, and which ends. @typedef {{url: string, on: End[]}} Callback */

/** What a table or a key has of a task that has ended. `result` is JSON text.
 *
 * @typedef {{taskId: string, status: Status, handler: string, run: number, attempts: number, result: string | null, error: TaskError | null,
 *   finished_ms: number}} EndedTask
 */

/** @type {readonly End[]} */
export const ENDS = /** @type {End[]} */ ([...ENDED]);

/** What carries a callback. */
export const CALLBACK_HANDLER = 'http';

/** The first digit of the fourth group of an id, and what stands there in that of its callback: no id is its own callback's. */
const OTHER_VARIANT = /** @type {Record<string, string>} */ ({ 8: '9', 9: '8', a: 'b', b: 'a' });

/** How many runs have ids of their own: three hexadecimal digits. The time tells the others apart. */
const RUN_MASK = 0xfff;

/**
 * The id of a callback follows from its task's, from the run and from when that ended: who makes it again finds it there. It ends as
 * its task's does, and so has the same shard. `stores/callback_table.js` says the same in SQL.
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
 * @returns {string} what is told, as Standard Webhooks has it (https://www.standardwebhooks.com/). The result goes as the text that it
 *   is kept as: it may be nested deeper than can be read and written
 */
export function callbackBody({ taskId, status, handler, run, attempts, result, error, finished_ms }) {
  const data = JSON.stringify({ taskId, status, handler, run, attempts }).slice(0, -1);
  const timestamp = new Date(finished_ms).toISOString();
  return `{"type":"task.${status}","timestamp":"${timestamp}","data":${data},"result":${result ?? 'null'},"error":${JSON.stringify(error)}}}`;
}

/**
 * @param {{taskId: string, status: Status, run: number, finished_ms: number | null, callback?: Callback | null,
 *   priority?: OwnPriority | null}} task that has ended
 * @returns {Submission[]} the first run of its callback, which has its priority, where it has one to make
 */
export function callbackRuns({ taskId, status, run, finished_ms, callback, priority }) {
  if (finished_ms === null || !tellsOf(callback, status)) return [];
  return [{ taskId: callbackTaskId({ taskId, run, finished_ms }), run: 1, delay_seconds: 0, max_retries: null, ...withPriority(priority) }];
}
