/** Tags as requests have them: in a query one by one (`tag=key:value`), in JSON an object. */

import { MAX_TAGS, MAX_TAGS_LENGTH, sortedTags, TAG_KEY, TAG_KEY_IN_WORDS, TAG_VALUE, TAG_VALUE_IN_WORDS } from '../tags.js';
import { invalidParameter, quoted, Refusal } from './reply.js';
import { isObject } from './request.js';

/** @import { Tags } from '../tags.js' */

/** The query parameter, which may come several times, and the field. */
export const TAG = 'tag';
const FIELD = 'tags';

/**
 * @param {URL} url
 * @returns {Tags | null} null: there are none
 * @throws {Refusal}
 */
export function tagsOfQuery({ searchParams }) {
  const texts = searchParams.getAll(TAG);
  const pairs = texts.map((text) => {
    const colon = text.indexOf(':');
    if (colon < 0) throw invalidParameter(TAG, 'a key and a value, such as customer:acme', text);
    return /** @type {const} */ ([text.slice(0, colon), text.slice(colon + 1)]);
  });
  const keys = pairs.map(([key]) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) throw invalidParameter(TAG, `one of each key, and ${quoted(twice)} comes more than once`, texts);
  return checkedTags(TAG, Object.fromEntries(pairs));
}

/**
 * @param {unknown} value undefined where it is not given
 * @returns {Tags | null} null: there are none
 * @throws {Refusal}
 */
export function tagsOfField(value) {
  if (value === undefined) return null;
  if (!isObject(value)) throw invalidParameter(FIELD, 'an object of texts, such as {"customer": "acme"}', value);
  return checkedTags(FIELD, value);
}

/**
 * @param {string} name what the caller calls them
 * @param {Record<string, unknown>} given
 * @returns {Tags | null}
 * @throws {Refusal}
 */
function checkedTags(name, given) {
  const entries = Object.entries(given);
  if (entries.length > MAX_TAGS) throw invalidParameter(name, `at most ${MAX_TAGS} tags`, entries.length);
  let length = 0;
  for (const [key, value] of entries) {
    if (!TAG_KEY.test(key)) throw refusal(name, `expected the key of a tag to be ${TAG_KEY_IN_WORDS}, got ${quoted(key)}`);
    if (typeof value !== 'string' || !TAG_VALUE.test(value)) {
      throw refusal(name, `expected the value of the tag ${key} to be ${TAG_VALUE_IN_WORDS}, got ${quoted(value)}`);
    }
    length += key.length + value.length;
  }
  if (length > MAX_TAGS_LENGTH) throw refusal(name, `expected the keys and values of all tags to have at most ${MAX_TAGS_LENGTH} characters together, got ${length}`);
  return entries.length === 0 ? null : sortedTags(/** @type {Record<string, string>} */ (given));
}

/**
 * @param {string} parameter
 * @param {string} sentence
 */
function refusal(parameter, sentence) {
  return new Refusal('invalid_parameter', sentence, { extras: { parameter } });
}
