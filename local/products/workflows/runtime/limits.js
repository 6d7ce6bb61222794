/** Cloudflare's limits of workflow instances: https://developers.cloudflare.com/workflows/reference/limits/ */

import { jsonBytes } from '../../../runtime/system/value_sizes.js';

const INSTANCE_ID = /^[a-zA-Z0-9_][a-zA-Z0-9-_]*$/;
const RESERVED_ID = /^cf_[0-9a-f]{64}$/;
const MAX_INSTANCE_ID_LENGTH = 100;
export const MAX_BATCH = 100;
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/**
 * Returns an error with Cloudflare's reason. Workers see it in the form "(instance.not_found) …". It must be in the message, because only that is
 * passed from one Worker to another.
 *
 * @param {string} reason
 * @param {string} text
 */
export function refusal(reason, text) {
  return new Error(`(${reason}) ${text}`);
}

/**
 * Returns Cloudflare's reason in an error; null: there is none.
 *
 * @param {unknown} error
 * @returns {string | null}
 */
export function reasonOf(error) {
  return /\(((?:workflow|instance|step)\.[a-z_]+|body)\)/.exec(String(error))?.[1] ?? null;
}

/** @param {unknown} id */
export function checkInstanceId(id) {
  const fits = typeof id === 'string' && id.length <= MAX_INSTANCE_ID_LENGTH && INSTANCE_ID.test(id) && !RESERVED_ID.test(id);
  if (!fits) throw refusal('instance.invalid_id', 'Workflow instance has invalid id');
}

/**
 * Refuses the parameters of an instance, or the payload of an event, if they are too large.
 *
 * @param {string} what
 * @param {unknown} payload
 */
export function checkPayload(what, payload) {
  const bytes = jsonBytes(payload);
  if (bytes > MAX_PAYLOAD_BYTES) throw refusal('body', `${what} of ${bytes} bytes exceed the limit of ${MAX_PAYLOAD_BYTES} bytes`);
}
