/** Lists the tasks of a KV namespace, newest first. KV lists keys in ascending order only, so this lists prefix by prefix, the last prefix first. */

import { timePrefix } from '../task_id.js';

/** @import { Kv } from './patient_kv.js' */

/** The most list operations of one walk: they are expensive. */
const LISTS = 20;

/** The digits of an id that are its time, and with how many of them a walk begins: 50 days, many times a task's life. */
const TIME_DIGITS = 12;
const ROOT_DIGITS = 4;
const ROOT_MS = 16 ** (TIME_DIGITS - ROOT_DIGITS);

/** The clocks of isolates may differ by this much. */
const SKEW_MS = 60_000;

const DIGITS_LAST_FIRST = [...'fedcba9876543210'];

/** Appended to a text, it sorts after every id that begins with the text. */
const AFTER = 'g';

/**
 * @param {Kv} kv
 * @param {string | null} cursor only ids before it
 * @returns {{keys: AsyncGenerator<KVNamespaceListKey<any>>, stoppedAt: () => string | null}} keys in descending order; at the end the cursor at which
 *   to continue when the walk has used up its lists, null when it has reached the end
 */
export function newestFirst(kv, cursor) {
  const now_ms = Date.now() + SKEW_MS;
  const before = cursor ?? timePrefix(now_ms);
  let lists = 0;
  /** @type {string | null} */
  let stoppedAt = null;

  /**
   * @param {string} digits
   * @returns {AsyncGenerator<KVNamespaceListKey<any>>}
   */
  async function* descend(digits) {
    const prefix = idPrefix(digits);
    if (prefix >= before) return;
    if (lists === LISTS) {
      stoppedAt ??= prefix + AFTER;
      return;
    }
    lists++;
    const { keys, list_complete } = await kv.list({ prefix });
    if (list_complete || digits.length === TIME_DIGITS) yield* keys.filter(({ name }) => name < before).reverse();
    else for (const digit of DIGITS_LAST_FIRST) yield* descend(digits + digit);
  }

  async function* walk() {
    for (const time_ms of [now_ms, now_ms - ROOT_MS]) yield* descend(timeDigits(time_ms).slice(0, ROOT_DIGITS));
  }
  return { keys: walk(), stoppedAt: () => stoppedAt };
}

/** @param {number} time_ms */
function timeDigits(time_ms) {
  return timePrefix(time_ms).replace('-', '');
}

/** @param {string} digits the first digits of an id */
function idPrefix(digits) {
  const dash = timePrefix(0).indexOf('-');
  return digits.length > dash ? `${digits.slice(0, dash)}-${digits.slice(dash)}` : digits;
}
