/** `POST /task/:id/events/:name`: tells a task of what its handler waits for, or will. */

import { MAX_PAYLOAD_BYTES } from '../task.js';
import { MAX_STEP_NAME_LENGTH } from '../steps.js';
import { parseJson, toPayload } from './payload.js';
import { invalidParameter, jsonReply, Refusal } from './reply.js';
import { readBody, readQuery } from './request.js';
import { find, requireTaskId, wrongStatus } from './task.js';

/** @import { Call } from './router.js' */

/** What an event may be called. */
export const EVENT_NAME = new RegExp(`^[A-Za-z0-9_.-]{1,${MAX_STEP_NAME_LENGTH}}$`);

/**
 * The first event of a name counts, so that it may be sent again. It is kept whether or not the handler waits for it yet.
 *
 * @param {Call} call
 * @param {string} taskId
 * @param {string} name
 */
export async function sendEvent({ request, url, store, engine, invocation, handlers }, taskId, name) {
  readQuery(url, []);
  requireTaskId(taskId);
  if (!EVENT_NAME.test(name)) throw invalidParameter('name', `1 to ${MAX_STEP_NAME_LENGTH} letters, digits, _, . or -`, name);
  const payload = toPayload(await readBody(request, MAX_PAYLOAD_BYTES));
  parseJson(payload, 'an event is');
  const { handler } = await find(store, taskId);
  if (handlers[handler]?.steps !== true) {
    throw new Refusal('invalid_parameter', `expected a task whose handler has steps, got one of ${handler}: add \`export const steps = true;\` to its module`);
  }
  const receipt = await store.putEvent(taskId, name, { payload: /** @type {string} */ (payload), received_ms: Date.now() });
  if (!receipt) throw wrongStatus((await find(store, taskId)).status, 'pending or processing');
  const { waiting, isFirst } = receipt;
  if (waiting) {
    invocation.waitUntil(engine.wake({ taskId, ...waiting, delay_seconds: 0 }).catch((error) => {
      console.error('an event is kept, and its task could not be told; the sweeper does it', { taskId, event: name, error: String(error) });
    }));
  }
  return jsonReply({ taskId, event: name, isNew: isFirst });
}
