/** What every engine does: carries tasks to their handler, each until it has ended. */

/** @import { OwnPriority, Priority } from '../priority.js' */
/** @import { OpenTask, Store } from '../stores/store.js' */

/**
 * A run of a task to be carried to its handler; `max_retries` null: the stack's. One that `wasDelivered` came to its handler before, and was
 * held then.
 *
 * @typedef {{taskId: string, run: number, delay_seconds: number, max_retries: number | null, wasDelivered?: boolean, priority?: OwnPriority}} Submission
 */

/** How much waits, and since when the oldest of it. @typedef {{count: number, oldest_ms: number | null}} Backlog */

/** What waits in the queues together, and in those of each priority where they have queues of their own; and the dead letters.
 *
 * @typedef {{backlog: Backlog, priorities?: Record<Priority, Backlog>, deadLetters: Backlog}} Backlogs
 */

/**
 * @typedef {object} Engine
 * @property {Store} store
 * @property {boolean} hasQueues whether there are queues, with a backlog and dead letters
 * @property {(runs: Submission[]) => Promise<void>} submit hands over runs of stored tasks; doing it twice is harmless. Throws
 *   {@link HandoverRefused}
 * @property {(runs: Submission[]) => Promise<void>} redrive begins the next runs of failed tasks, as a redrive of their dead letters does;
 *   doing it twice is harmless. Throws {@link HandoverRefused}
 * @property {(run: Submission) => Promise<void>} wake lets a run go on at once whose steps wait for an event; doing it twice is harmless
 * @property {(tasks: OpenTask[]) => Promise<{resent: number, returned: number, failed: number}>} rescue hands over once more
 *   those open tasks that it no longer carries (resent: the message was lost; returned: the consumer was), and ends those
 *   whose attempts are spent. Throws {@link HandoverRefused} when it could not hand over all
 * @property {() => Promise<Backlogs | null>} backlogs null for an engine without queues
 */

/** How long an engine goes on offering runs where nothing else is said: a client waits for it. */
export const HANDOVER_PATIENCE_SECONDS = 3;

/** The platform does not take some or all of the runs now. */
export class HandoverRefused extends Error {
  /** @override */
  name = 'HandoverRefused';

  /**
   * @param {string} message
   * @param {{retry_after_seconds?: number, cause?: unknown}} [more]
   */
  constructor(message, { retry_after_seconds = 1, cause } = {}) {
    super(message, { cause });
    this.retry_after_seconds = retry_after_seconds;
  }
}
