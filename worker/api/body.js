/** Reading a request's body under a limit. */

import { Refusal } from './refusal.js';

/**
 * @param {Request} request
 * @param {number} limit_bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the whole body
 * @throws {Refusal} as soon as more has come than the limit allows
 */
export async function readBody(request, limit_bytes) {
  if (Number(request.headers.get('Content-Length')) > limit_bytes) throw tooLarge(limit_bytes);
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > limit_bytes) throw tooLarge(limit_bytes);
    chunks.push(chunk);
  }
  return concatenate(chunks, length);
}

/** @param {number} limit_bytes */
export function tooLarge(limit_bytes) {
  return new Refusal('payload_too_large', `payload too large: at most ${limit_bytes} bytes`);
}

/**
 * @param {Uint8Array[]} chunks
 * @param {number} length their total
 */
function concatenate(chunks, length) {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
