/** Invocations on their way into workerd: counted, so that a reload can wait for them, and held while one happens. */

export class Traffic {
  #running = 0;
  /** @type {Promise<void> | null} */
  #closed = null;
  #open = () => {};
  /** @type {(() => void)[]} */
  #onIdle = [];

  /**
   * Waits while traffic is held, then counts one invocation in.
   *
   * @returns {Promise<() => void>} to be called at its end
   */
  async enter() {
    while (this.#closed) await this.#closed;
    this.#running += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#running -= 1;
      if (this.#running === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    };
  }

  /** Lets nobody in from now on. */
  hold() {
    if (this.#closed) return;
    this.#closed = new Promise((resolve) => (this.#open = resolve));
  }

  /**
   * Waits until all that run have left, or the time is up.
   *
   * @param {number} milliseconds
   */
  async drained(milliseconds) {
    if (this.#running === 0) return;
    /** @type {Promise<void>} */
    const idle = new Promise((resolve) => this.#onIdle.push(resolve));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    await Promise.race([idle, new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))]);
    clearTimeout(timer);
  }

  release() {
    this.#closed = null;
    this.#open();
  }
}
