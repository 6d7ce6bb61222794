/**
 * Priorities. A stack with the setting `priorities` has three queues for each shard instead of one: for `high`, `normal` and `low`. Each has its own
 * consumer with a share of the concurrent batches that the store bears. So no task waits behind a backlog of another priority, and each priority
 * makes progress. All have the same dead-letter queue.
 *
 * A task keeps its priority, and so do its messages: a retry, sweep, release or redrive sends it to the queue of its priority. The priority is only
 * an order of waiting: any consumer may run any task, so a message in the wrong queue is harmless. If the setting is turned off, new messages of all
 * priorities go to the remaining queue; the sweeper sends messages again that were in the removed queues, like any lost message.
 *
 * With `engine: workflow` there is no queue. Cloudflare starts instances as they come, up to the limit of the account or of `workflow_concurrency`,
 * and guarantees no order among the waiting ones. So a priority is refused there.
 */

import { shardBinding } from './shards.js';

/** The priorities of a submission. @typedef {'high' | 'normal' | 'low'} Priority */

/** A priority that has a queue of its own; all other tasks are normal. @typedef {Exclude<Priority, 'normal'>} OwnPriority */

/** The highest first. @type {readonly Priority[]} */
export const PRIORITIES = ['high', 'normal', 'low'];

/** The stack's setting, as a text. @typedef {{PRIORITIES?: string}} PrioritySettings */

/** @param {PrioritySettings} env */
export function hasPriorities({ PRIORITIES: setting }) {
  return setting === 'true';
}

/**
 * @param {OwnPriority | null | undefined} priority null or undefined: normal
 * @returns {{priority?: OwnPriority}} an object with the priority, empty if there is none
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
