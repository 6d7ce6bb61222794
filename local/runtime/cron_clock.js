/** Fires cron triggers each minute by the system clock (UTC). A missed minute is not made up for. */

import { cronMatches, parseCron } from './cron.js';

/**
 * @import { Worker } from './desired_state.js'
 * @import { Cron } from './cron.js'
 */

const MINUTE_MS = 60_000;

export class CronClock {
  #run;
  /** @type {{worker: Worker, expression: string, cron: Cron}[]} */
  #triggers = [];
  #lastMinute = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(worker: Worker, expression: string, time: number) => void} run */
  constructor(run) {
    this.#run = run;
  }

  /**
   * Replaces all triggers. A minute that has already begun still uses the former ones.
   *
   * @param {Worker[]} workers
   */
  set(workers) {
    this.#tick();
    this.#triggers = workers
      .filter((worker) => worker.versions.length > 0)
      .flatMap((worker) => worker.schedules.map((expression) => ({ worker, expression, cron: parseCron(expression) })));
    clearTimeout(this.#timer);
    if (this.#triggers.length > 0) this.#sleep();
  }

  #sleep() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), startOfMinute() + MINUTE_MS - Date.now());
  }

  #tick() {
    const minute = startOfMinute();
    this.#sleep();
    if (minute === this.#lastMinute) return; // the timer fired a moment early
    this.#lastMinute = minute;
    for (const { worker, expression, cron } of this.#triggers) {
      if (cronMatches(cron, new Date(minute))) this.#run(worker, expression, minute);
    }
  }
}

function startOfMinute() {
  return Date.now() - (Date.now() % MINUTE_MS);
}
