/** Attempts at tasks: their handlers' runs, and what becomes of the tasks. */

import { retryDelaySeconds } from './backoff.js';
import { MAX_TIMEOUT_SECONDS, PermanentError } from './handler.js';
import { Heartbeat } from './heartbeat.js';
import { describeError, MAX_RESULT_BYTES } from './task.js';

/** @import { Context, HandlerModule, Handlers } from './handler.js' */
/** @import { Running } from './heartbeat.js' */
/** @import { Store } from './stores/store.js' */
/** @import { ClaimedTask, Outcome, Progress } from './task.js' */

/** @typedef {{store: Store, handlers: Handlers, env: any}} Parts */

/** Longest note of a progress, in UTF-16 code units. */
const MAX_NOTE_LENGTH = 200;

/**
 * Attempts tasks at the same time, each on its own.
 *
 * @param {Parts} parts
 * @param {ClaimedTask[]} tasks
 * @returns {Promise<Outcome[]>} in their order; never rejects: what a handler throws is the outcome's error
 */
export function attemptAll({ store, handlers, env }, tasks) {
  const heartbeat = new Heartbeat(store);
  return Promise.all(tasks.map((task) => attempt(task, handlers[task.handler], env, heartbeat)));
}

/**
 * @param {Pick<ClaimedTask, 'max_retries'>} task
 * @param {{MAX_RETRIES: string}} env
 * @returns {number} its own, or else the stack's
 */
export function maxRetries({ max_retries }, env) {
  return max_retries ?? Number(env.MAX_RETRIES);
}

/**
 * @param {ClaimedTask} task
 * @param {HandlerModule | undefined} module
 * @param {any} env
 * @param {Heartbeat} heartbeat
 * @returns {Promise<Outcome>}
 */
async function attempt(task, module, env, heartbeat) {
  const { taskId, run, attempts, handler } = task;
  const controller = new AbortController();
  /** @type {Progress | null} */
  let progress = null;
  /** @type {Running} */
  const running = { taskId, run, attempts, news: null, abort: (reason) => controller.abort(reason) };
  const context = contextOf(task, env, controller.signal, (told) => {
    progress = told;
    running.news = told;
  });
  heartbeat.add(running);
  try {
    if (!module) throw Object.assign(new PermanentError(`there is no handler ${handler}`), { name: 'UnknownHandler' });
    const result = toJson(await withinTime(module, controller, () => module.default(task.payload, context)));
    return { taskId, run, attempts, progress, status: 'completed', result };
  } catch (thrown) {
    const error = describeError(thrown);
    const isFinal = attempts > maxRetries(task, env) || isPermanent(thrown);
    console.error('attempt failed', { taskId, handler, attempts, status: isFinal ? 'failed' : 'pending', error: error.name });
    if (isFinal) return { taskId, run, attempts, progress, status: 'failed', error };
    return { taskId, run, attempts, progress, status: 'pending', error, next_attempt_ms: Date.now() + retryDelaySeconds(attempts, env) * 1000 };
  } finally {
    heartbeat.remove(running);
  }
}

/** @param {unknown} thrown */
function isPermanent(thrown) {
  return thrown instanceof Error && 'permanent' in thrown && thrown.permanent === true;
}

/**
 * @param {ClaimedTask} task
 * @param {any} env
 * @param {AbortSignal} signal
 * @param {(progress: Progress) => void} tell
 * @returns {Context}
 */
function contextOf({ taskId, handler, attempts, parameters }, env, signal, tell) {
  const { API_TOKENS: _, ...bindings } = env;
  const named = { taskId, handler, attempt: attempts };
  /** @param {'debug' | 'info' | 'warn' | 'error'} level */
  const log = (level) => (/** @type {string} */ message, /** @type {Record<string, unknown>} */ fields = {}) => {
    console[level](message, { ...named, ...fields });
  };
  return {
    taskId, attempt: attempts, signal, parameters, bindings: Object.freeze(bindings),
    progress: (percent, note) => tell(checkedProgress(percent, note)),
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
  };
}

/**
 * @param {unknown} percent
 * @param {unknown} note
 * @returns {Progress}
 * @throws {RangeError} they are none
 */
function checkedProgress(percent, note = null) {
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) throw new RangeError(`expected a percentage from 0 to 100, got ${percent}`);
  if (note !== null && (typeof note !== 'string' || note.length > MAX_NOTE_LENGTH)) {
    throw new RangeError(`expected a note of at most ${MAX_NOTE_LENGTH} characters`);
  }
  return { percent, note };
}

/**
 * Ends with the work, or when its time is up or its signal aborted, whether or not the handler heeds it.
 *
 * @param {HandlerModule} module
 * @param {AbortController} controller
 * @param {() => unknown} work
 */
async function withinTime({ timeout_seconds = MAX_TIMEOUT_SECONDS }, controller, work) {
  const { signal } = controller;
  const timer = setTimeout(() => {
    controller.abort(new DOMException(`the handler took longer than ${timeout_seconds} seconds`, 'TimeoutError'));
  }, timeout_seconds * 1000);
  const aborted = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    clearTimeout(timer);
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
