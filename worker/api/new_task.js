/** From what a client submits, alone or in a batch, to a task that can be stored. */

import { bindingsOf } from '../context.js';
import { newTaskId } from '../task_id.js';
import { sha256Hex } from './digest.js';
import { requireValid } from './payload_schema.js';
import { Refusal } from './refusal.js';

/** @import { HandlerModule, Handlers } from '../handler.js' */
/** @import { Idempotency, NewTask } from '../task.js' */
/** @import { Call } from './call.js' */

/**
 * What a client asks for, in range; `delay_seconds` null: the stack's.
 *
 * @typedef {Omit<NewTask, 'taskId' | 'idempotency' | 'delay_seconds'> & {delay_seconds: number | null, idempotencyKey: string | null}} Submission
 */

/** The handler of a task that names none. */
export const DEFAULT_HANDLER = 'default';

/** Longest parameters of a task together, as JSON in UTF-16 code units: as long as a URL can be
 * (https://developers.cloudflare.com/workers/platform/limits/). */
const MAX_PARAMETERS_LENGTH = 16_384;

/** What an idempotency key may be: visible ASCII, as a header's value can be. */
export const IDEMPOTENCY_KEY = /^[!-~]{1,255}$/;
export const IDEMPOTENCY_KEY_IN_WORDS = '1 to 255 visible ASCII characters';

/**
 * @param {Handlers} handlers
 * @param {string} name
 * @returns {HandlerModule}
 * @throws {Refusal}
 */
export function findHandler(handlers, name) {
  const module = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (module) return module;
  const names = Object.keys(handlers);
  throw new Refusal('unknown_handler', `unknown handler ${JSON.stringify(name.slice(0, 50))}: there are ${names.join(', ')}`, { extras: { handlers: names } });
}

/**
 * @param {Submission} submission of a handler that is there, with parameters that it knows
 * @param {Call} call
 * @returns {Promise<NewTask>}
 * @throws {Refusal} the handler finds fault with its parameters or its payload
 */
export async function newTask(submission, { handlers, env, Validator }) {
  const { idempotencyKey, ...task } = submission;
  const { length } = JSON.stringify(task.parameters);
  if (length > MAX_PARAMETERS_LENGTH) {
    throw new Refusal('invalid_parameter', `expected parameters of at most ${MAX_PARAMETERS_LENGTH} characters as JSON, got ${length}`);
  }
  const module = findHandler(handlers, task.handler);
  const fault = module.check?.(task.parameters, bindingsOf(env));
  if (fault) throw new Refusal('invalid_parameter', fault);
  if (module.payload && Validator) requireValid(task.payload, module.payload, Validator, task.handler);
  const idempotency = idempotencyKey === null ? null : await idempotencyOf(idempotencyKey, task);
  const delay_seconds = task.delay_seconds ?? Number(env.DELIVERY_DELAY_SECONDS ?? 0);
  // Tasks with the same key have the same last digits, so that they meet in the same shard of a store.
  return { taskId: newTaskId(Date.now(), idempotency?.key.slice(0, 2)), ...task, delay_seconds, idempotency };
}

/**
 * @param {string} key
 * @param {Omit<Submission, 'idempotencyKey'>} task
 * @returns {Promise<Idempotency>}
 */
async function idempotencyOf(key, { handler, parameters, payload, delay_seconds, ttl_seconds, max_retries }) {
  const settings = [handler, Object.entries(parameters).sort(), delay_seconds, ttl_seconds, max_retries];
  const head = new TextEncoder().encode(`${JSON.stringify(settings)}\n`);
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  return { key: await sha256Hex(key), fingerprint: await sha256Hex(await new Blob([head, body]).arrayBuffer()) };
}
