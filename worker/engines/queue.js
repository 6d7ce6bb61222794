/**
 * Carries tasks to their handler over a Cloudflare Queue. Delivery is at least once and in no order, so every step
 * here is safe to repeat; the store's conditional updates decide.
 */

import { attempt } from '../attempt.js';
import { SWEEP_GRACE_SECONDS } from '../task.js';
import { creationTime } from '../task_id.js';
import { TaskMessages } from './task_messages.js';

/** @import { OpenTask, Store } from '../stores/store.js' */
/** @import { ClaimedTask, Handler } from '../task.js' */
/** @import { Engine } from './engine.js' */
/** @import { TaskMessage } from './task_messages.js' */

/** A sendBatch takes 100 messages (https://developers.cloudflare.com/queues/platform/limits/). */
const SEND_BATCH_MESSAGES = 100;

/** @implements {Engine} */
export class QueueEngine {
  /**
   * @param {{TASK_QUEUE: Queue<TaskMessage>, MAX_RETRIES: string}} env `MAX_RETRIES` is the consumer's own setting
   * @param {Store} store
   * @param {Handler} handler
   */
  constructor(env, store, handler) {
    this.queue = env.TASK_QUEUE;
    this.maxRetries = Number(env.MAX_RETRIES);
    this.store = store;
    this.handler = handler;
  }

  /**
   * Sends a message for each task.
   *
   * @param {string[]} taskIds
   */
  async submit(taskIds) {
    for (let start = 0; start < taskIds.length; start += SEND_BATCH_MESSAGES) {
      await this.queue.sendBatch(taskIds.slice(start, start + SEND_BATCH_MESSAGES).map((taskId) => ({ body: { taskId } })));
    }
  }

  /**
   * Takes each message of a batch on its own: one that cannot be processed is retried until the queue moves it to the
   * dead-letter queue, and hurts none of the others. Should the store fail, all that is not yet acknowledged comes again.
   *
   * @param {MessageBatch<unknown>} batch
   */
  async consume(batch) {
    const messages = new TaskMessages(batch.messages);
    if (messages.size === 0) return;
    const claimed = await this.store.claim(messages.deliveries());
    await this.#releaseUnclaimed(messages, claimed);
    if (claimed.length === 0) return;
    const outcomes = await Promise.all(claimed.map((task) => {
      const isLast = this.#isSpent(Math.max(task.attempts, messages.attempts(task.taskId)));
      return attempt(this.handler, task, isLast);
    }));
    await this.store.settle(outcomes);
    for (const { taskId, status } of outcomes) {
      if (status === 'completed') messages.ack(taskId);
      else messages.retry(taskId); // on the last attempt this is what moves it to the dead-letter queue
    }
  }

  /**
   * Rescues unfinished tasks whose message is lost: sends it again, or ends a task that has used up its attempts. A
   * task as old as the oldest message may still be on its way, so it is left to the queue.
   *
   * @param {OpenTask[]} tasks
   * @returns {Promise<{sent: number, failed: number}>}
   */
  async rescue(tasks) {
    const { backlogCount, oldestMessageTimestamp } = await this.queue.metrics();
    const oldest_ms = backlogCount > 0 && oldestMessageTimestamp ? Number(oldestMessageTimestamp) : Infinity;
    const lost = tasks.filter(({ taskId, sent_at_ms }) => (
      (sent_at_ms ?? creationTime(taskId)) + SWEEP_GRACE_SECONDS * 1000 < oldest_ms // its message came within the grace
    ));
    const spent = lost.filter(({ attempts }) => this.#isSpent(attempts)).map(({ taskId }) => taskId);
    const again = lost.filter(({ attempts }) => !this.#isSpent(attempts)).map(({ taskId }) => taskId);
    if (spent.length > 0) {
      await this.store.abandon(spent, { name: 'AttemptsSpent', message: `the last of ${this.maxRetries + 1} attempts did not end` });
    }
    if (again.length > 0) {
      await this.submit(again);
      await this.store.markSent(again);
    }
    return { sent: again.length, failed: spent.length };
  }

  /**
   * A message that got no task is done with when its task has ended or is being worked on; one whose task is not there
   * is not.
   *
   * @param {TaskMessages} messages
   * @param {ClaimedTask[]} claimed
   */
  async #releaseUnclaimed(messages, claimed) {
    const taken = new Set(claimed.map(({ taskId }) => taskId));
    const unclaimed = messages.taskIds().filter((taskId) => !taken.has(taskId));
    if (unclaimed.length === 0) return;
    const existing = await this.store.existing(unclaimed);
    for (const taskId of unclaimed) {
      if (existing.has(taskId)) messages.ack(taskId);
      else {
        console.warn('message names a task that is not there', { taskId, attempts: messages.attempts(taskId) });
        messages.retry(taskId, this.store.settling_seconds);
      }
    }
  }

  /** @param {number} attempts */
  #isSpent(attempts) {
    return attempts > this.maxRetries;
  }
}
