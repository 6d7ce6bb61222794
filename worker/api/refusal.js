/** What the API answers when it does not do what it was asked: one shape, with a code that programs can rely on. */

import { jsonReply } from './reply.js';

/** The HTTP status that each code comes with. */
export const STATUS_OF_CODE = Object.freeze({
  invalid_json: 400,
  invalid_parameter: 400,
  invalid_payload: 400,
  unknown_handler: 400,
  unauthorized: 401,
  forbidden: 403,
  forbidden_origin: 403,
  not_found: 404,
  task_not_found: 404,
  method_not_allowed: 405,
  idempotency_conflict: 409,
  wrong_status: 409,
  payload_too_large: 413,
  rate_limited: 429,
  store_unavailable: 503,
});

/** @typedef {keyof typeof STATUS_OF_CODE} Code */

/** Longest part of a caller's value that an error repeats. */
const QUOTED_LENGTH = 50;

/** A request that is refused; the message is a sentence for the caller. */
export class Refusal extends Error {
  /** @override */
  name = 'Refusal';

  /**
   * @param {Code} code
   * @param {string} message
   * @param {object} [more]
   * @param {Record<string, unknown>} [more.extras] what the body has beside `error` and `code`
   * @param {Record<string, string>} [more.headers]
   */
  constructor(code, message, { extras = {}, headers = {} } = {}) {
    super(message);
    this.status = STATUS_OF_CODE[code];
    this.body = { error: message, code, ...extras };
    this.headers = headers;
  }

  reply() {
    return jsonReply(this.body, { status: this.status, headers: this.headers });
  }
}

/**
 * @param {string} parameter its name
 * @param {string} expected what it should have been
 * @param {unknown} got
 */
export function invalidParameter(parameter, expected, got) {
  return new Refusal('invalid_parameter', `expected ${parameter} to be ${expected}, got ${quoted(got)}`, { extras: { parameter } });
}

/** A task that is not there, or whose time to live is over. */
export function taskNotFound() {
  return new Refusal('task_not_found', 'not found');
}

/** @param {unknown} value anything that JSON can hold */
function quoted(value) {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text;
}
