/** Time and chance that a test decides: a day passes in no time, and the same seed gives the same run. */

const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout, now: Date.now, random: Math.random, setImmediate: globalThis.setImmediate };

export class Clock {
  now_ms;
  #ids = 0;
  /** @type {Map<number, {at_ms: number, fire: () => void}>} */
  #timers = new Map();

  /**
   * @param {number} start_ms Unix time
   * @param {() => number} random from 0 to 1
   */
  constructor(start_ms, random) {
    this.now_ms = start_ms;
    this.random = random;
  }

  /** Takes the place of the process's own clock and chance. */
  install() {
    globalThis.setTimeout = /** @type {any} */ ((/** @type {(...parameters: any[]) => void} */ call, /** @type {number} */ wait_ms = 0, /** @type {any[]} */ ...parameters) => {
      const id = ++this.#ids;
      this.#timers.set(id, { at_ms: this.now_ms + Math.max(Number(wait_ms) || 0, 0), fire: () => call(...parameters) });
      return id;
    });
    globalThis.clearTimeout = /** @type {any} */ ((/** @type {number} */ id) => { this.#timers.delete(id); });
    Date.now = () => Math.floor(this.now_ms);
    Math.random = this.random;
    Object.defineProperty(crypto, 'randomUUID', { configurable: true, value: () => uuid(this.random) });
  }

  uninstall() {
    globalThis.setTimeout = real.setTimeout;
    globalThis.clearTimeout = real.clearTimeout;
    Date.now = real.now;
    Math.random = real.random;
    delete (/** @type {any} */ (crypto).randomUUID);
    this.#timers.clear();
  }

  /** @param {number} wait_ms */
  async advance(wait_ms) {
    const end_ms = this.now_ms + wait_ms;
    await settled();
    for (let next; (next = this.#next()) && next[1].at_ms <= end_ms; ) {
      const [id, { at_ms, fire }] = next;
      this.#timers.delete(id);
      this.now_ms = Math.max(this.now_ms, at_ms);
      fire();
      await settled();
    }
    this.now_ms = end_ms;
  }

  /** @returns {[number, {at_ms: number, fire: () => void}] | null} the timer that is due first */
  #next() {
    let first = null;
    for (const entry of this.#timers) if (!first || entry[1].at_ms < first[1].at_ms) first = entry;
    return first;
  }
}

/** @returns {Promise<void>} once nothing more happens without the clock */
function settled() {
  return new Promise((resolve) => { real.setImmediate(resolve); });
}

/**
 * @param {number} seed
 * @returns {() => number} numbers from 0 to 1, the same ones for the same seed (xorshift, https://www.jstatsoft.org/article/view/v008i14)
 */
export function randomOf(seed) {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** @param {() => number} random */
function uuid(random) {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  digits[12] = '4';
  digits[16] = '8';
  return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
