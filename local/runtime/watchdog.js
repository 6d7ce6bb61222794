/** Notices when workerd answers no more: it has one thread, and a Worker that never ends keeps it from everyone. */

const PING_INTERVAL_MS = 5_000;

export class Watchdog {
  #ready;
  #ping;
  #bite;
  #limitMs;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #next;

  /**
   * @param {() => Promise<unknown>} ready resolves when it runs; a start takes as long as it takes
   * @param {() => Promise<unknown>} ping
   * @param {() => void} bite what to do when a ping stays unanswered
   * @param {number} limitMs for how long it may
   */
  constructor(ready, ping, bite, limitMs) {
    this.#ready = ready;
    this.#ping = ping;
    this.#bite = bite;
    this.#limitMs = limitMs;
  }

  start() {
    this.#next = setTimeout(() => this.#watch(), PING_INTERVAL_MS);
  }

  stop() {
    clearTimeout(this.#next);
    this.#next = undefined;
  }

  async #watch() {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let limit;
    try {
      await this.#ready();
      limit = setTimeout(this.#bite, this.#limitMs);
      await this.#ping();
    } catch {
      // It crashed or is being reloaded, which others take care of.
    } finally {
      clearTimeout(limit);
      if (this.#next) this.start();
    }
  }
}
