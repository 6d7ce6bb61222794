/** What a request asks for, checked: query parameters, and the fields of a batch's tasks. */

import { bounded } from '../text.js';
import { invalidParameter, QUOTED_LENGTH, quoted, Refusal } from './refusal.js';

/** Written as digits only, and exact. */
const DIGITS = /^\d{1,15}$/;

/**
 * @param {URL} url
 * @param {readonly string[]} known the names of those that there may be
 * @returns {Record<string, string>}
 * @throws {Refusal} there is another one, or one comes twice
 */
export function readQuery({ searchParams }, known) {
  /** A handler may call a parameter `__proto__`. @type {Record<string, string>} */
  const query = Object.create(null);
  for (const [name, value] of searchParams) {
    requireKnown(name, known, 'query parameter');
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
