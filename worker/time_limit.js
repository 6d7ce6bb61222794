/** Work that may take so long and no longer. */

/**
 * Ends with the work, when its time is up or when it is called off, whether or not the work heeds its signal.
 *
 * @template Result
 * @param {number} limit_seconds
 * @param {AbortController} ending whoever calls the work off aborts it, and so does the end of its time
 * @param {(signal: AbortSignal) => Result | Promise<Result>} work is told by the signal that nobody waits for it any more
 * @returns {Promise<Result>}
 * @throws {DOMException} a `TimeoutError`: its time is up
 * @throws the reason that it was called off for
 */
export async function withinTime(limit_seconds, ending, work) {
  const timer = setTimeout(() => {
    ending.abort(new DOMException(`expected an end within ${limit_seconds} seconds, got none`, 'TimeoutError'));
  }, limit_seconds * 1000);
  try {
    return await Promise.race([aborted(ending.signal), work(ending.signal)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {AbortSignal} signal
 * @returns {AbortController} one that is aborted with the signal, and can be by itself
 */
export function following(signal) {
  const controller = new AbortController();
  signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
  return controller;
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<never>}
 */
function aborted(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
