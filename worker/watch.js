/**
 * Decides when a request that waits for a change looks at the store: at once when it is notified, by its isolate or by a store that `tells`,
 * otherwise after an interval. Each look is a query of the store, of which a Worker on the Free plan may make 50 in a request
 * (https://developers.cloudflare.com/d1/platform/limits/). A request that may make no more ends its wait.
 */

import { listen } from './stores/changes.js';
import { InvocationSpent, isStoreError } from './stores/store_error.js';
import { ENDED } from './task.js';

/** @import { Store } from './stores/store.js' */
/** @import { StepRecord, TaskRecord } from './task.js' */

/** The time between two looks: short at first, because most tasks are short; then the longest, which limits the delay for changes made elsewhere. A
 * store that `tells` is looked at rarely, only as a safeguard. */
const FIRST_INTERVAL_MS = 100;
const INTERVAL_GROWTH = 2;
const LONGEST_INTERVAL_MS = 1_000;
const LONGEST_INTERVAL_TOLD_MS = 20_000;

/** The same if steps are looked at as well, which is a second query. */
const LONGEST_INTERVAL_STEPS_MS = 2_500;

/** How long a notified request waits before it looks at steps: several often change together. */
const STEPS_PAUSE_MS = 100;

/** The most looks at steps: a task may have a thousand of them. The client then asks again. */
const MOST_LOOKS_AT_STEPS = 100;

/** A task as it was read; with its steps, if they are looked at. @typedef {TaskRecord & {steps?: StepRecord[]}} SeenTask */

/** The longest that a request waits for a task's end: 64 looks at most. */
export const MAX_WAIT_SECONDS = 60;

export class TaskWatch {
  #interval_ms = FIRST_INTERVAL_MS;
  #isTold = false;
  #isSpent = false;
  #looks = 0;
  #wake = () => {};

  /**
   * @param {Store} store
   * @param {string} taskId
   * @param {number} end_ms Unix time of the last look
   * @param {boolean} [hasSteps] whether to look for changes of steps too
   */
  constructor(store, taskId, end_ms, hasSteps = false) {
    this.store = store;
    this.end_ms = end_ms;
    this.hasSteps = hasSteps;
    this.longest_ms = store.tells ? LONGEST_INTERVAL_TOLD_MS : hasSteps ? LONGEST_INTERVAL_STEPS_MS : LONGEST_INTERVAL_MS;
    this.stop = listen(taskId, end_ms, () => {
      this.#isTold = true;
      this.#wake();
    }, hasSteps);
  }

  /**
   * Waits until the next look.
   *
   * @param {SeenTask} task the task as it was at the last look
   * @returns {Promise<boolean>} false at once if that was the last look
   */
  async next(task) {
    const left_ms = this.end_ms - Date.now();
    if (left_ms <= 0 || this.#isSpent) return false;
    if (!this.#isTold) {
      /** @type {Promise<void>} */
      const told = new Promise((resolve) => { this.#wake = resolve; });
      const interval_ms = Math.min(this.#interval_ms, left_ms);
      await Promise.race([told, scheduler.wait(interval_ms), ...(this.store.tells ? [this.#change(task, interval_ms)] : [])]);
      this.#interval_ms = Math.min(this.#interval_ms * INTERVAL_GROWTH, this.longest_ms);
    }
    if (this.hasSteps) await scheduler.wait(STEPS_PAUSE_MS);
    this.#isTold = false;
    return true;
  }

  /**
   * @param {SeenTask} seen
   * @returns {Promise<SeenTask | null>} the task; while the store does not answer, the last known state, because a refused client would come again at
   *   once and find the store no better
   */
  async again(seen) {
    try {
      if (!this.hasSteps) return await this.store.find(seen.taskId);
      if (++this.#looks === MOST_LOOKS_AT_STEPS) this.#isSpent = true;
      const [task, steps] = await Promise.all([this.store.find(seen.taskId), this.store.steps(seen.taskId)]);
      return task && { ...task, steps };
    } catch (error) {
      if (!isStoreError(error)) throw error;
      this.#isSpent = error instanceof InvocationSpent;
      return seen;
    }
  }

  /**
   * @param {SeenTask} task
   * @param {number} interval_ms
   */
  async #change(task, interval_ms) {
    try {
      await this.store.changed(task, interval_ms);
    } catch {
      await scheduler.wait(interval_ms); // a store that does not answer is not looked at earlier
    }
  }
}

/**
 * `GET /task/:id?wait=`: answers once the task has ended, or the time is up. If the client disconnects, Cloudflare ends the request, and with it the
 * wait.
 *
 * @param {Store} store
 * @param {string} taskId
 * @param {number} wait_seconds
 * @returns {Promise<TaskRecord | null>} its final state, or the last known state if the store did not answer any more; null as soon as it does not
 *   exist
 */
export async function findEnded(store, taskId, wait_seconds) {
  if (wait_seconds === 0) return store.find(taskId);
  const watch = new TaskWatch(store, taskId, Date.now() + wait_seconds * 1000);
  try {
    let task = await store.find(taskId);
    while (task && !ENDED.has(task.status) && await watch.next(task)) task = await watch.again(task);
    return task;
  } finally {
    watch.stop();
  }
}
