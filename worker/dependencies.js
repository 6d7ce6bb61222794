/**
 * Tasks that start after others. The row of a waiting task has the ids of the tasks that it still waits for. The shard of each of those remembers who
 * waits for it, so that its end can release the waiting task. If any of this is lost, the sweeper repairs it: it checks, some at a time, the tasks
 * that others wait for. Every step is idempotent.
 */

import { followUpOf } from './follow_up.js';
import { ENDED } from './task.js';

/** @import { FollowUp } from './follow_up.js' */
/** @import { Store } from './stores/store.js' */
/** @import { NewTask, Status, TaskError } from './task.js' */

/** Which ends of the others start a task: completion only, or any end. @typedef {'completed' | 'ended'} StartWhen */

/** @typedef {{taskIds: string[], startWhen: StartWhen}} After after which tasks a task starts */

/** A waiting task, and one that it waits for. @typedef {{taskId: string, awaited: string}} Link */

/** The state of a task that another one waits for; null: it is no longer stored. @typedef {Link & {status: Status | null}} LinkEnd */

/** @type {readonly StartWhen[]} */
export const START_WHEN = ['completed', 'ended'];

/** The most tasks that one may wait for: as many as a batch has. */
export const MAX_AFTER = 100;

/**
 * @param {After} after
 * @param {ReadonlyMap<string, Status>} statuses the statuses of those tasks
 * @returns {string[]} the ids of the tasks that it has to wait for. A failed or cancelled task may still be retried by hand, a completed one may not
 */
export function stillAwaited({ taskIds, startWhen }, statuses) {
  const isOver = (/** @type {Status | undefined} */ status) => status === 'completed' || (startWhen === 'ended' && status !== undefined && ENDED.has(status));
  return taskIds.filter((taskId) => !isOver(statuses.get(taskId)));
}

/**
 * Registers stored tasks with the tasks that they wait for, and handles ends that happened in the meantime.
 *
 * @param {Store} store
 * @param {Pick<NewTask, 'taskId' | 'awaits'>[]} tasks
 * @returns {Promise<FollowUp>}
 */
export async function beginWaiting(store, tasks) {
  const links = tasks.flatMap(({ taskId, awaits = [] }) => awaits.map((awaited) => ({ taskId, awaited })));
  return store.tell(endsOf(links, await store.awaitEnds(links)));
}

/**
 * Checks the next part of the waiting tasks, in the sweeper's round through all of them.
 *
 * @param {Pick<Store, 'waiting'>} part the part of the store whose tasks are checked
 * @param {Store} store the whole store
 * @returns {Promise<FollowUp>}
 */
export async function lookAtWaiting(part, store) {
  const links = await part.waiting();
  if (links.length === 0) return followUpOf();
  return store.tell(endsOf(links, await store.statuses([...new Set(links.map(({ awaited }) => awaited))])));
}

/**
 * @param {Link[]} links
 * @param {ReadonlyMap<string, Status>} statuses the statuses of the tasks that are waited for
 * @returns {LinkEnd[]} the links to tasks that have ended, or are no longer stored
 */
function endsOf(links, statuses) {
  return links.map((link) => ({ ...link, status: statuses.get(link.awaited) ?? null })).filter(({ status }) => status === null || ENDED.has(status));
}

/**
 * @param {LinkEnd} end
 * @returns {TaskError | null} the error of a task that was to start after completion only; null if that one has completed
 */
export function dependencyError({ awaited, status }) {
  if (status === 'completed') return null;
  return status === null
    ? { name: 'DependencyGone', message: `task ${awaited} is no longer there, and this one was to start when it had completed: its time to live was over` }
    : { name: 'DependencyFailed', message: `task ${awaited} ${status === 'failed' ? 'failed' : 'was cancelled'}, and this one was to start when it had completed` };
}
