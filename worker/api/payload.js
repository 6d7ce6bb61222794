/** A task's payload, from what came. */

import { describeError } from '../thrown.js';
import { Refusal } from './reply.js';

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

/** A fault; `instanceLocation` is a JSON pointer with `#` before it. @typedef {{instanceLocation: string, error: string}} Fault */

/** @typedef {{validate(value: unknown): {valid: boolean, errors: Fault[]}}} Validator */

/** @typedef {new (schema: any, draft: '2020-12', shortCircuit: boolean) => Validator} ValidatorClass */

/** Most faults that a refusal tells of. */
const TOLD_FAULTS = 10;

/** @type {WeakMap<object, Validator>} */
const VALIDATORS = new WeakMap();

/**
 * @param {Payload} payload
 * @param {object} schema
 * @param {ValidatorClass} Validator
 * @param {string} handler its name
 * @throws {Refusal} the payload is no JSON, or does not keep to the schema: that is the caller's fault; or the schema cannot be
 *   followed: that is the handler's
 */
export function requireValid(payload, schema, Validator, handler) {
  const { valid, errors } = validate(parseJson(payload, `the handler ${handler} takes it`), schema, Validator, handler);
  if (valid) return;
  // A fault in a part is told of the whole as well, in general words: only the innermost say what to do.
  const inner = errors.filter(({ instanceLocation: place }) => !errors.some(({ instanceLocation: other }) => other.startsWith(`${place}/`)));
  const faults = inner.slice(0, TOLD_FAULTS).map(({ instanceLocation, error }) => ({ path: instanceLocation.slice(1), message: error }));
  const said = faults.map(({ path, message }) => `${path || '/'}: ${message}`).join(' ');
  throw new Refusal('invalid_payload', `expected a payload that keeps to the schema of handler ${handler}, got one with ${said}`, { extras: { errors: faults } });
}

/**
 * @param {unknown} value
 * @param {object} schema
 * @param {ValidatorClass} Validator
 * @param {string} handler its name
 * @returns {{valid: boolean, errors: Fault[]}}
 * @throws {Refusal} the schema cannot be followed
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
