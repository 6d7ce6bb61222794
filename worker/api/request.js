/** What a request brings, checked: its body under a limit, query parameters, and the fields of a batch's tasks. */

import { bounded } from '../text.js';
import { invalidParameter, quoted, QUOTED_LENGTH, Refusal } from './reply.js';

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

/** Written as digits only, and exact. */
const DIGITS = /^\d{1,15}$/;

/**
 * @param {URL} url
 * @param {readonly string[]} known the names of those that there may be
 * @param {readonly string[]} [former] names that are still read, which no error tells of
 * @param {string} [several] the one that may come several times, and is read apart
 * @returns {Record<string, string>}
 * @throws {Refusal} there is another one, or one comes twice
 */
export function readQuery({ searchParams }, known, former = [], several) {
  /** A handler may call a parameter `__proto__`. @type {Record<string, string>} */
  const query = Object.create(null);
  for (const [name, value] of searchParams) {
    if (!former.includes(name)) requireKnown(name, known, 'query parameter');
    if (name === several) continue;
    if (Object.hasOwn(query, name)) throw invalidParameter(name, 'given once', searchParams.getAll(name));
    query[name] = value;
  }
  return query;
}

/**
 * @param {string} name
 * @param {readonly string[]} known
 * @param {string} kind
 * @throws {Refusal}
 */
export function requireKnown(name, known, kind) {
  if (known.includes(name)) return;
  const list = known.length > 0 ? `known are ${known.join(', ')}` : 'there are none here';
  throw new Refusal('invalid_parameter', `unknown ${kind} ${quoted(name)}: ${list}`, { extras: { parameter: bounded(name, QUOTED_LENGTH) } });
}

/**
 * @param {string | undefined} text
 * @returns {number | string | undefined} the number that it writes, if it does
 */
export function fromDigits(text) {
  return text !== undefined && DIGITS.test(text) ? Number(text) : text;
}

/**
 * @template {number | null} Default
 * @param {string} name
 * @param {unknown} value undefined where it is not given
 * @param {readonly [number, number]} range smallest and largest
 * @param {Default} otherwise where it is not given
 * @returns {number | Default}
 * @throws {Refusal}
 */
export function wholeNumber(name, value, [smallest, largest], otherwise) {
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= smallest && value <= largest) return value;
  throw invalidParameter(name, `a whole number from ${smallest} to ${largest}`, value);
}

/**
 * @param {string} name
 * @param {unknown} value undefined where it is not given
 * @param {RegExp} pattern
 * @param {string} what it matches, in words
 * @returns {string | null}
 * @throws {Refusal}
 */
export function textLike(name, value, pattern, what) {
  if (value === undefined) return null;
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw invalidParameter(name, what, value);
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
