/** Attempts at tasks: their handlers' runs, and what becomes of the tasks. */

import { retryDelaySeconds } from './backoff.js';
import { contextOf } from './context.js';
import { Ending } from './ending.js';
import { MAX_TIMEOUT_SECONDS, PermanentError } from './handler.js';
import { Heartbeat, Running } from './heartbeat.js';
import { describeError, MAX_RESULT_BYTES } from './task.js';

/** @import { Handlers } from './handler.js' */
/** @import { Store } from './stores/store.js' */
/** @import { ClaimedTask, Outcome } from './task.js' */

/** @typedef {{store: Store, handlers: Handlers, env: any}} Parts */

/** How long those that have ended wait for the others of their batch at first, so that a quick batch is written at once;
 * each further wave waits three times as long, so that there are few: seven in {@link MAX_TIMEOUT_SECONDS}. */
const FIRST_WAVE_MS = 2_000;
const WAVE_GROWTH = 3;

const ENCODER = new TextEncoder();

/** The error of a task whose last attempt was begun, and whose Worker was lost with it. */
export const ATTEMPTS_SPENT = { name: 'AttemptsSpent', message: 'the last attempt that it may have did not end' };

/**
 * Attempts tasks at the same time, each on its own.
 *
 * @param {Parts} parts
 * @param {ClaimedTask[]} tasks
 * @returns {AsyncGenerator<Outcome[]>} waves of those that have ended, so that a slow task does not hold back the quick ones;
 *   in the order of the tasks within each. Never rejects: what a handler throws is the outcome's error
 */
export async function* attemptInWaves(parts, tasks) {
  const heartbeat = new Heartbeat(parts.store);
  /** @type {Map<ClaimedTask, Outcome>} */
  const ended = new Map();
  const running = new Set(tasks);
  const all = Promise.all(tasks.map(async (task) => ended.set(task, await attempt(parts, task, heartbeat))));
  for (let wave_ms = FIRST_WAVE_MS; running.size > 0; wave_ms *= WAVE_GROWTH) {
    await withinMilliseconds(wave_ms, all);
    await heartbeat.settled();
    const wave = [...running].filter((task) => ended.has(task));
    for (const task of wave) running.delete(task);
    if (wave.length > 0) yield wave.map((task) => /** @type {Outcome} */ (ended.get(task)));
  }
}

/**
 * Waits for something, but no longer than that.
 *
 * @param {number} time_ms
 * @param {Promise<unknown>} promise
 */
async function withinMilliseconds(time_ms, promise) {
  const timeIsUp = Promise.withResolvers();
  const timer = setTimeout(timeIsUp.resolve, time_ms);
  await Promise.race([promise, timeIsUp.promise]);
  clearTimeout(timer);
}

/**
 * @param {Pick<ClaimedTask, 'max_retries'>} task
 * @param {{MAX_RETRIES: string}} env
 * @returns {number} most retries of the task: its own, else the stack's
 */
export function maxRetries({ max_retries }, env) {
  return max_retries ?? Number(env.MAX_RETRIES);
}

/**
 * @param {Parts} parts
 * @param {ClaimedTask} task
 * @param {Heartbeat} heartbeat
 * @returns {Promise<Outcome>}
 */
async function attempt({ handlers, env }, task, heartbeat) {
  const ending = new Ending();
  let hasLostTask = false;
  const running = new Running(task, (reason) => {
    hasLostTask = true;
    ending.come(reason);
  });
  heartbeat.add(running);
  try {
    if (task.attempts > maxRetries(task, env) + 1) throw Object.assign(new Error(), ATTEMPTS_SPENT);
    const { default: handle, timeout_seconds = MAX_TIMEOUT_SECONDS } = find(handlers, task.handler);
    const context = contextOf(task, env, ending, (progress) => heartbeat.tell(running, progress));
    const result = await ending.limit(timeout_seconds, () => handle(task.payload, context));
    return { ...running.name, progress: running.progress, status: 'completed', result: toJson(result) };
  } catch (thrown) {
    return { ...running.name, progress: running.progress, ...failure(task, env, thrown, hasLostTask) };
  } finally {
    heartbeat.remove(running);
  }
}

/**
 * @param {Handlers} handlers
 * @param {string} name
 * @throws {PermanentError} the handler is gone since the task was submitted
 */
function find(handlers, name) {
  const module = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (!module) throw Object.assign(new PermanentError(`there is no handler ${name} any more`), { name: 'UnknownHandler' });
  return module;
}

/**
 * What becomes of a task whose attempt failed. Only the error's name is logged: its message may hold the payload.
 *
 * @param {ClaimedTask} task
 * @param {any} env
 * @param {unknown} thrown
 * @param {boolean} hasLostTask an attempt that has lost its task is not its last: what became of it is not for this one to say
 */
function failure({ taskId, handler, attempts, max_retries }, env, thrown, hasLostTask) {
  const error = describeError(thrown);
  const isLast = !hasLostTask && (attempts > maxRetries({ max_retries }, env) || isPermanent(thrown));
  if (hasLostTask) console.warn('attempt stopped', { taskId, handler, attempts, reason: error.name });
  else console.error('attempt failed', { taskId, handler, attempts, status: isLast ? 'failed' : 'pending', error: error.name });
  if (isLast) return { status: /** @type {const} */ ('failed'), error };
  return { status: /** @type {const} */ ('pending'), error, next_attempt_ms: Date.now() + retryDelaySeconds(attempts, env) * 1000 };
}

/** @param {unknown} thrown */
function isPermanent(thrown) {
  try {
    return /** @type {{permanent?: unknown} | null | undefined} */ (thrown)?.permanent === true;
  } catch {
    return false;
  }
}

/**
 * @param {unknown} result what a handler returned
 * @throws {RangeError} it is longer than a result may be
 * @throws {TypeError} JSON cannot hold it
 */
function toJson(result) {
  const json = JSON.stringify(result ?? null) ?? 'null';
  const length = ENCODER.encode(json).byteLength;
  if (length > MAX_RESULT_BYTES) throw new RangeError(`expected a result of at most ${MAX_RESULT_BYTES} bytes as JSON, got ${length}`);
  return json;
}
