/** Time and chance that a test decides: a day passes in no time, and the same seed gives the same run. */

import { AsyncLocalStorage } from 'node:async_hooks';

const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis;
const { now } = Date;
const { random } = Math;

/** Whose timers they are: those of the dead do not go off. @typedef {{isDead: boolean}} Owner */

/** @type {AsyncLocalStorage<Owner>} */
const OWNERS = new AsyncLocalStorage();

/**
 * Does work of something that may die.
 *
 * @template Result
 * @param {Owner} owner
 * @param {() => Result} work
 */
export function within(owner, work) {
  return OWNERS.run(owner, work);
}

/**
 * Does work whose timers go off whoever dies.
 *
 * @template Result
 * @param {() => Result} work
 */
export function outlasting(work) {
  return OWNERS.exit(work);
}

export class Clock {
  now_ms;
  #ids = 0;
  /** @type {Map<number, {at_ms: number, fire: () => void, owner: Owner | undefined}>} */
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
    const stop = (/** @type {any} */ id) => { this.#timers.delete(id); };
    const begin = (/** @type {() => void} */ call, wait_ms = 0, /** @type {any[]} */ ...parameters) => (
      this.#add(++this.#ids, wait_ms, /** @type {any} */ (call).bind(null, ...parameters))
    );
    const beginMany = (/** @type {() => void} */ call, wait_ms = 0) => {
      const id = ++this.#ids;
      const again = () => {
        this.#add(id, wait_ms, again);
        call();
      };
      return this.#add(id, wait_ms, again);
    };
    Object.assign(globalThis, { setTimeout: begin, clearTimeout: stop, setInterval: beginMany, clearInterval: stop });
    Date.now = () => Math.floor(this.now_ms);
    Math.random = this.random;
    Object.defineProperty(crypto, 'randomUUID', { configurable: true, value: () => uuid(this.random) });
  }

  uninstall() {
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
    Date.now = now;
    Math.random = random;
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

  /**
   * @param {number} id
   * @param {number} wait_ms
   * @param {() => void} fire
   */
  #add(id, wait_ms, fire) {
    this.#timers.set(id, { at_ms: this.now_ms + Math.max(Number(wait_ms) || 0, 0), fire, owner: OWNERS.getStore() });
    return id;
  }

  /** @returns {[number, {at_ms: number, fire: () => void}] | null} the timer that is due first */
  #next() {
    let first = null;
    for (const entry of this.#timers) {
      if (entry[1].owner?.isDead) this.#timers.delete(entry[0]);
      else if (!first || entry[1].at_ms < first[1].at_ms) first = entry;
    }
    return first;
  }
}

/** @returns {Promise<void>} once nothing more happens without the clock */
function settled() {
  return new Promise((resolve) => { setImmediate(resolve); });
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
