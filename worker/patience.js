/** Retries when the platform does not answer. */

/** The wait after the first refusal. It doubles with each further one, up to the longest, and is random between half of that and all of it, so that
 * callers refused together do not come back together. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

/** KV accepts one write of a key a second (https://developers.cloudflare.com/kv/platform/limits/): an earlier retry is useless. */
const TOO_MANY_WAIT_MS = 1_000;

/**
 * Retries until there is an answer.
 *
 * @template Answer
 * @param {number} patience_seconds how long to retry; 0: one try
 * @param {() => Promise<Answer>} ask the call, which must be safe to repeat
 * @param {(error: unknown) => boolean} isPassing whether to retry after an error
 * @returns {Promise<Answer>}
 * @throws  the last error
 */
export async function patiently(patience_seconds, ask, isPassing) {
  const end_ms = Date.now() + patience_seconds * 1000;
  for (let refusals = 0; ; refusals++) {
    try {
      return await ask();
    } catch (error) {
      const wait_ms = waitAfter(refusals, error);
      if (!isPassing(error) || Date.now() + wait_ms > end_ms) throw error;
      await new Promise((resolve) => { setTimeout(resolve, wait_ms); });
    }
  }
}

/**
 * @param {number} refusals the number of refusals before this one
 * @param {unknown} error
 */
function waitAfter(refusals, error) {
  const shortest_ms = String(error).includes('429') ? TOO_MANY_WAIT_MS : 0;
  return shortest_ms + Math.min(FIRST_WAIT_MS * 2 ** refusals, LONGEST_WAIT_MS) * (1 + Math.random()) / 2;
}
