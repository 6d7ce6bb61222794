/** The backoff: how long a task waits before its next attempt. */

import { MAX_DELAY_SECONDS } from './task.js';

/** The stack's settings, as texts. @typedef {{RETRY_DELAY_SECONDS: string, RETRY_BACKOFF: string, RETRY_MAX_DELAY_SECONDS: string}} Backoff */

/**
 * Returns the first delay, doubled for each further attempt if the backoff is exponential, up to the longest delay. The result is random between half
 * of that and all of it (jitter), so that tasks that failed together do not come back together.
 *
 * @param {number} attempts the number of failed attempts, 1 or more
 * @param {Backoff} env
 * @param {() => number} [random] a number from 0 to 1
 * @returns {number} whole seconds, from 0 to the longest delay of a queue's message
 */
export function retryDelaySeconds(attempts, { RETRY_DELAY_SECONDS, RETRY_BACKOFF, RETRY_MAX_DELAY_SECONDS }, random = Math.random) {
  const growth = RETRY_BACKOFF === 'exponential' ? 2 ** (attempts - 1) : 1;
  const delay_seconds = Math.min(Number(RETRY_DELAY_SECONDS) * growth, Number(RETRY_MAX_DELAY_SECONDS), MAX_DELAY_SECONDS);
  return Math.ceil(Math.max(delay_seconds, 0) * (1 + random()) / 2);
}

/** The delay of a task whose store does not answer. It doubles each time in a row, up to two minutes. */
const FIRST_RETURN_SECONDS = 1;
const LONGEST_RETURN_SECONDS = 120;

/**
 * @param {number} times how often in a row the store did not answer, 1 or more
 * @returns {number} between half of the delay and all of it, for the same reason
 */
export function returnSeconds(times) {
  return Math.min(FIRST_RETURN_SECONDS * 2 ** times, LONGEST_RETURN_SECONDS) * (1 + Math.random()) / 2;
}

/**
 * @param {unknown} thrown
 * @returns {number | null} the delay that the handler asks for, see `RetryLater`; null if it does not
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
