/**
 * Task ids are UUIDs of version 7 (RFC 9562 §5.7): 48 bits of Unix time in milliseconds, then 74 random bits.
 * They sort by age, so the primary key is also the index by time.
 */

const TIMESTAMP_HEX_DIGITS = 12;

/**
 * @param {number} time_ms Unix time in milliseconds
 * @returns {string} a new id, unique, in lower case
 */
export function newTaskId(time_ms) {
  const random = crypto.getRandomValues(new Uint8Array(10));
  random[0] = 0x70 | (random[0] ?? 0) & 0x0f; // version 7
  random[2] = 0x80 | (random[2] ?? 0) & 0x3f; // variant 10
  const tail = random.toHex();
  return `${timePrefix(time_ms)}-${tail.slice(0, 4)}-${tail.slice(4, 8)}-${tail.slice(8)}`;
}

/**
 * The text before every id of that millisecond and after every id of an earlier one.
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
