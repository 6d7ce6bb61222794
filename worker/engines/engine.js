/** The contract of every engine: it delivers tasks to their handlers until each task has ended. */

/** @import { OwnPriority, Priority } from '../priority.js' */
/** @import { OpenTask, Store } from '../stores/store.js' */

/**
 * A run of a task to be delivered to its handler. `max_retries` null: the stack's default. `wasDelivered`: it was delivered to its handler before,
 * and held then.
 *
 * @typedef {{taskId: string, run: number, delay_seconds: number, max_retries: number | null, wasDelivered?: boolean, priority?: OwnPriority}} Submission
 */

/** A backlog: how many messages wait, and the age of the oldest. @typedef {{count: number, oldest_ms: number | null}} Backlog */

/** The backlog of all queues together, the backlog of each priority if priorities have queues of their own, and the dead letters.
 *
 * @typedef {{backlog: Backlog, priorities?: Record<Priority, Backlog>, deadLetters: Backlog}} Backlogs
 */

/**
 * @typedef {object} Engine
 * @property {Store} store
 * @property {boolean} hasQueues whether there are queues, with a backlog and dead letters
 * @property {(runs: Submission[]) => Promise<void>} submit submits runs of stored tasks; repeating it is harmless. Throws {@link HandoverRefused}
 * @property {(runs: Submission[]) => Promise<void>} redrive begins the next runs of failed tasks, as a redrive of their dead letters does; repeating
 *   it is harmless. Throws {@link HandoverRefused}
 * @property {(run: Submission) => Promise<void>} wake resumes a run at once whose steps wait for an event; repeating it is harmless
 * @property {(tasks: OpenTask[]) => Promise<{resent: number, returned: number, failed: number}>} rescue submits unfinished tasks again that the
 *       engine no longer carries (resent: the message was lost; returned: the consumer was), and ends those with no attempts left. Throws
 *       {@link HandoverRefused} if it could not submit all
 * @property {() => Promise<Backlogs | null>} backlogs null for an engine without queues
 */

/** How long an engine retries a submission by default: a client waits for it. */
export const HANDOVER_PATIENCE_SECONDS = 3;

/** The platform refuses some or all of the runs for now. */
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
