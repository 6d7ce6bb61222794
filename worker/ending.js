/** How work comes to an end before it is done. */

export class Ending {
  /** Made when it is asked for: most work asks for none, and one costs a task more CPU time than all else of its attempt.
   *
   * @type {AbortController | null} */
  #controller = null;

  /** What it came for, once it has come. @type {{reason: unknown} | null} */
  #come = null;

  /** Rejects what waits for the work. @type {(reason: unknown) => void} */
  #reject = () => {};

  /** @returns {AbortSignal} that tells the work that nobody waits for it any more */
  get signal() {
    this.#controller ??= new AbortController();
    if (this.#come) this.#controller.abort(this.#come.reason);
    return this.#controller.signal;
  }

  /**
   * Lets the end come; another one later changes nothing.
   *
   * @param {unknown} reason
   */
  come(reason) {
    if (this.#come) return;
    this.#come = { reason };
    this.#controller?.abort(reason);
    this.#reject(reason);
  }

  /** @param {AbortSignal} signal with whose abortion it comes too */
  follow(signal) {
    if (signal.aborted) this.come(signal.reason);
    else signal.addEventListener('abort', () => this.come(signal.reason), { once: true });
  }

  /**
   * Waits for work, but not longer than until the end has come or a time is up, whether or not the work heeds the signal.
   *
   * @template Result
   * @param {number} limit_seconds
   * @param {() => Result | Promise<Result>} work
   * @returns {Promise<Result>}
   * @throws {DOMException} a `TimeoutError`: the time is up
   * @throws the reason that the end came for
   */
  async limit(limit_seconds, work) {
    const timer = setTimeout(() => {
      this.come(new DOMException(`expected an end within ${limit_seconds} seconds, got none`, 'TimeoutError'));
    }, limit_seconds * 1000);
    try {
      return await new Promise((resolve, reject) => {
        this.#reject = reject;
        if (this.#come) reject(this.#come.reason);
        else Promise.resolve(work()).then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }
}
