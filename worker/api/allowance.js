/** What an isolate may spend on answers that are looked at again and again, of what the Free plan allows in a day. */

/** The part of a day's allowance that a page which is open all day takes, and how much of it at once: the rest is for the tasks. */
export const DAY_SHARE = 0.3;
export const BURST_SHARE = 0.05;

const DAY_MS = 86_400_000;

export class Allowance {
  #left = BURST_SHARE;
  #at_ms = -Infinity;

  /**
   * @param {number} cost a part of a day's allowance that was spent
   * @param {number} now_ms Unix time
   * @returns {number} after how many milliseconds there is something to spend again; 0 where there is now
   */
  spend(cost, now_ms) {
    this.#left = Math.min(BURST_SHARE, this.#left + (now_ms - this.#at_ms) / DAY_MS * DAY_SHARE) - cost;
    this.#at_ms = now_ms;
    return Math.max(0, -this.#left / DAY_SHARE * DAY_MS);
  }
}
