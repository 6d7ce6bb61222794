/** Looks at something again and again until it is there. Most things come at once, so the first pauses are short; the later ones are long, for
 * each look costs the machine as much as a request of a client. */

import { setTimeout } from 'node:timers/promises';

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 80;

/**
 * @param {number} patience_ms how long to go on
 * @returns {AsyncGenerator<void>} a turn for each look
 */
export async function* looks(patience_ms) {
  const end_ms = Date.now() + patience_ms;
  for (let pause_ms = FIRST_PAUSE_MS; Date.now() < end_ms; pause_ms = Math.min(2 * pause_ms, LONGEST_PAUSE_MS)) {
    yield;
    await setTimeout(pause_ms);
  }
}
