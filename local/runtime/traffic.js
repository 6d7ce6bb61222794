/** Counts invocations on their way into a process, so that its end can wait for them, and holds them back while another process takes over. */

/** @typedef {{answered: () => void, leave: () => void}} Visit what is to be called once it is answered, and at its end */

export class Traffic {
  /** The number of all invocations so far. */
  begun = 0;
  /** When the last invocation ended, in Unix milliseconds. */
  lastLeft = Date.now();
  #unanswered = 0;
  #inside = 0;
  /** @type {Promise<void> | null} */
  #closed = null;
  #open = () => {};
  /** @type {{isOver: () => boolean, resolve: () => void}[]} */
  #waiting = [];

  get isIdle() {
    return this.#inside === 0;
  }

  /**
   * Waits while traffic is held back, then counts one invocation.
   *
   * @returns {Promise<Visit>}
   */
  async enter() {
    while (this.#closed) await this.#closed;
    this.begun += 1;
    this.#inside += 1;
    this.#unanswered += 1;
    let [isAnswered, hasLeft] = [false, false];
    const answered = () => {
      if (isAnswered) return;
      isAnswered = true;
      this.#unanswered -= 1;
      this.#look();
    };
    const leave = () => {
      if (hasLeft) return;
      hasLeft = true;
      answered();
      this.#inside -= 1;
      this.lastLeft = Date.now();
      this.#look();
    };
    return { answered, leave };
  }

  /** Waits until traffic is no longer held back. */
  async opened() {
    await this.#closed;
  }

  /** Holds back all invocations from now on. */
  hold() {
    if (this.#closed) return;
    this.#closed = new Promise((resolve) => (this.#open = resolve));
  }

  release() {
    this.#closed = null;
    this.#open();
  }

  /**
   * Waits until all present requests have been answered, or the time is up: a stream may never end.
   *
   * @param {number} milliseconds
   */
  answered(milliseconds) {
    return this.#until(() => this.#unanswered === 0, milliseconds);
  }

  /**
   * Waits until all invocations have ended, or the time is up.
   *
   * @param {number} milliseconds
   */
  left(milliseconds) {
    return this.#until(() => this.#inside === 0, milliseconds);
  }

  /**
   * @param {() => boolean} isOver
   * @param {number} milliseconds
   */
  async #until(isOver, milliseconds) {
    if (isOver()) return;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    await /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        this.#waiting.push({ isOver, resolve });
        timer = setTimeout(resolve, milliseconds);
      })
    );
    clearTimeout(timer);
  }

  #look() {
    this.#waiting = this.#waiting.filter(({ isOver, resolve }) => {
      if (!isOver()) return true;
      resolve();
      return false;
    });
  }
}
