/**
 * How often a request that waits for a change looks for it, since no store tells. Each look is a query of the store, of
 * which a Worker on the Free plan may make 50 a request (https://developers.cloudflare.com/workers/platform/limits/).
 */

/** The time between two looks: short at first, since most tasks are. */
const FIRST_INTERVAL_MS = 100;
const INTERVAL_GROWTH = 1.5;

/**
 * @param {number} end_ms Unix time of the last look
 * @param {number} longest_ms the longest time between two looks
 * @returns {() => Promise<boolean>} waits until the next look; false at once when the last one is done
 */
export function looksUntil(end_ms, longest_ms) {
  let interval_ms = FIRST_INTERVAL_MS;
  return async () => {
    const left_ms = end_ms - Date.now();
    if (left_ms <= 0) return false;
    await scheduler.wait(Math.min(interval_ms, left_ms));
    interval_ms = Math.min(interval_ms * INTERVAL_GROWTH, longest_ms);
    return true;
  };
}
