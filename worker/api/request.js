/** Reads and checks a request: its body, up to a limit, payloads, query parameters, and fields of JSON. */

import { bounded } from '../text.js';
import { describeError } from '../thrown.js';
import { invalidParameter, quoted, QUOTED_LENGTH, Refusal } from './reply.js';

/** @import { Payload } from '../task.js' */

/** How much beyond the limit is read and dropped for an authenticated caller: a client that cannot send its whole body would see a closed connection
 * and no answer. */
const DROPPED_BYTES = 32 * 1024 * 1024;

/**
 * @param {Request} request
 * @param {number} limit_bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the whole body
 * @throws {Refusal} the body is longer than the limit, or the connection breaks
 */
export async function readBody(request, limit_bytes) {
  const told_bytes = Number(request.headers.get('Content-Length') ?? NaN);
  // HTTP guarantees a declared length, and reading all at once costs less than chunk by chunk.
  const isShort = told_bytes <= limit_bytes;
  try {
    return isShort ? whole(new Uint8Array(await request.arrayBuffer()), limit_bytes) : await readChunks(request, limit_bytes);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // Only the connection can fail here, and it may still carry an answer.
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
 * @throws {Refusal} the body is longer than the limit, which is possible when another Worker calls this one
 */
function whole(body, limit_bytes) {
  if (body.byteLength > limit_bytes) throw tooLarge(limit_bytes);
  return body;
}

/**
 * @param {Uint8Array[]} chunks
 * @param {number} length their total length
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

/** A whole number in digits only, small enough to be exact. */
const DIGITS = /^\d{1,15}$/;

/**
 * @param {URL} url
 * @param {readonly string[]} known the names that are allowed
 * @param {readonly string[]} [former] former names that are still read, but that errors do not mention
 * @param {string} [several] the name that may be repeated; its values are read separately
 * @returns {Record<string, string>}
 * @throws {Refusal} a name is unknown, or one is repeated
 */
export function readQuery({ searchParams }, known, former = [], several) {
  /** A handler may name a parameter `__proto__`. @type {Record<string, string>} */
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
 * @returns {number | string | undefined} the number, if the text is one
 */
export function fromDigits(text) {
  return text !== undefined && DIGITS.test(text) ? Number(text) : text;
}

/**
 * @template {number | null} Default
 * @param {string} name
 * @param {unknown} value undefined if it is not given
 * @param {readonly [number, number]} range the smallest and the largest number
 * @param {Default} otherwise the value if it is not given
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
 * @param {unknown} value undefined if it is not given
 * @param {RegExp} pattern
 * @param {string} what what the pattern matches, in words
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

// A task's payload from a request body.

/**
 * The arguments that JSON.parse passes for each value, with the source text of a primitive (https://tc39.es/proposal-json-parse-with-source/).
 *
 * @typedef {(name: string, value: unknown, context: {source: string}) => unknown} Reviver
 */

/** The media types of JSON (https://www.rfc-editor.org/rfc/rfc6839#section-3.1). */
const JSON_TYPE = /^\s*(?:application\/json|[^;\s]+\+json)\s*(?:;|$)/i;

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Payload} the payload; an empty body gives an empty JSON object
 */
export function toPayload(bytes) {
  if (bytes.byteLength === 0) return '{}';
  try {
    return UTF_8.decode(bytes);
  } catch {
    return bytes;
  }
}

/**
 * @param {string | null} contentType
 * @param {Payload} payload
 * @throws {Refusal} the content type says JSON, and the payload is not
 */
export function requireDeclaredJson(contentType, payload) {
  if (contentType !== null && JSON_TYPE.test(contentType)) parseJson(payload, `the Content-Type ${contentType.slice(0, 50)} says`);
}

/**
 * @param {Payload} payload
 * @param {string} saysWho who says that it should be JSON
 * @param {Reviver} [reviver]
 * @returns {unknown}
 * @throws {Refusal} it is not JSON
 */
export function parseJson(payload, saysWho, reviver) {
  let got = 'bytes that are not UTF-8';
  try {
    if (typeof payload === 'string') return JSON.parse(payload, /** @type {any} */ (reviver));
  } catch (error) {
    got = error instanceof RangeError ? 'JSON that is nested too deeply' : 'other text';
  }
  throw new Refusal('invalid_json', `expected the body to be JSON, as ${saysWho}, got ${got}`);
}

/** A validation error; `instanceLocation` is a JSON pointer after a `#`. @typedef {{instanceLocation: string, error: string}} Fault */

/** @typedef {{validate(value: unknown): {valid: boolean, errors: Fault[]}}} Validator */

/** @typedef {new (schema: any, draft: '2020-12', shortCircuit: boolean) => Validator} ValidatorClass */

/** The most validation errors that a refusal reports. */
const TOLD_FAULTS = 10;

/** @type {WeakMap<object, Validator>} */
const VALIDATORS = new WeakMap();

/**
 * @param {Payload} payload
 * @param {object} schema
 * @param {ValidatorClass} Validator
 * @param {string} handler the handler's name
 * @throws {Refusal} the payload is not JSON, or does not match the schema, which is the caller's fault; or the schema is invalid, which is the
 *   handler's
 */
export function requireValid(payload, schema, Validator, handler) {
  const { valid, errors } = validate(parseJson(payload, `the handler ${handler} takes it`), schema, Validator, handler);
  if (valid) return;
  // An error in a part is also reported for the whole, in general words. Only the innermost errors say what to do.
  const inner = errors.filter(({ instanceLocation: place }) => !errors.some(({ instanceLocation: other }) => other.startsWith(`${place}/`)));
  const faults = inner.slice(0, TOLD_FAULTS).map(({ instanceLocation, error }) => ({ path: instanceLocation.slice(1), message: error }));
  const said = faults.map(({ path, message }) => `${path || '/'}: ${message}`).join(' ');
  throw new Refusal('invalid_payload', `expected a payload that keeps to the schema of handler ${handler}, got one with ${said}`, { extras: { errors: faults } });
}

/**
 * @param {unknown} value
 * @param {object} schema
 * @param {ValidatorClass} Validator
 * @param {string} handler the handler's name
 * @returns {{valid: boolean, errors: Fault[]}}
 * @throws {Refusal} the schema is invalid
 */
function validate(value, schema, Validator, handler) {
  try {
    const validator = VALIDATORS.get(schema) ?? new Validator(schema, '2020-12', false);
    VALIDATORS.set(schema, validator);
    return validator.validate(value);
  } catch (thrown) {
    if (thrown instanceof RangeError) return { valid: false, errors: [{ instanceLocation: '#', error: 'It is nested too deeply.' }] };
    const error = describeError(thrown);
    console.error(`payload of handler ${handler} is no JSON Schema that can be followed`, { handler, error: error.name, message: error.message });
    throw new Refusal('handler_check_failed', `expected payload of handler ${handler} to be a JSON Schema, got one that cannot be followed: the log says more`);
  }
}
