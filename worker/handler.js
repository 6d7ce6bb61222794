/**
 * What a module of `handlers/` is: its default export does a task's work, under the module's name. The next `up` deploys
 * a new one; there is no list to edit. A module whose name begins with `_` is none.
 */

/** @import { Parameters, Payload } from './task.js' */

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
 * @property {Parameters} parameters those query parameters of the submission that the module declares
 * @property {{debug: Log, info: Log, warn: Log, error: Log}} log
 */

/** Does the work: its result is anything that JSON can hold; what it throws is retried, a {@link PermanentError} is not.
 *
 * @typedef {(payload: Payload, context: Context) => unknown} Handler
 */

/**
 * A module of `handlers/`.
 *
 * @typedef {object} HandlerModule
 * @property {Handler} default
 * @property {number} [timeout_seconds] how long an attempt may take; {@link MAX_TIMEOUT_SECONDS} where it is not said
 * @property {Record<string, string>} [parameters] the query parameters that the handler takes, beside those of every task
 *   ({@link TASK_PARAMETERS}): name and what it is
 * @property {object} [payload] a JSON Schema (draft 2020-12) that a submission's payload must keep to; it is checked before the
 *   task is accepted, and `/openapi.json` shows it
 * @property {(parameters: Parameters, bindings: Readonly<Record<string, any>>) => string | null} [check] what is wrong with the
 *   parameters of a submission, in a sentence (`expected …, got …`); null when they are good
 */

/** The handlers of a deployment, by name. @typedef {Readonly<Record<string, HandlerModule>>} Handlers */

/** The longest time of an attempt: a minute less than the wall-clock limit of a queue consumer, which is the lease, so that
 * its outcome can be written. */
export const MAX_TIMEOUT_SECONDS = 14 * 60;

/** The query parameters of every task. */
export const TASK_PARAMETERS = ['handler', 'delay', 'ttl', 'max_retries'];

/** An error that another attempt would meet again: the task fails at once. */
export class PermanentError extends Error {
  /** @override */
  name = 'PermanentError';

  permanent = true;
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
function faultOf({ default: handle, timeout_seconds = MAX_TIMEOUT_SECONDS, parameters = {}, payload = {}, check = () => null }) {
  if (typeof handle !== 'function') return `expected the default export to be a function, got ${typeof handle}`;
  if (typeof payload !== 'object' || payload === null) return `expected payload to be a JSON Schema, got ${payload === null ? 'null' : typeof payload}`;
  if (typeof check !== 'function') return `expected check to be a function, got ${typeof check}`;
  if (typeof timeout_seconds !== 'number' || !(timeout_seconds > 0 && timeout_seconds <= MAX_TIMEOUT_SECONDS)) {
    return `expected timeout_seconds to be a number above 0 and up to ${MAX_TIMEOUT_SECONDS}, got ${String(timeout_seconds)}`;
  }
  const names = Object.keys(Object(parameters));
  const taken = names.find((name) => TASK_PARAMETERS.includes(name));
  return taken === undefined ? null : `expected parameters of its own, got ${taken}, which every task has`;
}
