/**
 * Task ids are UUIDs of version 7 (RFC 9562 §5.7): 48 bits of Unix time in milliseconds, then 74 random bits.
 * They sort by age, so the primary key is also the index by time.
 */

/** The pattern of an id. */
export const TASK_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const TIMESTAMP_HEX_DIGITS = 12;

/**
 * @param {number} time_ms Unix time in milliseconds
 * @param {string} [ending] the last hexadecimal digits, random by default; tasks that share two are in the same shard, see `shards.js`
 * @returns {string} a new id, unique, in lower case
 */
export function newTaskId(time_ms, ending = '') {
  const random = crypto.randomUUID(); // version 4: it has the same variant, and random digits, after the version
  const id = `${timePrefix(time_ms)}-7${random.slice('xxxxxxxx-xxxx-4'.length)}`;
  return id.slice(0, id.length - ending.length) + ending;
}

/**
 * Returns the text that sorts before every id of that millisecond and after every id of an earlier one.
 *
 * @param {number} time_ms Unix time in milliseconds
 */
export function timePrefix(time_ms) {
  const hex = time_ms.toString(16).padStart(TIMESTAMP_HEX_DIGITS, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/**
 * @param {string} taskId an id made by {@link newTaskId}
 * @returns {number} Unix time of its creation in milliseconds; NaN for another text
 */
export function creationTime(taskId) {
  return Number.parseInt(taskId.slice(0, 8) + taskId.slice(9, 13), 16);
}
