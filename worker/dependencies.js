/**
 * Tasks that start after others. The row of a task that waits has the ids of those that it still waits for; the shard of each of those
 * remembers who waits for it, so that its end tells them. Whatever of this is lost, the sweeper makes good: it looks, some at a time,
 * at what has become of the tasks that others wait for. All of it may be done twice.
 */

import { followUpOf } from './follow_up.js';
import { ENDED } from './task.js';

/** @import { FollowUp } from './follow_up.js' */
/** @import { Store } from './stores/store.js' */
/** @import { NewTask, Status, TaskError } from './task.js' */

/** After which ends of the others a task starts: when they have completed, or have ended in any way. @typedef {'completed' | 'ended'} StartWhen */

/** @typedef {{taskIds: string[], startWhen: StartWhen}} After after which tasks a task starts */

/** A task, and one that it waits for. @typedef {{taskId: string, awaited: string}} Link */

/** What has become of a task that another one waits for; null: it is no longer there. @typedef {Link & {status: Status | null}} LinkEnd */

/** @type {readonly StartWhen[]} */
export const START_WHEN = ['completed', 'ended'];

/** Most tasks that one may wait for: as many as a batch has. */
export const MAX_AFTER = 100;

/**
 * @param {After} after
 * @param {ReadonlyMap<string, Status>} statuses of those tasks
 * @returns {string[]} the ids of those that it has to wait for. One that has failed or was cancelled may be retried by hand; one that
 *   has completed may not
 */
export function stillAwaited({ taskIds, startWhen }, statuses) {
  const isOver = (/** @type {Status | undefined} */ status) => status === 'completed' || (startWhen === 'ended' && status !== undefined && ENDED.has(status));
  return taskIds.filter((taskId) => !isOver(statuses.get(taskId)));
}

/**
 * Has the tasks that others wait for remember these, which have just been stored, and tells these of ends that there were meanwhile.
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
 * The next part of the sweeper's round through the tasks that wait.
 *
 * @param {Pick<Store, 'waiting'>} part of the store whose tasks are looked at
 * @param {Store} store the whole of it
 * @returns {Promise<FollowUp>}
 */
export async function lookAtWaiting(part, store) {
  const links = await part.waiting();
  if (links.length === 0) return followUpOf();
  return store.tell(endsOf(links, await store.statuses([...new Set(links.map(({ awaited }) => awaited))])));
}

/**
 * @param {Link[]} links
 * @param {ReadonlyMap<string, Status>} statuses of the tasks that are waited for
 * @returns {LinkEnd[]} of those that have ended, or are no longer there
 */
function endsOf(links, statuses) {
  return links.map((link) => ({ ...link, status: statuses.get(link.awaited) ?? null })).filter(({ status }) => status === null || ENDED.has(status));
}

/**
 * @param {LinkEnd} end
 * @returns {TaskError | null} of a task that was to start when that one had completed; null where it has
 */
export function dependencyError({ awaited, status }) {
  if (status === 'completed') return null;
  return status === null
    ? { name: 'DependencyGone', message: `task ${awaited} is no longer there, and this one was to start when it had completed: its time to live was over` }
    : { name: 'DependencyFailed', message: `task ${awaited} ${status === 'failed' ? 'failed' : 'was cancelled'}, and this one was to start when it had completed` };
}
