/** What every engine does: carries tasks to their handler, each until it has ended. */

/** @import { OpenTask } from '../stores/store.js' */

/**
 * A run of a task to be carried to its handler; `max_retries` null: the stack's; `payload_length` in bytes or UTF-16 code
 * units, where it is known.
 *
 * @typedef {{taskId: string, run: number, delay_seconds: number, max_retries: number | null, payload_length?: number}} Submission
 */

/** How much waits, and since when the oldest of it. @typedef {{count: number, oldest_ms: number | null}} Backlog */

/**
 * @typedef {object} Engine
 * @property {(runs: Submission[]) => Promise<void>} submit hands over runs of stored tasks; doing it twice is harmless.
 *   Throws {@link HandoverRefused} when the platform takes no more for now
 * @property {(tasks: OpenTask[]) => Promise<{resent: number, returned: number, failed: number}>} rescue hands over once more
 *   those open tasks that it no longer carries (resent: the message was lost; returned: the consumer was), and ends those
 *   whose attempts are spent
 * @property {() => Promise<{backlog: Backlog, deadLetters: Backlog} | null>} backlogs null for an engine without queues
 */

/** The platform takes no more for now: a queue's or a workflow's rate is spent, or it does not answer. */
export class HandoverRefused extends Error {
  /** @override */
  name = 'HandoverRefused';

  /**
   * @param {string} message
   * @param {object} [more]
   * @param {number} [more.retry_after_seconds] when to hand over again
   * @param {unknown} [more.cause] what the platform threw
   */
  constructor(message, { retry_after_seconds = 1, cause } = {}) {
    super(message, { cause });
    this.retry_after_seconds = retry_after_seconds;
  }
}
