/** Ends work before it is done: by a time limit, by a signal, or because nobody needs it any more. */

export class Cancellation {
  /** Made when it is asked for: most work asks for none, and one costs a task more CPU time than all else of its attempt.
   *
   * @type {AbortController | null} */
  #controller = null;

  /** Set once it is cancelled. @type {{reason: unknown} | null} */
  #cancelled = null;

  /** Rejects what waits for the work. @type {(reason: unknown) => void} */
  #reject = () => {};

  /** @returns {AbortSignal} that tells the work that nobody waits for it any more */
  get signal() {
    this.#controller ??= new AbortController();
    if (this.#cancelled) this.#controller.abort(this.#cancelled.reason);
    return this.#controller.signal;
  }

  /**
   * Ends the work. A second call changes nothing.
   *
   * @param {unknown} reason
   */
  cancel(reason) {
    if (this.#cancelled) return;
    this.#cancelled = { reason };
    this.#controller?.abort(reason);
    this.#reject(reason);
  }

  /** @param {AbortSignal} signal whose abortion ends the work, too */
  follow(signal) {
    if (signal.aborted) this.cancel(signal.reason);
    else signal.addEventListener('abort', () => this.cancel(signal.reason), { once: true });
  }

  /**
   * Waits for work until it is done, cancelled or out of time, whether or not the work heeds the signal.
   *
   * @template Result
   * @param {number} limit_seconds
   * @param {() => Result | Promise<Result>} work
   * @returns {Promise<Result>}
   * @throws {DOMException} a `TimeoutError`: the time is up
   * @throws the reason that it was cancelled for
   */
  async limit(limit_seconds, work) {
    const timer = setTimeout(() => {
      this.cancel(new DOMException(`expected an end within ${limit_seconds} seconds, got none`, 'TimeoutError'));
    }, limit_seconds * 1000);
    try {
      return await new Promise((resolve, reject) => {
        this.#reject = reject;
        if (this.#cancelled) reject(this.#cancelled.reason);
        else Promise.resolve(work()).then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }
}
