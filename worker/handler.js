/**
 * What a module of `handlers/` is: its default export does a task's work, under the module's name. The next `up` deploys
 * a new one; there is no list to edit. A module whose name begins with `_` is none.
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

/** Writes to the Worker's log, with the task's id; never hand it a payload. @typedef {(message: string, fields?: Record<string, unknown>) => void} Log */

/**
 * What a handler is told of the attempt.
 *
 * @typedef {object} Context
 * @property {string} taskId
 * @property {number} attempt 1 for the first
 * @property {AbortSignal} signal aborted when the task is cancelled or the handler's time is up: nobody waits for it any
 *   more. A running attempt learns of a cancellation within 2 seconds at first, later within a fifth of its age, and
 *   at most a minute; with KV as the store within 5 seconds at first, and up to a minute later than it would otherwise
 * @property {(percent: number, note?: string) => void} progress tells how far the attempt has come, 0 to 100, and in up to
 *   200 characters what it does; the task shows it as soon, may it be called ever so often
 * @property {Readonly<Record<string, any>>} bindings the Worker's own, but for its API tokens
 * @property {Parameters} parameters those of the submission that the module declares
 * @property {Step} step does a part of the work and keeps its result, so that no later attempt repeats it
 * @property {(name: string, seconds: number) => Promise<void>} sleep waits for up to a year; the handler is left meanwhile, and called again
 * @property {(name: string, options?: {timeoutSeconds?: number}) => Promise<{name: string, payload: any, receivedAt: string}>} waitForEvent
 *   waits for `POST /task/:id/events/:name`, a day where nothing else is said; at the end of the time it throws an `EventTimeout`
 * @property {(task: SubmittedTask) => Promise<{taskId: string, status: string}>} submit submits another task; a later attempt with the same
 *   key finds it there
 * @property {After | null} after after which tasks this one starts; null where it starts after none
 * @property {(taskIds?: string[]) => Promise<Dependency[]>} dependencies what became of those tasks, or of some of them
 * @property {CallbackContext | null} callback of a task that tells how another one has ended; null of any other
 * @property {{debug: Log, info: Log, warn: Log, error: Log}} log
 */

/**
 * How a step is tried again; where nothing is said five times, after 10 seconds and then twice as long each time, and for 600 seconds
 * each time.
 *
 * @typedef {{retries?: {limit?: number, delaySeconds?: number, backoff?: 'constant' | 'linear' | 'exponential'}, timeoutSeconds?: number}} StepOptions
 */

/**
 * A step. Its name is its own within the task. It returns what the work returned, as JSON holds it, now or in an earlier attempt.
 *
 * @typedef {{
 *   <Result>(name: string, work: (step: {attempt: number}) => Result | Promise<Result>): Promise<Result>,
 *   <Result>(name: string, options: StepOptions, work: (step: {attempt: number}) => Result | Promise<Result>): Promise<Result>,
 * }} Step
 */

/**
 * A task that a handler submits. The fields are those of a task of `POST /tasks`; `payload` may be bytes, too. `key` names it within the
 * handler's task, where nothing is said by its number in the order of submission.
 *
 * @typedef {{handler?: string, payload?: unknown, parameters?: Parameters, delaySeconds?: number, ttlSeconds?: number, maxRetries?: number,
 *   callbackUrl?: string, on?: End[], after?: string[], startWhen?: StartWhen, group?: string, tags?: Record<string, string>, priority?: Priority, key?: string}} SubmittedTask
 */

/**
 * What became of a task after which another one starts; `status` is null when it is no longer there. `isLeftOut`: its result is there, and
 * longer than what is read at once; {@link Context.dependencies} with its id gives it.
 *
 * @typedef {{taskId: string, status: Status | null, error: TaskError | null, result: any, isLeftOut: boolean}} Dependency
 */

/**
 * What a callback is told beside its payload.
 *
 * @typedef {object} CallbackContext
 * @property {string} parent the id of the task that it tells of
 * @property {(payload: Payload) => Promise<Record<string, string>>} headers of a request that is made now, with its signature
 */

/**
 * Does the work. Its result is anything that JSON can hold, in at most 256 KiB; another one fails the attempt. What it throws is
 * kept as the task's error, with its code, its causes and the errors of an `AggregateError`, in up to 1,000 characters. Then
 * comes the next attempt; when, a {@link RetryLater} can say. After a {@link PermanentError} there is none.
 *
 * @typedef {(payload: Payload, context: Context) => unknown} Handler
 */

/**
 * A module of `handlers/`.
 *
 * @typedef {object} HandlerModule
 * @property {Handler} default
 * @property {boolean} [steps] whether it has steps (`context.step`, `sleep`, `waitForEvent`): those are read with each attempt then
 * @property {number} [timeout_seconds] how long an attempt may take; {@link MAX_TIMEOUT_SECONDS} where it is not said
 * @property {Record<string, string>} [parameters] the parameters that the handler takes: name and what it is. A submission gives one as
 *   the query parameter `param.NAME`
 * @property {object} [payload] a JSON Schema (draft 2020-12) that a submission's payload must keep to; it is checked before the
 *   task is accepted, and `/openapi.json` shows it
 * @property {(parameters: Parameters, bindings: Readonly<Record<string, any>>) => string | null | undefined} [check] what is wrong
 *   with the parameters of a submission, in a sentence (`expected …, got …`), which refuses the task with 400; null, or nothing at
 *   all, when they are good. It must answer at once: a promise is no answer. A check that throws, or that gives anything else,
 *   refuses the task with 500 `handler_check_failed`, and of a batch no other task
 * @property {Limits} [limits] how many tasks of a group may run at once, and how many may start in a period
 * @property {(payload: Payload, parameters: Parameters) => string | null | undefined} [group] the key of a submission's group, where it names
 *   none itself; null: it is in none. Without it all tasks of a handler with limits are one group
 * @property {Priority} [priority] of its tasks, where their submission says nothing else
 * @property {{url: string, on?: End[]}} [callback] where it is told that a task of this handler has ended, and which ends, where its
 *   submission says nothing else
 */

/** The handlers of a deployment, by name. @typedef {Readonly<Record<string, HandlerModule>>} Handlers */

/** The longest time of an attempt: a minute less than the wall-clock limit of a queue consumer, which is the lease, so that
 * its outcome can be written. */
export const MAX_TIMEOUT_SECONDS = 14 * 60;

/** An error that another attempt would meet again: the task fails at once. */
export class PermanentError extends Error {
  /** @override */
  name = 'PermanentError';

  permanent = true;
}

/**
 * An error after which the handler wants to be run again at a time of its own choice, in place of the stack's backoff: a rate
 * limit ends then, or something is ready then. It is a failed attempt as any other: a task has `max_retries` of them, and when
 * they are spent it fails. A task that waits for long asks for more retries when it is submitted.
 *
 * The task runner looks for the property alone: an error of any class that has `retry_after_seconds` does the same.
 */
export class RetryLater extends Error {
  /** @override */
  name = 'RetryLater';

  /**
   * @param {number} seconds from now until the next attempt, 0 to 86,400
   * @param {string} [message] why; it is kept as the task's error
   * @param {ErrorOptions} [options] such as a cause
   * @throws {RangeError} seconds are out of that range
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
 * Refuses modules that are no handlers. It is called while the Worker starts, so that the deployment of such a module is
 * refused.
 *
 * @param {Handlers} handlers
 * @throws {TypeError} it names the module and what was expected
 */
export function requireHandlers(handlers) {
  for (const [name, module] of Object.entries(handlers)) {
    const fault = faultOf(module);
    if (fault) throw new TypeError(`handler ${name}: ${fault}`);
  }
}

/**
 * @param {Partial<Record<keyof HandlerModule, unknown>>} module
 * @returns {string | null} null when there is none
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
