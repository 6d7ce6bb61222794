/**
 * Carries tasks to their handler over a Cloudflare Queue. Delivery is at least once and in no order, so every step
 * here is safe to repeat; the store's conditional updates decide.
 */

import { attempt } from '../attempt.js';
import { creationTime } from '../task_id.js';

/** @import { OpenTask, Store } from '../stores/store.js' */
/** @import { ClaimedTask, Handler } from '../task.js' */
/** @import { Engine } from './engine.js' */

/** What the queue carries: the task's name; its payload stays in the store. @typedef {{taskId: string}} TaskMessage */

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
    const messages = messagesByTask(batch.messages);
    if (messages.size === 0) return;
    const claimed = await this.store.claim([...messages].map(([taskId, { attempts }]) => ({ taskId, attempts })));
    await this.#releaseUnclaimed(messages, claimed);
    if (claimed.length === 0) return;
    const outcomes = await Promise.all(claimed.map((task) => {
      const deliveries = messages.get(task.taskId)?.attempts ?? 1;
      return attempt(this.handler, task, this.#isSpent(Math.max(task.attempts, deliveries)));
    }));
    await this.store.settle(outcomes);
    for (const { taskId, status } of outcomes) {
      if (status === 'completed') messages.get(taskId)?.ack();
      else messages.get(taskId)?.retry(); // on the last attempt this is what moves it to the dead-letter queue
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
    const lost = tasks.filter(({ taskId, sent_at_ms }) => (sent_at_ms ?? creationTime(taskId)) < oldest_ms);
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
   * @param {Map<string, Message<unknown>>} messages
   * @param {ClaimedTask[]} claimed
   */
  async #releaseUnclaimed(messages, claimed) {
    const taken = new Set(claimed.map(({ taskId }) => taskId));
    const unclaimed = [...messages.keys()].filter((taskId) => !taken.has(taskId));
    if (unclaimed.length === 0) return;
    const existing = await this.store.existing(unclaimed);
    const settling = this.store.settling_seconds > 0 ? { delaySeconds: this.store.settling_seconds } : undefined;
    for (const taskId of unclaimed) {
      if (existing.has(taskId)) messages.get(taskId)?.ack();
      else messages.get(taskId)?.retry(settling);
    }
  }

  /** @param {number} attempts */
  #isSpent(attempts) {
    return attempts > this.maxRetries;
  }
}

/**
 * The messages that name a task, by its id. A malformed message is retried; a second one for the same task adds nothing.
 *
 * @param {readonly Message<unknown>[]} messages
 * @returns {Map<string, Message<unknown>>}
 */
function messagesByTask(messages) {
  const byTask = new Map();
  for (const message of messages) {
    const taskId = /** @type {Partial<TaskMessage> | null | undefined} */ (message.body)?.taskId;
    if (typeof taskId !== 'string' || taskId === '') message.retry();
    else if (byTask.has(taskId)) message.ack();
    else byTask.set(taskId, message);
  }
  return byTask;
}
