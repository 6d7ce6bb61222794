/** Reports the progress of a batch's attempts to the store, and stops those attempts that have lost their task. */

/** @import { Store } from './stores/store.js' */
/** @import { AttemptName, Progress } from './task.js' */

/** When the first report is due: most batches have ended by then. */
const FIRST_REPORT_MS = 1_000;

/**
 * The time between two reports: a quarter of the batch's age, with bounds. News are reported earlier, but only a limited number of times. That makes
 * at most 36 reports in {@link MAX_TIMEOUT_SECONDS}: an invocation has 50 queries on the Free plan
 * (https://developers.cloudflare.com/d1/platform/limits/), and claiming ten tasks and writing their outcomes needs twelve.
 */
const INTERVAL_PER_AGE = 0.25;
const SHORTEST_INTERVAL_MS = 2_000;
const LONGEST_INTERVAL_MS = 60_000;
const EARLY_REPORTS = 6;

/** The shortest interval if the store settles slowly. That is KV, which accepts one write of a key a second
 * (https://developers.cloudflare.com/kv/platform/limits/), and the attempt's outcome is a write of the same key. */
const SHORTEST_INTERVAL_SETTLING_MS = 5_000;

/** The most attempts in a report to such a store; the next report has the others. A report is then one read and at most ten writes, out of the 1,000
 * operations of an invocation. Claiming and settling a batch of 100 needs 500. */
const MOST_ATTEMPTS_SETTLING = 10;

/** An attempt that is running. */
export class Running {
  /** The latest progress. @type {Progress | null} */
  progress = null;

  /** The progress that was last reported. @type {Progress | null} */
  reported = null;

  /**
   * @param {AttemptName} attempt
   * @param {(reason: Error) => void} stop
   */
  constructor({ taskId, run, attempts, crashes, claim }, stop) {
    this.name = { taskId, run, attempts, crashes, claim };
    this.stop = stop;
  }

  /** The progress that the store does not know yet; null if there is none. */
  get news() {
    return this.progress === this.reported ? null : this.progress;
  }
}

export class Heartbeat {
  /** @type {Set<Running>} */
  #attempts = new Set();
  #started_ms = Date.now();
  /** When the last report was made. @type {number | null} */
  #reported_ms = null;
  #early_left = EARLY_REPORTS;
  #due_ms = Infinity;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  /** The report in progress. @type {Promise<void> | null} */
  #report = null;

  /** @param {Pick<Store, 'report' | 'settling_seconds'>} store */
  constructor(store) {
    this.store = store;
    const isSettling = store.settling_seconds > 0;
    this.shortest_ms = isSettling ? SHORTEST_INTERVAL_SETTLING_MS : SHORTEST_INTERVAL_MS;
    this.most_attempts = isSettling ? MOST_ATTEMPTS_SETTLING : Infinity;
  }

  /** @param {Running} attempt */
  add(attempt) {
    this.#attempts.add(attempt);
    if (this.#timer === null) this.#schedule(); // without news there is no earlier report
  }

  /**
   * @param {Running} attempt the attempt; one that has ended reports nothing more
   * @param {Progress} progress
   */
  tell(attempt, progress) {
    if (!this.#attempts.has(attempt)) return;
    attempt.progress = progress;
    this.#schedule();
  }

  /** @param {Running} attempt an attempt that has ended */
  remove(attempt) {
    this.#attempts.delete(attempt);
    if (this.#attempts.size === 0) this.#unschedule();
  }

  /** Waits for the report in progress, so that none is written after the outcomes. */
  async settled() {
    await this.#report;
  }

  #schedule() {
    if (this.#report || this.#attempts.size === 0) return;
    const hasNews = [...this.#attempts].some(({ news }) => news);
    const due_ms = hasNews && this.#early_left > 0 ? this.#earliest_ms() : this.#regular_ms();
    if (due_ms >= this.#due_ms) return;
    this.#unschedule();
    this.#due_ms = due_ms;
    this.#timer = setTimeout(() => this.#beat(), due_ms - Date.now());
  }

  #unschedule() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#due_ms = Infinity;
  }

  #beat() {
    if (this.#due_ms < this.#regular_ms()) this.#early_left -= 1;
    this.#unschedule();
    this.#reported_ms = Date.now();
    this.#report = this.#tellStore(this.#takeTurns()).finally(() => {
      this.#report = null;
      this.#schedule();
    });
  }

  /** @returns {Running[]} as many attempts as a report may have: those that have waited longest */
  #takeTurns() {
    const attempts = [...this.#attempts].slice(0, this.most_attempts);
    for (const attempt of attempts) {
      this.#attempts.delete(attempt);
      this.#attempts.add(attempt);
    }
    return attempts;
  }

  #earliest_ms() {
    return this.#reported_ms === null ? this.#started_ms + FIRST_REPORT_MS : this.#reported_ms + this.shortest_ms;
  }

  #regular_ms() {
    if (this.#reported_ms === null) return this.#earliest_ms();
    const interval_ms = (this.#reported_ms - this.#started_ms) * INTERVAL_PER_AGE;
    return this.#reported_ms + Math.min(Math.max(interval_ms, this.shortest_ms), LONGEST_INTERVAL_MS);
  }

  /** @param {Running[]} attempts */
  async #tellStore(attempts) {
    const told = attempts.map(({ progress }) => progress);
    try {
      const standings = await this.store.report(attempts.map(({ name, news }) => ({ ...name, progress: news })));
      attempts.forEach((attempt, index) => {
        const standing = standings.get(attempt.name.taskId);
        if (standing !== 'lost') attempt.reported = told[index] ?? null;
        if (standing === 'superseded') attempt.stop(cancelled());
      });
    } catch (error) {
      console.warn('the progress of a batch was not stored; the next report has it', { error: String(error) });
    }
  }
}

/** @returns {Error} the error given to an attempt that has lost its task */
export function cancelled() {
  return Object.assign(new Error('the task was cancelled, or another attempt has taken it over'), { name: 'Cancelled' });
}
