/** Detects that workerd no longer answers: it has one thread, and a Worker that never ends blocks everyone. */

const PING_INTERVAL_MS = 5_000;

export class Watchdog {
  #ready;
  #ping;
  #bite;
  #limitMs;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #next;

  /**
   * @param {() => Promise<unknown>} ready resolves when it is running; a start may take any time
   * @param {() => Promise<unknown>} ping
   * @param {() => void} bite called when a ping is not answered in time
   * @param {number} limitMs the time limit of a ping
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
      // It crashed or is being reloaded, which is handled elsewhere.
    } finally {
      clearTimeout(limit);
      if (this.#next) this.start();
    }
  }
}
