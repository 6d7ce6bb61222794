/**
 * Returns tasks of a batch to the queue. A queue carries out a `retry()` only when the batch's handler has returned, which may be as late as its
 * slowest task. So tasks that are due earlier are sent as new messages, and only the rest is retried.
 */

import { MAX_DELAY_SECONDS } from '../task.js';

/** @import { OwnClaim, TaskMessage, TaskMessages } from './task_messages.js' */

/** A message with its delay. @typedef {{body: TaskMessage, delay_seconds: number}} Outgoing */

/** How long a due task waits for the end of its batch, which saves a message. */
const GRACE_MS = 200;

export class Returns {
  /** When each task is due, and the state of its claim. @type {Map<string, {at_ms: number, claim: OwnClaim}>} */
  #waiting = new Map();
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  /** @type {Promise<void>} */
  #sending = Promise.resolve();
  /** The tasks that are being sent again. @type {ReadonlySet<string>} */
  #sent = new Set();
  #isFinishing = false;

  /**
   * @param {TaskMessages} messages
   * @param {(outgoing: Outgoing[]) => Promise<void>} send
   */
  constructor(messages, send) {
    this.messages = messages;
    this.send = send;
  }

  /**
   * @param {string} taskId
   * @param {number} at_ms Unix time when it is due
   * @param {OwnClaim} [claim] the state of its claim; a released claim is reported in a new message, because a retry cannot carry it
   */
  add(taskId, at_ms, claim = 'none') {
    this.#waiting.set(taskId, { at_ms, claim });
    this.#schedule();
  }

  /**
   * Stops a task's return: it is worked on in this batch after all.
   *
   * @param {string} taskId
   * @returns {boolean} false: it is too late
   */
  withdraw(taskId) {
    if (this.#sent.has(taskId)) return false;
    const isWaiting = this.#waiting.delete(taskId);
    this.#schedule();
    return isWaiting;
  }

  /** Retries the tasks that still wait: the batch ends. */
  async finish() {
    this.#isFinishing = true;
    this.#unschedule();
    await this.#sending;
    await this.#sendAnew([...this.#waiting].filter(([taskId, { claim }]) => claim === 'released' || this.messages.isLast(taskId)).map(([taskId]) => taskId));
    for (const [taskId, { at_ms }] of this.#waiting) this.messages.retry(taskId, delaySeconds(at_ms));
    this.messages.retryPostponed();
  }

  #unschedule() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule() {
    this.#unschedule();
    if (this.#waiting.size === 0 || this.#sent.size > 0 || this.#isFinishing) return;
    const first_ms = Math.min(...[...this.#waiting.values()].map(({ at_ms }) => at_ms));
    this.#timer = setTimeout(() => {
      const due = [...this.#waiting].filter(([, { at_ms }]) => at_ms <= Date.now()).map(([taskId]) => taskId);
      this.#sending = this.#sendAnew(due).finally(() => this.#schedule());
    }, Math.max(first_ms - Date.now(), 0) + GRACE_MS);
  }

  /** @param {string[]} taskIds */
  async #sendAnew(taskIds) {
    const outgoing = taskIds.flatMap((taskId) => {
      const { at_ms = 0, claim = 'none' } = this.#waiting.get(taskId) ?? {};
      return this.messages.successors(taskId, claim).map((body) => ({ body, delay_seconds: delaySeconds(at_ms) }));
    });
    if (outgoing.length === 0) return;
    this.#sent = new Set(taskIds);
    try {
      await this.send(outgoing);
    } catch (error) {
      console.warn('tasks come again only after their batch: the queue takes no messages', { tasks: outgoing.length, error: String(error) });
      for (const taskId of taskIds) this.#postpone(taskId);
      return;
    } finally {
      this.#sent = new Set();
    }
    for (const taskId of taskIds) {
      this.#waiting.delete(taskId);
      this.messages.ack(taskId);
    }
  }

  /** @param {string} taskId the task that could not be sent */
  #postpone(taskId) {
    const waiting = this.#waiting.get(taskId);
    if (waiting) this.#waiting.set(taskId, { ...waiting, at_ms: Math.max(waiting.at_ms, Date.now() + RESEND_MS) });
  }
}

/** How long a refused message waits before it is sent again. */
const RESEND_MS = 5_000;

/** @param {number} at_ms */
function delaySeconds(at_ms) {
  return Math.min(Math.max(0, Math.ceil((at_ms - Date.now()) / 1000)), MAX_DELAY_SECONDS);
}
