/** Ends work early: by a time limit, by a signal, or because its result is no longer needed. */

export class Cancellation {
  /** Created when it is first used: most work does not use it, and creating one takes more CPU time than the rest of an attempt.
   *
   * @type {AbortController | null}
   */
  #controller = null;

  /** Set once the work is cancelled. @type {{reason: unknown} | null} */
  #cancelled = null;

  /** Rejects the promise that waits for the work. @type {(reason: unknown) => void} */
  #reject = () => {};

  /** @returns {AbortSignal} the signal that tells the work that its result is no longer needed */
  get signal() {
    this.#controller ??= new AbortController();
    if (this.#cancelled) this.#controller.abort(this.#cancelled.reason);
    return this.#controller.signal;
  }

  /**
   * Cancels the work. A second call changes nothing.
   *
   * @param {unknown} reason
   */
  cancel(reason) {
    if (this.#cancelled) return;
    this.#cancelled = { reason };
    this.#controller?.abort(reason);
    this.#reject(reason);
  }

  /** @param {AbortSignal} signal a signal; when it is aborted, the work is cancelled too */
  follow(signal) {
    if (signal.aborted) this.cancel(signal.reason);
    else signal.addEventListener('abort', () => this.cancel(signal.reason), { once: true });
  }

  /**
   * Waits for work until it is done, cancelled or out of time, whether or not the work obeys the signal.
   *
   * @template Result
   * @param {number} limit_seconds
   * @param {() => Result | Promise<Result>} work
   * @returns {Promise<Result>}
   * @throws {DOMException} a `TimeoutError`: the time limit is reached
   * @throws  the reason of the cancellation
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
