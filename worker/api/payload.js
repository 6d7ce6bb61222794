/** A task's payload, from what came. */

import { Refusal } from './refusal.js';

/** @import { Payload } from '../task.js' */

/**
 * What JSON.parse asks of each value, with the text of a primitive (https://tc39.es/proposal-json-parse-with-source/).
 *
 * @typedef {(name: string, value: unknown, context: {source: string}) => unknown} Reviver
 */

/** The media types of JSON (https://www.rfc-editor.org/rfc/rfc6839#section-3.1). */
const JSON_TYPE = /^\s*(?:application\/json|[^;\s]+\+json)\s*(?:;|$)/i;

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Payload} none at all is an empty JSON object
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
 * @throws {Refusal} it is said to be JSON, and is not
 */
export function requireDeclaredJson(contentType, payload) {
  if (contentType !== null && JSON_TYPE.test(contentType)) parseJson(payload, `the Content-Type ${contentType.slice(0, 50)} says`);
}

/**
 * @param {Payload} payload
 * @param {string} saysWho that it should be JSON
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
