/** Sends the payload to a URL whose host the setting `http_allowed_hosts` names. */

import { Cancellation } from '../cancellation.js';
import { PermanentError } from '../handler.js';
import { bounded } from '../text.js';
import { hasBody, readDelivery } from './_delivery.js';
import { retryAfterSeconds } from './_retry_after.js';

/** @import { Context } from '../handler.js' */
/** @import { Parameters, Payload } from '../task.js' */
/** @import { Delivery } from './_delivery.js' */

/** How much of an answer is read, in bytes, and how much of an unexpected one an error repeats, in characters. */
const MAX_BODY_BYTES = 64 * 1024;
const TOLD_BODY_LENGTH = 200;

/** Control characters except tabs and line ends: JSON needs six bytes for each, and the result must not exceed its limit. */
const CONTROL_CHARACTERS = /[\x00-\x08\x0b\x0c\x0e-\x1f]/g;

/**
 * Client errors that may not occur at the next attempt: a timeout, a connection to the wrong server, too early, too many requests
 * (https://www.rfc-editor.org/rfc/rfc9110#section-15.5), and the conflict with an unfinished attempt that has the same idempotency key
 * (https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header#section-2.6).
 */
const PASSING_STATUSES = [408, 409, 421, 425, 429];

/** Permanent redirects (https://www.rfc-editor.org/rfc/rfc9110#section-15.4). */
const LASTING_REDIRECTS = [301, 308];

export const parameters = {
  url: 'where to deliver to: http or https, at a host that the setting http_allowed_hosts names',
  method: 'POST, PUT or PATCH, which send the payload, or GET, HEAD or DELETE, which do not; POST where it is not given',
  header: 'headers of the form `Name: value`, one a line; they are kept with the task',
  expected_status: 'the statuses that are a success, such as 200,202,3xx; 2xx where it is not given. Redirects are not followed',
  timeout_seconds: 'how long the request may take, 1 to 840; 30 where it is not given',
};

/**
 * @param {Parameters} given
 * @param {Readonly<Record<string, any>>} bindings
 * @returns {string | null}
 */
export function check(given, bindings) {
  try {
    readDelivery(given, bindings);
    return null;
  } catch (error) {
    if (error instanceof PermanentError) return error.message;
    throw error;
  }
}

/** The answer; its body as text, truncated if it is too long.
 *
 * @typedef {{status: number, contentType: string | null, body: string, isTruncated: boolean}} Answer
 */

/**
 * @param {Payload} payload
 * @param {Context} context
 * @returns {Promise<Answer>}
 * @throws {PermanentError} a parameter is invalid, or the host is no longer allowed
 * @throws {UnexpectedStatus} permanent if another attempt would get the same answer
 */
export default async function deliver(payload, context) {
  const delivery = readDelivery(context.parameters, context.bindings);
  const cancellation = new Cancellation();
  cancellation.follow(context.signal);
  const { answer, retryAfter } = await cancellation.limit(delivery.timeout_seconds, () => exchange(delivery, payload, context, cancellation.signal));
  if (!isExpected(answer.status, delivery.expected)) throw new UnexpectedStatus(answer, delivery.expected, retryAfter);
  return answer;
}

/**
 * @param {Delivery} delivery
 * @param {Payload} payload
 * @param {Context} context
 * @param {AbortSignal} signal
 * @returns {Promise<{answer: Answer, retryAfter: string | null}>}
 */
async function exchange({ url, method, headers }, payload, { taskId, attempt, callback }, signal) {
  headers.set('Task-Id', taskId);
  headers.set('Task-Attempt', String(attempt));
  headers.set('Idempotency-Key', taskId);
  for (const [name, value] of Object.entries(await callback?.headers(payload) ?? {})) headers.set(name, value);
  if (hasBody(method) && !headers.has('Content-Type')) headers.set('Content-Type', contentType(payload));
  const response = await fetch(url, { method, headers, signal, redirect: 'manual', ...(hasBody(method) && { body: payload }) });
  const answer = { status: response.status, contentType: response.headers.get('Content-Type'), ...await readText(response) };
  return { answer, retryAfter: response.headers.get('Retry-After') };
}

/** An answer with an unexpected status; it may say when to try again. */
class UnexpectedStatus extends Error {
  /** @override */
  name = 'UnexpectedStatus';

  /**
   * @param {Answer} answer
   * @param {string[]} expected
   * @param {string | null} retryAfter the value of the header
   */
  constructor({ status, body }, expected, retryAfter) {
    super(`expected status ${expected.join(', ')}, got ${status}: ${bounded(body, TOLD_BODY_LENGTH)}`);
    this.permanent = isLasting(status);
    const seconds = this.permanent ? null : retryAfterSeconds(retryAfter, Date.now());
    if (seconds !== null) this.retry_after_seconds = seconds;
  }
}

/**
 * Whether the same request would get the same answer again: the request is wrong, or its URL has moved for good.
 *
 * @param {number} status
 */
function isLasting(status) {
  return LASTING_REDIRECTS.includes(status) || (status >= 400 && status < 500 && !PASSING_STATUSES.includes(status));
}

/**
 * @param {number} status
 * @param {string[]} expected
 */
function isExpected(status, expected) {
  return expected.includes(String(status)) || expected.includes(`${Math.floor(status / 100)}xx`);
}

/** @param {Payload} payload */
function contentType(payload) {
  if (typeof payload !== 'string') return 'application/octet-stream';
  try {
    JSON.parse(payload);
    return 'application/json';
  } catch {
    return 'text/plain;charset=utf-8';
  }
}

/**
 * @param {Response} response
 * @returns {Promise<Pick<Answer, 'body' | 'isTruncated'>>} the text; of a longer body only the beginning is read
 */
async function readText({ body }) {
  const decoder = new TextDecoder();
  let text = '';
  let left_bytes = MAX_BODY_BYTES;
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk.subarray(0, left_bytes), { stream: true });
    left_bytes -= chunk.byteLength;
    if (left_bytes < 0) break;
  }
  const isTruncated = left_bytes < 0;
  if (!isTruncated) text += decoder.decode();
  return { body: text.replaceAll(CONTROL_CHARACTERS, '\ufffd'), isTruncated };
}
