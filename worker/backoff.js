/** How long a task waits before it is attempted again. */

import { MAX_DELAY_SECONDS } from './task.js';

/** The stack's settings, as text. @typedef {{RETRY_DELAY_SECONDS: string, RETRY_BACKOFF: string, RETRY_MAX_DELAY_SECONDS: string}} Backoff */

/**
 * The first wait, doubled with each further attempt where the backoff is exponential, up to the longest. Of that it is
 * between half and all, so that tasks that failed together do not come back together.
 *
 * @param {number} attempts how many have failed, 1 or more
 * @param {Backoff} env
 * @param {() => number} [random] from 0 to 1
 * @returns {number} whole seconds, from 0 to what a queue can delay a message
 */
export function retryDelaySeconds(attempts, { RETRY_DELAY_SECONDS, RETRY_BACKOFF, RETRY_MAX_DELAY_SECONDS }, random = Math.random) {
  const growth = RETRY_BACKOFF === 'exponential' ? 2 ** (attempts - 1) : 1;
  const delay_seconds = Math.min(Number(RETRY_DELAY_SECONDS) * growth, Number(RETRY_MAX_DELAY_SECONDS), MAX_DELAY_SECONDS);
  return Math.ceil(Math.max(delay_seconds, 0) * (1 + random()) / 2);
}

/** When a task comes again whose store is away: doubled with each time in a row, up to two minutes. */
const FIRST_RETURN_SECONDS = 1;
const LONGEST_RETURN_SECONDS = 120;

/**
 * @param {number} times in a row that the store was away, 1 or more
 * @returns {number} between half and all of the wait, for the same reason
 */
export function returnSeconds(times) {
  return Math.min(FIRST_RETURN_SECONDS * 2 ** times, LONGEST_RETURN_SECONDS) * (1 + Math.random()) / 2;
}

/**
 * @param {unknown} thrown
 * @returns {number | null} after how long the handler asks to be run again, see `RetryLater`; null when it does not say
 */
export function chosenDelaySeconds(thrown) {
  try {
    const { retry_after_seconds } = /** @type {{retry_after_seconds?: unknown}} */ (thrown ?? {});
    if (typeof retry_after_seconds !== 'number' || !(retry_after_seconds >= 0)) return null;
    return Math.min(Math.ceil(retry_after_seconds), MAX_DELAY_SECONDS);
  } catch {
    return null;
  }
}

/** @param {unknown} thrown */
export function isPermanent(thrown) {
  try {
    return /** @type {{permanent?: unknown} | null | undefined} */ (thrown)?.permanent === true;
  } catch {
    return false;
  }
}
