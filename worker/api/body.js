/** Reading a request's body under a limit. */

import { Refusal } from './refusal.js';

/** How much more than the limit is read and dropped of a caller who was let in: a client that may not send it all finds its
 * connection closed, and no answer. */
const DROPPED_BYTES = 32 * 1024 * 1024;

/**
 * @param {Request} request
 * @param {number} limit_bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the whole body
 * @throws {Refusal} it is longer than the limit, or breaks off
 */
export async function readBody(request, limit_bytes) {
  const told_bytes = Number(request.headers.get('Content-Length') ?? NaN);
  // HTTP keeps to a length that is told, and all in one go costs less than chunk by chunk.
  const isShort = told_bytes <= limit_bytes;
  try {
    return isShort ? whole(new Uint8Array(await request.arrayBuffer()), limit_bytes) : await readChunks(request, limit_bytes);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // Nothing but the connection can fail here; it may yet carry an answer.
    throw new Refusal('incomplete_body', 'expected a whole body, got one that broke off: send the request again');
  }
}

/**
 * @param {Request} request
 * @param {number} limit_bytes
 */
async function readChunks(request, limit_bytes) {
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length <= limit_bytes) chunks.push(chunk);
    else if (length > limit_bytes + DROPPED_BYTES) break;
  }
  if (length > limit_bytes) throw tooLarge(limit_bytes);
  return concatenate(chunks, length);
}

/** @param {number} limit_bytes */
export function tooLarge(limit_bytes) {
  return new Refusal('payload_too_large', `payload too large: at most ${limit_bytes} bytes`);
}

/**
 * @param {Uint8Array<ArrayBuffer>} body
 * @param {number} limit_bytes
 * @throws {Refusal} it is longer than the limit, which a Worker can do that calls this one
 */
function whole(body, limit_bytes) {
  if (body.byteLength > limit_bytes) throw tooLarge(limit_bytes);
  return body;
}

/**
 * @param {Uint8Array[]} chunks
 * @param {number} length their total
 */
function concatenate(chunks, length) {
  const all = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return all;
}
