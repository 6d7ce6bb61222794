/** Checks payloads against the JSON Schema that their handler gives. */

import { parseJson } from './payload.js';
import { Refusal } from './refusal.js';

/** @import { Payload } from '../task.js' */

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
 * @throws {Refusal} the payload is no JSON, or does not keep to the schema
 */
export function requireValid(payload, schema, Validator, handler) {
  const validator = VALIDATORS.get(schema) ?? new Validator(schema, '2020-12', false);
  VALIDATORS.set(schema, validator);
  const { valid, errors } = validator.validate(parseJson(payload, `the handler ${handler} takes it`));
  if (valid) return;
  // A fault in a part is told of the whole as well, in general words: only the innermost say what to do.
  const inner = errors.filter(({ instanceLocation: place }) => !errors.some(({ instanceLocation: other }) => other.startsWith(`${place}/`)));
  const faults = inner.slice(0, TOLD_FAULTS).map(({ instanceLocation, error }) => ({ path: instanceLocation.slice(1), message: error }));
  const said = faults.map(({ path, message }) => `${path || '/'}: ${message}`).join(' ');
  throw new Refusal('invalid_payload', `expected a payload that keeps to the schema of handler ${handler}, got one with ${said}`, { extras: { errors: faults } });
}
