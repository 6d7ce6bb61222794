/** What every engine does: carries tasks to their handler, each until it has ended. */

/** @import { OpenTask } from '../stores/store.js' */

/**
 * @typedef {object} Engine
 * @property {(taskIds: string[]) => Promise<void>} submit hands over stored tasks; doing it twice is harmless
 * @property {(tasks: OpenTask[]) => Promise<{sent: number, failed: number}>} rescue hands over once more those open tasks
 *   that it no longer carries, and ends those whose attempts are spent
 */

export {};
