/** `GET /task/:id?wait=`: an answer once the task has ended, or the time is up. */

import { ENDED } from '../task.js';
import { looksUntil } from './looks.js';

/** @import { Store } from '../stores/store.js' */
/** @import { TaskRecord } from '../task.js' */

/** The longest that a request waits, and the longest time between two looks: 37 of them. */
export const MAX_WAIT_SECONDS = 60;
const LONGEST_INTERVAL_MS = 2_000;

/**
 * Should the client go away, Cloudflare ends the request, and with it the wait.
 *
 * @param {Store} store
 * @param {string} taskId
 * @param {number} wait_seconds
 * @returns {Promise<TaskRecord | null>} as it is in the end; null as soon as it is not there
 */
export async function findEnded(store, taskId, wait_seconds) {
  const nextLook = looksUntil(Date.now() + wait_seconds * 1000, LONGEST_INTERVAL_MS);
  let task = await store.find(taskId);
  while (task && !ENDED.has(task.status) && await nextLook()) task = await store.find(taskId);
  return task;
}
