/** Tells the store how far attempts have come, and the attempts which of them have lost their task. */

/** @import { Store } from './stores/store.js' */
/** @import { AttemptName, Progress } from './task.js' */

/** An attempt that is running. @typedef {AttemptName & {news: Progress | null, abort: (reason: Error) => void}} Running */

/**
 * The first report, and the longest time between two. In between it is a fifth of the batch's age, so that a batch takes
 * fewer than 50 reports: an invocation has as many D1 queries on the Free plan
 * (https://developers.cloudflare.com/d1/platform/limits/).
 */
const FIRST_REPORT_MS = 1_000;
const LONGEST_INTERVAL_MS = 60_000;
const INTERVAL_PER_AGE = 0.2;

export class Heartbeat {
  /** @type {Set<Running>} */
  #running = new Set();
  #started_ms = Date.now();
  /** @type {number | null} */
  #timer = null;

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
  }

  /** @param {Running} attempt */
  add(attempt) {
    this.#running.add(attempt);
    this.#timer ??= setTimeout(() => this.#beat(), FIRST_REPORT_MS);
  }

  /** @param {Running} attempt that has ended */
  remove(attempt) {
    this.#running.delete(attempt);
    if (this.#running.size === 0) clearTimeout(this.#timer);
  }

  async #beat() {
    await this.#report();
    const age_ms = Date.now() - this.#started_ms;
    const interval_ms = Math.min(Math.max(age_ms * INTERVAL_PER_AGE, FIRST_REPORT_MS), LONGEST_INTERVAL_MS);
    if (this.#running.size > 0) this.#timer = setTimeout(() => this.#beat(), interval_ms);
  }

  async #report() {
    const attempts = [...this.#running];
    try {
      const belonging = await this.store.report(attempts.map(({ taskId, run, attempts: number, news }) => ({ taskId, run, attempts: number, progress: news })));
      for (const attempt of attempts) {
        attempt.news = null;
        if (!belonging.has(attempt.taskId)) attempt.abort(Object.assign(new Error('the task was cancelled, or taken over'), { name: 'Cancelled' }));
      }
    } catch (error) {
      console.warn('progress not kept; the next report comes', { error: String(error) });
    }
  }
}
