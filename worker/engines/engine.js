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
 * @property {(runs: Submission[]) => Promise<void>} submit hands over runs of stored tasks; doing it twice is harmless
 * @property {(tasks: OpenTask[]) => Promise<{resent: number, returned: number, failed: number}>} rescue hands over once more
 *   those open tasks that it no longer carries (resent: the message was lost; returned: the consumer was), and ends those
 *   whose attempts are spent
 * @property {() => Promise<{backlog: Backlog, deadLetters: Backlog} | null>} backlogs null for an engine without queues
 */

export {};
