/** Notices when workerd answers no more: it has one thread, and a Worker that never ends keeps it from everyone. */

const PING_INTERVAL_MS = 5_000;

export class Watchdog {
  #ping;
  #bite;
  #limitMs;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #next;

  /**
   * @param {() => Promise<unknown>} ping
   * @param {() => void} bite what to do when a ping stays unanswered
   * @param {number} limitMs for how long it may
   */
  constructor(ping, bite, limitMs) {
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
    const limit = setTimeout(this.#bite, this.#limitMs);
    try {
      await this.#ping();
    } catch {
      // It crashed or is being reloaded, which others take care of.
    } finally {
      clearTimeout(limit);
      if (this.#next) this.start();
    }
  }
}
