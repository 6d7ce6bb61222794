/** Asking the platform again when it does not answer. */

/** The wait after the first refusal, doubled with each further one, up to the longest; of that it is between half and all, so
 * that those who were refused together do not come back together. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

/** KV takes one write a second of a key (https://developers.cloudflare.com/kv/platform/limits/): sooner is in vain. */
const TOO_MANY_WAIT_MS = 1_000;

/**
 * Asks until there is an answer.
 *
 * @template Answer
 * @param {number} patience_seconds how long to go on asking; 0: once
 * @param {() => Promise<Answer>} ask which may be done several times
 * @param {(error: unknown) => boolean} isPassing whether to ask again after an error
 * @returns {Promise<Answer>}
 * @throws the last error
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
 * @param {number} refusals before this one
 * @param {unknown} error
 */
function waitAfter(refusals, error) {
  const shortest_ms = String(error).includes('429') ? TOO_MANY_WAIT_MS : 0;
  return shortest_ms + Math.min(FIRST_WAIT_MS * 2 ** refusals, LONGEST_WAIT_MS) * (1 + Math.random()) / 2;
}
