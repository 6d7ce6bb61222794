/** Converts a handler's result to the JSON that is stored with its task. */

import { MAX_RESULT_BYTES } from './task.js';
import { describeError } from './thrown.js';

const ENCODER = new TextEncoder();

/** Objects that JSON writes as the primitive they hold. */
const BOXED = ['[object Number]', '[object String]', '[object Boolean]'];

/**
 * @param {unknown} result what a handler returned; undefined becomes null
 * @returns {string} JSON
 * @throws {TypeError} JSON cannot represent it; the error says which value and where
 * @throws {RangeError} it is longer than a result may be
 */
export function resultJson(result) {
  return keptJson(result, MAX_RESULT_BYTES);
}

/**
 * @param {unknown} result what a handler or a step returned; undefined becomes null
 * @param {number} limit_bytes
 * @returns {string} JSON
 * @throws {TypeError} JSON cannot represent it
 * @throws {RangeError} it is longer than the limit
 */
export function keptJson(result, limit_bytes) {
  const json = stringified(result ?? null);
  const length = ENCODER.encode(json).byteLength;
  if (length > limit_bytes) throw new RangeError(`expected a result of at most ${limit_bytes} bytes as JSON, got ${length}`);
  return json;
}

/**
 * @param {unknown} result
 * @returns {string}
 */
function stringified(result) {
  try {
    const json = JSON.stringify(result);
    if (typeof json === 'string' && isPlain(result)) return json;
  } catch {
    // the error's cause is found below
  }
  return stringifiedWithCare(result);
}

/**
 * Checks a value much faster than a replacer of `JSON.stringify` could, and as deeply as recursion allows.
 *
 * @param {unknown} result a value that JSON.stringify has written, so that it has no cycle
 * @returns {boolean} whether nothing in it needs a closer check
 */
function isPlain(result) {
  const left = [result];
  while (left.length > 0) {
    const value = /** @type {any} */ (left.pop());
    if (typeof value === 'function' || typeof value === 'symbol') return false;
    if (typeof value !== 'object' || value === null) continue;
    if (typeof value.toJSON === 'function' || unwritable(value, value)) return false;
    if (!isTypedArray(value)) for (const each of Object.values(value)) left.push(each);
  }
  return true;
}

/**
 * @param {unknown} result
 * @returns {string}
 * @throws {TypeError}
 */
function stringifiedWithCare(result) {
  /** @type {string | null} */
  let fault = null;
  /** The paths of the objects that are being written. @type {WeakMap<object, string>} */
  const places = new WeakMap();
  /** @type {(this: any, key: string, value: unknown) => unknown} */
  const check = function (key, value) {
    const place = places.has(this) ? `${places.get(this)}${Array.isArray(this) ? `[${key}]` : `.${key}`}` : 'result';
    const kind = unwritable(value, this[key]);
    if (kind) fault ??= `${kind} at ${place}`;
    if (typeof value === 'object' && value !== null) places.set(value, place);
    return value;
  };
  let json = 'null';
  try {
    json = JSON.stringify(result, check) ?? json;
  } catch (error) {
    fault ??= `one that it cannot: ${reasonOf(error)}`;
  }
  if (fault !== null) throw new TypeError(`expected a result that JSON can hold, got ${fault}`);
  return json;
}

/**
 * Finds a value that JSON would omit, or write without its contents. Properties that are undefined are omitted as usual, and NaN and infinite numbers
 * become null.
 *
 * @param {unknown} value the value as its `toJSON` returns it
 * @param {unknown} original
 * @returns {string | null} its kind, in words
 */
function unwritable(value, original) {
  if (original instanceof Date && Number.isNaN(original.getTime())) return 'an invalid Date';
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isTypedArray(value)) return null;
  const tag = Object.prototype.toString.call(value);
  if (tag === '[object Object]' || BOXED.includes(tag) || Object.keys(value).length > 0) return null;
  const kind = tag.slice('[object '.length, -1);
  return `${/^[AEIO]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

/** @param {object} value */
function isTypedArray(value) {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** @param {unknown} error an error thrown by JSON.stringify, a `toJSON` or a getter */
function reasonOf(error) {
  if (error instanceof RangeError && error.message.includes('call stack')) return 'it is nested too deeply';
  const { name, message } = describeError(error);
  return `${name}: ${message.replaceAll(/\s*\n\s*/g, ' ')}`;
}
