/** Describes what a handler threw in words. It may throw any value, even one that cannot be inspected. */

import { bounded } from './text.js';

/** @import { TaskError } from './task.js' */

/** The longest name and the longest message of a stored error, in UTF-16 code units. */
const MAX_NAME_LENGTH = 100;
const MAX_MESSAGE_LENGTH = 1_000;

/** How many errors of an `AggregateError` are described, and how deep causes and such errors are followed. */
const MAX_ERRORS = 10;
const MAX_DEPTH = 4;

/** The text of a value without a text of its own, as JSON or as a string. */
const SAYS_NOTHING = /^(?:|\{\}|null|\[object .*\])$/;

/** The description of a value that cannot be read, such as a revoked proxy. @type {TaskError} */
const UNSHOWABLE = { name: 'Error', message: 'a value that cannot be shown' };

/**
 * Describes a thrown value: its message, its code, its causes and the errors of an aggregate.
 *
 * @param {unknown} thrown
 * @returns {TaskError} the description, within the limits of what is stored, and well-formed
 */
export function describeError(thrown) {
  const { name, message } = describe(thrown, []);
  return { name: bounded(name, MAX_NAME_LENGTH), message: bounded(message, MAX_MESSAGE_LENGTH) };
}

/** An error in an attempt's story. `stack` has only the calls, one on each line. @typedef {TaskError & {stack: string | null, cause: Failure | null}} Failure */

/** The longest stored stack, in UTF-16 code units. */
const MAX_STACK_LENGTH = 2_000;

/** A line of a stack; the lines before repeat the message, in any length. */
const CALL = /^\s+at .*$/gm;

/**
 * Describes a thrown value, where it was thrown, and its causes with theirs.
 *
 * @param {unknown} thrown
 * @param {number} [depth] its depth in the chain of causes
 * @returns {Failure} the description, bounded like that of `describeError`
 */
export function describeFailure(thrown, depth = 0) {
  const isObject = typeof thrown === 'object' && thrown !== null;
  const calls = isObject ? textAt(thrown, 'stack').match(CALL) : null;
  const cause = isObject && depth < MAX_DEPTH - 1 ? valueAt(thrown, 'cause') : undefined;
  return {
    ...describeError(thrown),
    stack: calls && bounded(calls.map((call) => call.trim()).join('\n'), MAX_STACK_LENGTH),
    cause: cause === undefined || cause === null || cause === thrown ? null : describeFailure(cause, depth + 1),
  };
}

/**
 * @param {unknown} thrown
 * @param {unknown[]} outer the errors of which this one is a cause or a part
 * @returns {TaskError}
 */
function describe(thrown, outer) {
  try {
    switch (typeof thrown) {
      case 'string': return { name: 'Error', message: thrown.trim() === '' ? 'an empty text was thrown' : thrown };
      case 'object': return thrown === null ? { name: 'Error', message: 'null was thrown' } : describeObject(thrown, outer);
      case 'function': return { name: 'Error', message: `a function was thrown: ${bounded(String(thrown), MAX_NAME_LENGTH)}` };
      default: return { name: 'Error', message: `${String(thrown)} was thrown` };
    }
  } catch {
    return UNSHOWABLE;
  }
}

/**
 * @param {object} thrown
 * @param {unknown[]} outer
 * @returns {TaskError}
 */
function describeObject(thrown, outer) {
  if (isA(thrown, Response)) return { name: 'Response', message: `a response was thrown: ${thrown.status} ${thrown.statusText}`.trimEnd() };
  const own = textAt(thrown, 'message');
  const code = codeOf(thrown);
  const said = own + (code !== null && !own.includes(code) ? ` (code ${code})` : '');
  const parts = [...(said === '' ? [] : [said.trim()]), ...(outer.length < MAX_DEPTH ? inner(thrown, [...outer, thrown]) : [])];
  if (parts.length === 0) parts.push(asText(thrown));
  return { name: nameOf(thrown), message: parts.join('; ') };
}

/**
 * @param {object} thrown
 * @param {unknown[]} outer including this one
 * @returns {string[]} sentences on its parts and its causes
 */
function inner(thrown, outer) {
  const given = valueAt(thrown, 'errors');
  const errors = Array.isArray(given) || isA(given, Set) ? [...given] : [];
  const cause = valueAt(thrown, 'cause');
  // A SuppressedError: the error thrown at the end of a `using`, and the one that it suppressed.
  const suppressed = valueAt(thrown, 'suppressed');
  const error = suppressed === undefined ? undefined : valueAt(thrown, 'error');
  return [
    ...(error === undefined ? [] : [sentence(error, outer)]),
    ...(suppressed === undefined ? [] : [`which suppressed ${sentence(suppressed, outer)}`]),
    ...errors.slice(0, MAX_ERRORS).map((each, index) => `${index + 1}. ${sentence(each, outer)}`),
    ...(errors.length > MAX_ERRORS ? [`and ${errors.length - MAX_ERRORS} more`] : []),
    ...(cause === undefined || cause === null ? [] : [`caused by ${sentence(cause, outer)}`]),
  ];
}

/**
 * @param {unknown} thrown
 * @param {unknown[]} outer
 */
function sentence(thrown, outer) {
  if (outer.includes(thrown)) return 'itself';
  const { name, message } = describe(thrown, outer);
  // Bounded here too, so that causes of megabytes are not joined before they are cut.
  return bounded(`${name}: ${message}`, MAX_MESSAGE_LENGTH);
}

/**
 * @param {object} thrown
 * @returns {string} its own name, or that of its class if that says more
 */
function nameOf(thrown) {
  const own = textAt(thrown, 'name');
  if (own !== '' && own !== 'Error') return own;
  const ofClass = valueAt(thrown, 'constructor');
  const name = typeof ofClass === 'function' ? textAt(ofClass, 'name') : '';
  return name === '' || name === 'Object' ? 'Error' : name;
}

/**
 * @param {object} thrown
 * @returns {string | null} the code, such as `ECONNREFUSED`; the numeric code of a `DOMException` adds nothing to its name
 */
function codeOf(thrown) {
  if (isA(thrown, DOMException)) return null;
  const code = valueAt(thrown, 'code');
  return (typeof code === 'string' && code !== '') || typeof code === 'number' || typeof code === 'bigint' ? String(code) : null;
}

/** @param {object} thrown a value without a message; its fields may describe it, or its own text */
function asText(thrown) {
  const isError = isA(thrown, Error);
  for (const show of isError ? [JSON.stringify] : [JSON.stringify, String]) {
    try {
      const text = show(thrown);
      if (typeof text === 'string' && !SAYS_NOTHING.test(text)) return `${isError ? 'no message; its fields are' : 'a value was thrown:'} ${text}`;
    } catch {
      // fall back to the next description
    }
  }
  return isError ? 'no message' : `a value was thrown: ${Object.prototype.toString.call(thrown)}`;
}

/**
 * @param {object} object
 * @param {string} key
 * @returns {string} the text; empty if there is none
 */
function textAt(object, key) {
  const value = valueAt(object, key);
  return typeof value === 'string' ? value : '';
}

/**
 * @param {any} object
 * @param {string} key
 * @returns {unknown} the value; undefined if it cannot be read
 */
function valueAt(object, key) {
  try {
    return object[key];
  } catch {
    return undefined;
  }
}

/**
 * @template Kind
 * @param {unknown} value
 * @param {abstract new (...parameters: any[]) => Kind} Class
 * @returns {value is Kind} false if it cannot be determined
 */
function isA(value, Class) {
  try {
    return value instanceof Class;
  } catch {
    return false;
  }
}
