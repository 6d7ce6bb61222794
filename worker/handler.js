/**
 * A module of `handlers/`: its default export does a task's work, under the module's name. The next `up` deploys a new module; there is no list to
 * edit. A module whose name begins with `_` is not a handler.
 */

import { ENDS } from './callback.js';
import { faultOfLimits } from './group.js';
import { PRIORITIES } from './priority.js';
import { MAX_DELAY_SECONDS } from './task.js';

/** @import { End } from './callback.js' */
/** @import { After, StartWhen } from './dependencies.js' */
/** @import { Parameters, Payload, Status, TaskError } from './task.js' */
/** @import { Limits } from './group.js' */
/** @import { Priority } from './priority.js' */

/** Writes to the Worker's log, with the task's id. Do not pass it a payload. @typedef {(message: string, fields?: Record<string, unknown>) => void} Log */

/**
 * The context of an attempt.
 *
 * @typedef {object} Context
 * @property {string} taskId
 * @property {number} attempt 1 for the first
 * @property {AbortSignal} signal aborted when the task is cancelled or the handler's time limit is reached: the result is no longer needed. A running
 *   attempt learns of a cancellation within 2 seconds at first, later within a fifth of its age, and at most a minute. With KV as the store it learns
 *   within 5 seconds at first, and up to a minute later than otherwise
 * @property {(percent: number, note?: string) => void} progress reports the progress, 0 to 100, with a note of up to 200 characters; the task shows
 *   it soon, however often it is called
 * @property {Readonly<Record<string, any>>} bindings the Worker's own bindings, except its API tokens
 * @property {Parameters} parameters the parameters of the submission that the module declares
 * @property {Step} step does a part of the work and stores its result, so that later attempts do not repeat it
 * @property {(name: string, seconds: number) => Promise<void>} sleep waits for up to a year; the handler is ended meanwhile, and called again
 * @property {(name: string, options?: {timeoutSeconds?: number}) => Promise<{name: string, payload: any, receivedAt: string}>} waitForEvent waits for
 *   `POST /task/:id/events/:name`, a day by default; when the time is up it throws an `EventTimeout`
 * @property {(task: SubmittedTask) => Promise<{taskId: string, status: string}>} submit submits another task; a later attempt that uses the same key
 *   gets the existing task
 * @property {After | null} after the tasks that this one starts after; null if there are none
 * @property {(taskIds?: string[]) => Promise<Dependency[]>} dependencies the outcomes of those tasks, or of some of them
 * @property {CallbackContext | null} callback for a callback: which task has ended; null for any other task
 * @property {{debug: Log, info: Log, warn: Log, error: Log}} log
 */

/**
 * The retries of a step. The default is five retries, after 10 seconds and then twice as long each time, and 600 seconds for each try.
 *
 * @typedef {{retries?: {limit?: number, delaySeconds?: number, backoff?: 'constant' | 'linear' | 'exponential'}, timeoutSeconds?: number}}
 *   StepOptions
 */

/**
 * A step. Its name is unique within the task. It returns what the work returned, as JSON, in this attempt or an earlier one.
 *
 * @typedef {{
 *   <Result>(name: string, work: (step: {attempt: number}) => Result | Promise<Result>): Promise<Result>,
 *   <Result>(name: string, options: StepOptions, work: (step: {attempt: number}) => Result | Promise<Result>): Promise<Result>,
 * }} Step
 */

/**
 * A task that a handler submits. The fields are those of a task of `POST /tasks`; `payload` may also be bytes. `key` identifies it within the
 * handler's task. The default key is its number in the order of submission.
 *
 * @typedef {{handler?: string, payload?: unknown, parameters?: Parameters, delaySeconds?: number, ttlSeconds?: number, maxRetries?: number,
 *   callbackUrl?: string, on?: End[], after?: string[], startWhen?: StartWhen, group?: string, tags?: Record<string, string>, priority?: Priority, key?: string}} SubmittedTask
 */

/**
 * The outcome of a task that another one starts after; `status` is null if it is no longer stored. `isLeftOut`: it has a result, but too long to be
 * read together with the others; {@link Context.dependencies} with its id returns it.
 *
 * @typedef {{taskId: string, status: Status | null, error: TaskError | null, result: any, isLeftOut: boolean}} Dependency
 */

/**
 * What a callback receives besides its payload.
 *
 * @typedef {object} CallbackContext
 * @property {string} parent the id of the task that has ended
 * @property {(payload: Payload) => Promise<Record<string, string>>} headers the headers of a request made now, with its signature
 */

/**
 * Does the work. It returns anything that JSON can hold, in at most 256 KiB; any other result fails the attempt. The error that it throws is stored
 * with the task, with its code, its causes and the errors of an `AggregateError`, in up to 1,000 characters. The next attempt follows; a
 * {@link RetryLater} can set its time. After a {@link PermanentError} there is none.
 *
 * @typedef {(payload: Payload, context: Context) => unknown} Handler
 */

/**
 * A module of `handlers/`.
 *
 * @typedef {object} HandlerModule
 * @property {Handler} default
 * @property {boolean} [steps] whether it has steps (`context.step`, `sleep`, `waitForEvent`): if so, they are read at each attempt
 * @property {number} [timeout_seconds] the time limit of an attempt; the default is {@link MAX_TIMEOUT_SECONDS}
 * @property {Record<string, string>} [parameters] the handler's parameters: name and description. A submission sets one by the query parameter
 *   `param.NAME`
 * @property {object} [payload] a JSON Schema (draft 2020-12) of the payload. It is checked before a task is accepted, and `/openapi.json` shows it
 * @property {(parameters: Parameters, bindings: Readonly<Record<string, any>>) => string | null | undefined} [check] returns what is wrong with the
 *   parameters of a submission, in a sentence (`expected …, got …`), which refuses the task with 400; it returns null or nothing if they are good. It
 *   must answer synchronously: a promise is not an answer. A check that throws, or returns anything else, refuses the task with 500
 *   `handler_check_failed`, and no other task of a batch
 * @property {Limits} [limits] how many tasks of a group may run at the same time, and how many may start in a period
 * @property {(payload: Payload, parameters: Parameters) => string | null | undefined} [group] returns the key of a submission's group, if the
 *   submission names none; null: it is in no group. Without this function all tasks of a handler with limits are one group
 * @property {Priority} [priority] the default priority of its tasks
 * @property {{url: string, on?: End[]}} [callback] the default callback of its tasks: the URL, and the ends that call it
 */

/** The handlers of a deployment, by name. @typedef {Readonly<Record<string, HandlerModule>>} Handlers */

/** The longest time of an attempt: a minute less than the wall-clock limit of a queue consumer, which is also the lease, so that the outcome can be
 * written. */
export const MAX_TIMEOUT_SECONDS = 14 * 60;

/** An error that another attempt would meet again: the task fails at once. */
export class PermanentError extends Error {
  /** @override */
  name = 'PermanentError';

  permanent = true;
}

/**
 * An error after which the handler is to be run again at a time of its choice, instead of the stack's backoff: when a rate limit ends, or when
 * something is ready. It counts as a failed attempt like any other: a task has `max_retries` of them, and fails after them. A task that waits for
 * long needs more retries in its submission.
 *
 * The task runner only checks the property: an error of any class that has `retry_after_seconds` has the same effect.
 */
export class RetryLater extends Error {
  /** @override */
  name = 'RetryLater';

  /**
   * @param {number} seconds from now to the next attempt, 0 to 86,400
   * @param {string} [message] the reason, stored as the task's error
   * @param {ErrorOptions} [options] options of `Error`, such as a cause
   * @throws {RangeError} the seconds are out of range
   */
  constructor(seconds, message = `try again in ${seconds} seconds`, options) {
    if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= MAX_DELAY_SECONDS)) {
      throw new RangeError(`expected seconds to be a number from 0 to ${MAX_DELAY_SECONDS}, got ${String(seconds)}`);
    }
    super(message, options);
    this.retry_after_seconds = seconds;
  }
}

/**
 * Refuses modules that are not handlers. It is called while the Worker starts, so that the deployment of such a module is refused.
 *
 * @param {Handlers} handlers
 * @throws {TypeError} a module is not a handler; the message names it and what was expected
 */
export function requireHandlers(handlers) {
  for (const [name, module] of Object.entries(handlers)) {
    const fault = faultOf(module);
    if (fault) throw new TypeError(`handler ${name}: ${fault}`);
  }
}

/**
 * @param {Partial<Record<keyof HandlerModule, unknown>>} module
 * @returns {string | null} what is wrong; null if nothing is
 */
function faultOf({ default: handle, timeout_seconds = MAX_TIMEOUT_SECONDS, parameters = {}, payload = {}, check = () => null, steps = false, callback, limits, group = () => null, priority = 'normal' }) {
  if (typeof steps !== 'boolean') return `expected steps to be true or false, got ${kindOf(steps)}`;
  if (typeof handle !== 'function') return `expected the default export to be a function, got ${typeof handle}`;
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return `expected payload to be a JSON Schema, got ${kindOf(payload)}`;
  if (typeof check !== 'function') return `expected check to be a function, got ${typeof check}`;
  if (typeof timeout_seconds !== 'number' || !(timeout_seconds > 0 && timeout_seconds <= MAX_TIMEOUT_SECONDS)) {
    return `expected timeout_seconds to be a number above 0 and up to ${MAX_TIMEOUT_SECONDS}, got ${String(timeout_seconds)}`;
  }
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
    return `expected parameters to be an object of names and what they are, got ${kindOf(parameters)}`;
  }
  if (callback !== undefined && !isCallback(callback)) return `expected callback to be {url, on} with some of ${ENDS.join(', ')}, got ${JSON.stringify(callback)}`;
  if (typeof group !== 'function') return `expected group to be a function, got ${kindOf(group)}`;
  if (!PRIORITIES.some((each) => each === priority)) return `expected priority to be one of ${PRIORITIES.join(', ')}, got ${JSON.stringify(priority) ?? kindOf(priority)}`;
  const fault = limits === undefined ? null : faultOfLimits(limits);
  if (fault) return fault;
  for (const [name, what] of Object.entries(parameters)) {
    if (typeof what !== 'string') return `expected parameter ${name} to say what it is, got ${kindOf(what)}`;
  }
  return null;
}

/** @param {unknown} value */
function isCallback(value) {
  const { url, on = [] } = /** @type {{url?: unknown, on?: unknown}} */ (value ?? {});
  return typeof url === 'string' && Array.isArray(on) && on.every((end) => ENDS.includes(end));
}

/** @param {unknown} value */
function kindOf(value) {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value;
}
