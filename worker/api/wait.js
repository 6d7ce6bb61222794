/** `GET /task/:id?wait=`: an answer once the task has ended, or the time is up. */

import { ENDED } from '../task.js';
import { Looks } from './looks.js';

/** @import { Store } from '../stores/store.js' */
/** @import { TaskRecord } from '../task.js' */

/** The longest that a request waits: 64 looks at most. */
export const MAX_WAIT_SECONDS = 60;

/**
 * Should the client go away, Cloudflare ends the request, and with it the wait.
 *
 * @param {Store} store
 * @param {string} taskId
 * @param {number} wait_seconds
 * @returns {Promise<TaskRecord | null>} as it is in the end, or as it was when the store would tell no more; null as soon as it is
 *   not there
 */
export async function findEnded(store, taskId, wait_seconds) {
  if (wait_seconds === 0) return store.find(taskId);
  const looks = new Looks(store, taskId, Date.now() + wait_seconds * 1000);
  try {
    let task = await store.find(taskId);
    while (task && !ENDED.has(task.status) && await looks.next(task)) task = await looks.again(task);
    return task;
  } finally {
    looks.stop();
  }
}
