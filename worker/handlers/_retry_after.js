/** The header `Retry-After` (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3). */

import { MAX_DELAY_SECONDS } from '../task.js';

const SECONDS = /^\d{1,15}$/;

/** A date of HTTP in its three forms (https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7): the present one, and two obsolete ones that a recipient
 * must accept too. The last one names no time zone and is also in GMT. */
const DATES = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/**
 * @param {string | null} value null if there is no such header
 * @param {number} now_ms Unix time
 * @returns {number | null} whole seconds from now, 1 to 86,400, which is the longest delay of a task; null if the header cannot be parsed or names a
 *   past time, and the stack's own backoff applies
 */
export function retryAfterSeconds(value, now_ms) {
  const text = value?.trim() ?? '';
  const seconds = SECONDS.test(text) ? Number(text) : Math.ceil((dateOf(text) - now_ms) / 1000);
  return seconds >= 1 ? Math.min(seconds, MAX_DELAY_SECONDS) : null;
}

/**
 * @param {string} text
 * @returns {number} Unix time in milliseconds; NaN if it is no date
 */
function dateOf(text) {
  if (!DATES.some((form) => form.test(text))) return NaN;
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}
