/**
 * Carries tasks to their handler over a Cloudflare Queue. Delivery is at least once and in no order, so every step
 * here is safe to repeat; the store's conditional updates decide.
 */

import { ATTEMPTS_SPENT, attemptInWaves, maxRetries } from '../attempt.js';
import { shardBinding, shardCount, shardOf } from '../shards.js';
import { MIN_TTL_SECONDS, SWEEP_GRACE_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { creationTime } from '../task_id.js';
import { LARGE_PAYLOAD_LENGTH, TaskMessages } from './task_messages.js';

/** @import { Handlers } from '../handler.js' */
/** @import { Delivery, OpenTask, Store } from '../stores/store.js' */
/** @import { ClaimedTask, Outcome } from '../task.js' */
/** @import { Backlog, Engine, Submission } from './engine.js' */
/** @import { TaskMessage } from './task_messages.js' */

/** A sendBatch takes 100 messages (https://developers.cloudflare.com/queues/platform/limits/). */
const SEND_BATCH_MESSAGES = 100;

/** How long a queue keeps a message at most (https://developers.cloudflare.com/queues/platform/limits/). */
const MAX_RETENTION_SECONDS = 14 * 86_400;

/** A message that has not come this long after it was due is given up for lost, whatever else is in the queue. */
const LOST_AFTER_SECONDS = 15 * 60;

/**
 * @typedef {{TASK_QUEUE: Queue<TaskMessage>, TASK_DLQ: Queue<TaskMessage>, MAX_RETRIES: string, SHARDS?: string}} Env beside the
 *   queues of further shards; `MAX_RETRIES` is the consumers' own setting
 */

/** @implements {Engine} */
export class QueueEngine {
  /**
   * @param {Env} env
   * @param {Store} store
   * @param {Handlers} handlers
   */
  constructor(env, store, handlers) {
    this.env = env;
    this.store = store;
    this.handlers = handlers;
  }

  /**
   * Sends a message for each run.
   *
   * @param {Submission[]} runs
   */
  async submit(runs) {
    const shards = shardCount(this.env);
    const byShard = Map.groupBy(runs, ({ taskId }) => shardOf(taskId, shards));
    await Promise.all([...byShard].map(([shard, group]) => sendAll(/** @type {Queue<TaskMessage>} */ (queueOf(this.env, shard)), group)));
  }

  /**
   * Takes each message of a batch on its own: one that cannot be processed is retried until the queue moves it to the
   * dead-letter queue, and hurts none of the others. Should the store fail, all that is not yet acknowledged comes again.
   *
   * @param {MessageBatch<unknown>} batch
   */
  async consume(batch) {
    const messages = new TaskMessages(batch.messages);
    for (const portion of messages.portions()) await this.#work(messages, portion);
  }

  /**
   * @param {TaskMessages} messages
   * @param {Delivery[]} deliveries those of a portion
   */
  async #work(messages, deliveries) {
    const claimed = await this.store.claim(deliveries);
    await this.#releaseUnclaimed(messages, unclaimed(deliveries, claimed));
    if (claimed.length === 0) return;
    const limits = new Map(claimed.map(({ taskId, max_retries }) => [taskId, max_retries]));
    for await (const outcomes of attemptInWaves(this, claimed)) {
      const buried = outcomes.filter(({ taskId, status }) => status === 'failed' && !this.#isLastDelivery(messages, taskId));
      await this.#bury(buried.map(({ taskId, run }) => ({ taskId, run, payload_length: messages.payloadLength(taskId) })));
      const settled = await this.store.settle(outcomes);
      for (const outcome of outcomes) {
        const { taskId } = outcome;
        const isOver = outcome.status === 'completed' || !settled.has(taskId);
        if (outcome.status === 'pending' && !isOver) await this.#retry(messages, outcome, limits.get(taskId) ?? null);
        else if (outcome.status === 'failed' && !isOver && this.#isLastDelivery(messages, taskId)) messages.retry(taskId, null);
        else messages.ack(taskId);
      }
    }
  }

  /**
   * Rescues unfinished tasks whose message is lost: sends it again, or ends a task that has used up its attempts. A
   * task as old as the oldest message may still be on its way, so it is left to the queue for a while.
   *
   * @param {OpenTask[]} tasks
   */
  async rescue(tasks) {
    const oldest_ms = (await this.#backlog()).oldest_ms ?? Infinity;
    const lost = tasks.filter(({ sent_at_ms, due_ms }) => {
      const sent_ms = Math.max(sent_at_ms ?? 0, due_ms); // its message came within the grace
      return sent_ms + SWEEP_GRACE_SECONDS * 1000 < oldest_ms || sent_ms + LOST_AFTER_SECONDS * 1000 < Date.now();
    });
    const { spent = [], again = [] } = Object.groupBy(lost, (task) => (task.attempts > maxRetries(task, this.env) ? 'spent' : 'again'));
    if (spent.length > 0) {
      await this.#bury(spent);
      await this.store.abandon(spent, ATTEMPTS_SPENT);
    }
    if (again.length > 0) {
      // Marked first: what writes whole entries must not do it after a consumer has begun.
      await this.store.markSent(again.map(({ taskId }) => taskId));
      await this.submit(again.map((task) => ({ ...task, delay_seconds: 0 })));
    }
    const returned = again.filter(({ isHeld }) => isHeld).length;
    return { resent: again.length - returned, returned, failed: spent.length };
  }

  /** @returns {Promise<{backlog: Backlog, deadLetters: Backlog}>} */
  async backlogs() {
    const [backlog, deadLetters] = await Promise.all([this.#backlog(), backlogOf(this.env.TASK_DLQ)]);
    return { backlog, deadLetters };
  }

  /** @returns {Promise<Backlog>} of all queues, those of shards that the deployment has left as well */
  async #backlog() {
    const queues = [];
    for (let queue; (queue = queueOf(this.env, queues.length)); ) queues.push(queue);
    const backlogs = await Promise.all(queues.map(backlogOf));
    const since = backlogs.flatMap(({ oldest_ms }) => oldest_ms ?? []);
    return {
      count: backlogs.reduce((sum, { count }) => sum + count, 0),
      oldest_ms: since.length > 0 ? Math.min(...since) : null,
    };
  }

  /**
   * A message that got no task is done with when its task has ended or is being worked on, or is gone for its age; one
   * whose task is not there is not.
   *
   * @param {TaskMessages} messages
   * @param {Delivery[]} deliveries
   */
  async #releaseUnclaimed(messages, deliveries) {
    if (deliveries.length === 0) return;
    const existing = await this.store.existing(deliveries);
    for (const { taskId } of deliveries) {
      if (existing.has(taskId) || this.#hasOutlived(taskId)) messages.ack(taskId);
      else {
        console.warn('message names a task that is not there', { taskId, attempts: messages.attempts(taskId) });
        messages.retry(taskId, this.store.settling_seconds || null);
      }
    }
  }

  /**
   * A message has the deliveries of the consumer's setting; a task that may have more attempts goes on with another one.
   *
   * @param {TaskMessages} messages
   * @param {Extract<Outcome, {status: 'pending'}>} outcome
   * @param {number | null} max_retries
   */
  async #retry(messages, { taskId, run, next_attempt_ms }, max_retries) {
    const delay_seconds = Math.max(0, Math.ceil((next_attempt_ms - Date.now()) / 1000));
    messages.ackCopies(taskId);
    if (!this.#isLastDelivery(messages, taskId)) return messages.retry(taskId, delay_seconds);
    await this.submit([{ taskId, run, delay_seconds, max_retries, payload_length: messages.payloadLength(taskId) }]);
    messages.ack(taskId);
  }

  /**
   * Writes the dead letters of tasks whose message does not become one by its last retry. A letter too early or too many
   * is harmless: a redrive starts failed tasks only.
   *
   * @param {{taskId: string, run: number, payload_length?: number}[]} failed
   */
  async #bury(failed) {
    for (let start = 0; start < failed.length; start += SEND_BATCH_MESSAGES) {
      await this.env.TASK_DLQ.sendBatch(failed.slice(start, start + SEND_BATCH_MESSAGES).map((each) => ({ body: body(each) })));
    }
  }

  /**
   * @param {string} taskId
   * @returns {boolean} whether a task of that id was there and its time to live is over, for all that the id tells: one that
   *   a store does not have that sees each task at once
   */
  #hasOutlived(taskId) {
    const age_seconds = (Date.now() - creationTime(taskId)) / 1000;
    const life_seconds = this.store.settling_seconds > 0 ? TASK_TTL_SECONDS : MIN_TTL_SECONDS;
    return age_seconds > life_seconds && age_seconds < MAX_RETENTION_SECONDS;
  }

  /**
   * @param {TaskMessages} messages
   * @param {string} taskId
   */
  #isLastDelivery(messages, taskId) {
    return messages.attempts(taskId) > Number(this.env.MAX_RETRIES);
  }
}

/**
 * @param {Delivery[]} deliveries
 * @param {ClaimedTask[]} claimed
 * @returns {Delivery[]} the others
 */
function unclaimed(deliveries, claimed) {
  const taken = new Set(claimed.map(({ taskId }) => taskId));
  return deliveries.filter(({ taskId }) => !taken.has(taskId));
}

/**
 * @param {Env} env
 * @param {number} shard
 * @returns {Queue<TaskMessage> | undefined} undefined: there is no such shard
 */
function queueOf(env, shard) {
  return /** @type {Record<string, any>} */ (env)[shardBinding('TASK_QUEUE', shard)];
}

/**
 * @param {Queue<TaskMessage>} queue
 * @param {Submission[]} runs
 */
async function sendAll(queue, runs) {
  const [first] = runs;
  // Most submissions are of one task, and a batch of one costs more.
  if (first && runs.length === 1) return void await queue.send(body(first), delay(first));
  for (let start = 0; start < runs.length; start += SEND_BATCH_MESSAGES) {
    await queue.sendBatch(runs.slice(start, start + SEND_BATCH_MESSAGES).map((run) => ({ body: body(run), ...delay(run) })));
  }
}

/**
 * @param {Pick<Submission, 'taskId' | 'run' | 'payload_length'>} run
 * @returns {TaskMessage}
 */
function body({ taskId, run, payload_length = 0 }) {
  return { taskId, run, ...(payload_length > LARGE_PAYLOAD_LENGTH && { payload_length }) };
}

/**
 * @param {Submission} run
 * @returns {{delaySeconds: number}} said even when it is none, which keeps the queue's own delay from the message
 *   (https://developers.cloudflare.com/queues/configuration/javascript-apis/#queuesendoptions)
 */
function delay({ delay_seconds }) {
  return { delaySeconds: delay_seconds };
}

/**
 * @param {Queue<TaskMessage>} queue
 * @returns {Promise<Backlog>}
 */
async function backlogOf(queue) {
  const { backlogCount, oldestMessageTimestamp } = await queue.metrics();
  return { count: backlogCount, oldest_ms: backlogCount > 0 && oldestMessageTimestamp ? Number(oldestMessageTimestamp) : null };
}
