/** What Cloudflare refuses of workflow instances: https://developers.cloudflare.com/workflows/reference/limits/ */

import { jsonBytes } from '../../../runtime/system/value_sizes.js';

const INSTANCE_ID = /^[a-zA-Z0-9_][a-zA-Z0-9-_]*$/;
const RESERVED_ID = /^cf_[0-9a-f]{64}$/;
const MAX_INSTANCE_ID_LENGTH = 100;
export const MAX_BATCH = 100;
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/**
 * An error that says which of Cloudflare's it is; the form that Workers see is "(instance.not_found) …". It must be in
 * the message, for that is all of an error that passes from one Worker to another.
 *
 * @param {string} reason
 * @param {string} text
 */
export function refusal(reason, text) {
  return new Error(`(${reason}) ${text}`);
}

/**
 * Which of Cloudflare's an error is; null: none of them.
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
 * Refuses the parameters of an instance, or what comes with an event, when they are too large.
 *
 * @param {string} what
 * @param {unknown} payload
 */
export function checkPayload(what, payload) {
  const bytes = jsonBytes(payload);
  if (bytes > MAX_PAYLOAD_BYTES) throw refusal('body', `${what} of ${bytes} bytes exceed the limit of ${MAX_PAYLOAD_BYTES} bytes`);
}
