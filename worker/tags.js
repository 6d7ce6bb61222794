/** Tags: pairs of a key and a value, by which tasks are found. */

/** Values by key. @typedef {Readonly<Record<string, string>>} Tags */

/** The most tags of a task, and of a filter. */
export const MAX_TAGS = 8;

/** The patterns of a key and a value. They contain nothing that JSON escapes, because a table searches for tags in their JSON. */
export const TAG_KEY = /^[A-Za-z][A-Za-z0-9_.-]{0,31}$/;
export const TAG_KEY_IN_WORDS = 'a letter, then up to 31 letters, digits, _, . or -';
export const TAG_VALUE = /^[!#-[\]-~]{1,64}$/;
export const TAG_VALUE_IN_WORDS = '1 to 64 visible ASCII characters without " and \\';

/** The most characters of all keys and values of a task in total. With KV they are in the metadata of a key, which has 1,024 bytes
 * (https://developers.cloudflare.com/kv/platform/limits/) and needs up to 370 of them for other things. */
export const MAX_TAGS_LENGTH = 400;

/** @type {Tags} */
export const NO_TAGS = Object.freeze({});

/**
 * @param {Tags} tags
 * @returns {Tags} the tags, sorted by key
 */
export function sortedTags(tags) {
  return Object.fromEntries(Object.entries(tags).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/**
 * @param {Tags | undefined} tags the tags of a task; undefined: it has none
 * @param {Tags} wanted
 * @returns {boolean} whether it has all wanted tags
 */
export function hasTags(tags = NO_TAGS, wanted) {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(tags, key) && tags[key] === value);
}
