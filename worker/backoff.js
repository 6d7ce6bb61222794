/** How long a task waits before it is attempted again. */

import { MAX_DELAY_SECONDS } from './task.js';

/** @typedef {{RETRY_DELAY_SECONDS: string, RETRY_BACKOFF: string, RETRY_MAX_DELAY_SECONDS: string}} Settings */

/**
 * @param {number} attempts how many have failed, at least 1
 * @param {Settings} settings the stack's
 * @param {() => number} [random] from 0 to 1
 * @returns {number} whole seconds: the first wait, doubled with each attempt where the backoff is exponential, up to the
 *   longest; of that between half and all of it, so that tasks that failed together do not come back together
 */
export function retryDelaySeconds(attempts, { RETRY_DELAY_SECONDS, RETRY_BACKOFF, RETRY_MAX_DELAY_SECONDS }, random = Math.random) {
  const growth = RETRY_BACKOFF === 'exponential' ? 2 ** (attempts - 1) : 1;
  const longest = Math.min(Number(RETRY_MAX_DELAY_SECONDS), MAX_DELAY_SECONDS);
  const delay_seconds = Math.min(Number(RETRY_DELAY_SECONDS) * growth, longest);
  return Math.ceil(delay_seconds * (1 + random()) / 2);
}
