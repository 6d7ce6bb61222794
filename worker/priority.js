/**
 * Priorities. A stack with the setting `priorities` has three queues a shard instead of one: for `high`, for `normal` and for `low`. Each has
 * a consumer of its own with a share of the batches that the store bears at once, so that no task waits behind a backlog of another
 * priority, and each goes on however much there is of the others. All have the same dead-letter queue.
 *
 * A task keeps its priority, and so do its messages: each way by which it comes again (retry, sweep, release, redrive) sends it to its own
 * queue. That is an order of waiting alone: any consumer may take any task, so a message in another queue does no harm. Where the setting
 * is turned off, what had a queue of its own goes to the one that is left; what was in the removed queues is sent again by the
 * sweeper, as whatever was lost.
 *
 * With `engine: workflow` there is no queue. Cloudflare starts instances as they come, up to the limit of the account or of
 * `workflow_concurrency`, and offers no order among those that wait. So a priority is refused there.
 */

import { shardBinding } from './shards.js';

/** What a submission may say. @typedef {'high' | 'normal' | 'low'} Priority */

/** One that has a queue of its own; the tasks of all others are normal. @typedef {Exclude<Priority, 'normal'>} OwnPriority */

/** The highest first. @type {readonly Priority[]} */
export const PRIORITIES = ['high', 'normal', 'low'];

/** The stack's setting, as a text. @typedef {{PRIORITIES?: string}} PrioritySettings */

/** @param {PrioritySettings} env */
export function hasPriorities({ PRIORITIES: setting }) {
  return setting === 'true';
}

/**
 * @param {OwnPriority | null | undefined} priority null or nothing: normal
 * @returns {{priority?: OwnPriority}} for what says it only where there is one
 */
export function withPriority(priority) {
  return priority ? { priority } : {};
}

/**
 * @param {unknown} value
 * @returns {value is OwnPriority}
 */
export function isOwnPriority(value) {
  return value === 'high' || value === 'low';
}

/**
 * @param {Priority} priority
 * @param {number} shard
 * @returns {string} the binding of its queue: `TASK_QUEUE`, `TASK_QUEUE_HIGH`, `TASK_QUEUE_HIGH_1`
 */
export function queueBinding(priority, shard) {
  return shardBinding(priority === 'normal' ? 'TASK_QUEUE' : `TASK_QUEUE_${priority.toUpperCase()}`, shard);
}
