/**
 * Delivers tasks to their handlers through a Cloudflare Queue. Delivery is at least once and unordered, so every step here is idempotent, and the
 * store's claims decide who runs a task. A message becomes a dead letter of its own only if it names no task. The dead letter of a task with no
 * attempts left is written when the task fails.
 */

import { attemptAll, ATTEMPTS_SPENT, CRASHED } from '../attempt.js';
import { returnSeconds } from '../backoff.js';
import { followUpOf, handOverFollowUp } from '../follow_up.js';
import { Invocation, Joint, jointOf } from '../joint.js';
import { patiently } from '../patience.js';
import { PRIORITIES, queueBinding, withPriority } from '../priority.js';
import { shardCount, shardOf } from '../shards.js';
import { LEASE_SECONDS, MAX_DELAY_SECONDS, MIN_TTL_SECONDS, SWEEP_GRACE_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { creationTime } from '../task_id.js';
import { HandoverRefused, HANDOVER_PATIENCE_SECONDS } from './engine.js';
import { Returns } from './returns.js';
import { TaskMessages } from './task_messages.js';

/** @import { Settlement } from '../attempt.js' */
/** @import { ValidatorClass } from '../api/request.js' */
/** @import { FollowUp } from '../follow_up.js' */
/** @import { Handlers } from '../handler.js' */
/** @import { ClaimAnswer, Delivery, OpenTask, Probe, Store } from '../stores/store.js' */
/** @import { ClaimedTask, TaskError } from '../task.js' */
/** @import { OwnPriority, Priority } from '../priority.js' */
/** @import { Backlog, Backlogs, Engine, Submission } from './engine.js' */
/** @import { Outgoing } from './returns.js' */
/** @import { TaskMessage } from './task_messages.js' */

/** The limits of a sendBatch: 100 messages, 256 KB together (https://developers.cloudflare.com/queues/platform/limits/). */
const SEND_BATCH_MESSAGES = 100;
const SEND_BATCH_BYTES = 256_000;

/** The assumed size of a message, see `task_messages.js`: a batch of the largest ones is as much as a queue accepts. */
const MESSAGE_BYTES = 256;
const ENDED_BYTES = 96;

/** The longest time that a queue keeps a message (https://developers.cloudflare.com/queues/platform/limits/). */
const MAX_RETENTION_SECONDS = 14 * 86_400;

/** How long a batch may take: the wall-clock limit of a consumer (15 minutes, https://developers.cloudflare.com/queues/platform/limits/) minus the
 * time to return the remaining messages. */
const BATCH_MS = 14.5 * 60_000;

/** A task that must run alone is started only this early in a batch, so that it has all its allowed time. If it still waits then, it is sent again, so
 * that it does not wait for those before it, which may take as long. */
const ALONE_BEFORE_MS = 20_000;

/** The fewest retries of a message, whatever its task allows: the platform must be able to deliver the messages of a dead isolate again.
 * `components/engine.py` configures the consumers so. */
const LEAST_RETRIES = 1;

/** How long a consumer retries sending to a queue that refuses messages. */
const CONSUMER_PATIENCE_SECONDS = 20;

/** A message that has not come this long after it was due counts as lost, whatever else is in the queue. */
const LOST_AFTER_SECONDS = 15 * 60;

/** Messages are unordered: if a message has come, those sent this much earlier should have come too. */
const DISORDER_SECONDS = 10;

/**
 * @typedef {{TASK_QUEUE: Queue<TaskMessage>, TASK_DLQ: Queue<TaskMessage>, MAX_RETRIES: string, SHARDS?: string}} Env beside the
 *   queues of further shards and of priorities; `MAX_RETRIES` is the consumers' own setting, too
 */

/** @implements {Engine} */
export class QueueEngine {
  hasQueues = true;

  /** For each queue: messages sent before this Unix time have come or are lost. Measured once per sweep.
   *
   * @type {Promise<Map<string, Passage>> | null}
   */
  #passages = null;

  /**
   * @param {Env} env
   * @param {Store} store
   * @param {Handlers} handlers
   * @param {Invocation} [invocation]
   * @param {ValidatorClass} [Validator] validates the payloads of tasks that handlers submit
   */
  constructor(env, store, handlers, invocation = new Invocation(), Validator = undefined) {
    this.env = env;
    this.store = store;
    this.handlers = handlers;
    this.invocation = invocation;
    this.Validator = Validator;
  }

  /** The parts that attempts need. */
  get parts() {
    const { env, store, handlers, invocation, Validator } = this;
    return { env, store, handlers, invocation, Validator, engine: this };
  }

  /**
   * Sends a message for each run.
   *
   * @param {Submission[]} runs
   * @throws {HandoverRefused} a queue did not accept all
   */
  submit(runs) {
    return this.#submit(runs, {});
  }

  /**
   * Sends the same messages as `python -m ops dlq redrive`; each begins its run itself.
   *
   * @param {Submission[]} runs
   * @throws {HandoverRefused} a queue did not accept all
   */
  redrive(runs) {
    return this.#submit(runs, { redrive: true });
  }

  /**
   * The task's own message may come much later; this additional one comes now.
   *
   * @param {Submission} run
   */
  wake(run) {
    return this.submit([run]);
  }

  /**
   * Works through a batch, each task on its own, so that an error of one does not affect the others. A task that cannot run now, because the store
   * does not answer or the task must wait, is delivered again without using up an attempt.
   *
   * @param {MessageBatch<unknown>} batch
   */
  async consume(batch) {
    const end_ms = Date.now() + BATCH_MS;
    const messages = new TaskMessages(batch.messages, this.max_retries);
    if (this.#mayRunOut(messages) && await this.#renew(messages)) return;
    const returns = new Returns(messages, (outgoing) => this.#send(outgoing, 0));
    const work = new Work(this, messages, returns, end_ms);
    try {
      await work.do();
    } catch (error) {
      console.error('batch failed; its tasks come again', { tasks: messages.taskIds.length, error: String(error) });
      for (const taskId of messages.taskIds) work.comeAgain(taskId);
    }
    await returns.finish();
  }

  /**
   * Sends the lost messages of unfinished tasks again. A queue does not say which messages are lost. But if a message has come, everything sent
   * before it has come or is lost. If there is no such message, the oldest task's message is sent first, as a probe.
   *
   * @param {OpenTask[]} tasks
   * @throws {HandoverRefused}
   */
  async rescue(tasks) {
    this.#passages ??= this.#measurePassages();
    const passages = await this.#passages;
    /** @type {OpenTask[]} */
    const lost = [];
    /** @type {Probe[]} */
    const probes = [];
    const now_ms = Date.now();
    for (const task of tasks) {
      const queue = this.#queueOf(task);
      const passage = passages.get(queue) ?? { lostBefore_ms: 0, isProbed: true };
      const sent_ms = Math.max(task.sent_at_ms ?? 0, task.due_ms);
      if (sent_ms < Math.max(passage.lostBefore_ms, now_ms - LOST_AFTER_SECONDS * 1000)) lost.push(task);
      else if (!passage.isProbed && !task.isHeld) {
        passage.isProbed = true;
        lost.push(task);
        probes.push({ queue, taskId: task.taskId, run: task.run, attempts: task.attempts, sent_at_ms: now_ms });
      }
    }
    for (let start = 0; start < lost.length; start += SEND_BATCH_MESSAGES) {
      await this.#resend(lost.slice(start, start + SEND_BATCH_MESSAGES), now_ms);
    }
    if (probes.length > 0) {
      const others = (await this.store.probes()).filter(({ queue }) => passages.has(queue) && !probes.some((probe) => probe.queue === queue));
      await this.store.setProbes([...others, ...probes]);
    }
    const returned = lost.filter(({ isHeld }) => isHeld).length;
    return { resent: lost.length - returned, returned, failed: 0 };
  }

  /** @returns {Promise<Backlogs>} */
  async backlogs() {
    const [deadLetters, ...backlogs] = await Promise.all([backlogOf(this.env.TASK_DLQ), ...this.#queues().map(async ({ priority, queue }) => (
      { priority, ...await backlogOf(queue) }
    ))]);
    const backlog = together(backlogs);
    if (backlogs.every(({ priority }) => priority === 'normal')) return { backlog, deadLetters };
    const byPriority = PRIORITIES.map((priority) => [priority, together(backlogs.filter((each) => each.priority === priority))]);
    return { backlog, priorities: /** @type {Record<Priority, Backlog>} */ (Object.fromEntries(byPriority)), deadLetters };
  }

  /**
   * Writes the dead letters of failed tasks. A duplicate is harmless: a redrive starts failed tasks only.
   *
   * @param {{taskId: string, run: number, priority?: OwnPriority}[]} failed
   */
  async writeDeadLetters(failed) {
    const letters = failed.map(({ taskId, run, priority }) => ({ body: { taskId, run, ...withPriority(priority) } }));
    for (let start = 0; start < letters.length; start += SEND_BATCH_MESSAGES) {
      await offer(CONSUMER_PATIENCE_SECONDS, () => this.env.TASK_DLQ.sendBatch(letters.slice(start, start + SEND_BATCH_MESSAGES)));
    }
  }

  /**
   * @param {string} taskId
   * @returns {boolean} whether the id is that of a task that has expired, as far as the id shows. It is used for a task that is missing from a store
   *     that shows every task at once
   */
  hasOutlived(taskId) {
    const age_seconds = (Date.now() - creationTime(taskId)) / 1000;
    const life_seconds = this.store.settling_seconds > 0 ? TASK_TTL_SECONDS : MIN_TTL_SECONDS;
    return age_seconds > life_seconds && age_seconds < MAX_RETENTION_SECONDS;
  }

  /** The most retries of a message. */
  get max_retries() {
    return Math.max(Number(this.env.MAX_RETRIES), LEAST_RETRIES);
  }

  /**
   * If a consumer's isolate dies, its whole batch is retried, and messages at their last delivery become dead letters, whatever the state of their
   * tasks. So the last delivery is not worked on. If there are three deliveries or more, messages are sent again one delivery earlier, because the
   * isolate may die just then too.
   *
   * @param {TaskMessages} messages
   */
  #mayRunOut(messages) {
    const reserve = this.max_retries > 2 ? 1 : 0;
    return messages.mostDeliveries() > this.max_retries - reserve;
  }

  /**
   * @param {Submission[]} runs
   * @param {Pick<TaskMessage, 'redrive'>} more
   */
  #submit(runs, more) {
    const outgoing = runs.map(({ taskId, run, delay_seconds, priority }) => ({ body: { taskId, run, ...withPriority(priority), ...more }, delay_seconds }));
    return this.#send(outgoing, HANDOVER_PATIENCE_SECONDS);
  }

  /**
   * Sends the batch's messages again, which gives them new deliveries.
   *
   * @param {TaskMessages} messages
   * @returns {Promise<boolean>} false if the queue did not accept them
   */
  async #renew(messages) {
    const all = messages.allSuccessors();
    try {
      await this.#send(all.map((body) => ({ body, delay_seconds: 0 })), CONSUMER_PATIENCE_SECONDS);
    } catch (error) {
      console.warn('messages near their last delivery could not be sent anew', { messages: all.length, error: String(error) });
      return false;
    }
    messages.ackAll();
    return true;
  }

  /**
   * @param {OpenTask[]} tasks
   * @param {number} sent_at_ms
   */
  async #resend(tasks, sent_at_ms) {
    const taskIds = tasks.map(({ taskId }) => taskId);
    // Marked first: a store that writes whole entries must not do that after a consumer has begun.
    await this.store.markSent(taskIds, sent_at_ms);
    try {
      await this.submit(tasks.map((task) => ({ ...task, delay_seconds: 0 })));
    } catch (error) {
      await this.store.markSent(taskIds, 0);
      throw error;
    }
  }

  /**
   * @param {Outgoing[]} outgoing
   * @param {number} patience_seconds
   * @throws {HandoverRefused} a queue did not accept all; the others did
   */
  async #send(outgoing, patience_seconds) {
    const byQueue = Map.groupBy(outgoing, ({ body }) => this.#queueOf(body));
    const results = await Promise.allSettled([...byQueue].map(([binding, group]) => (
      sendAll(/** @type {Queue<TaskMessage>} */ (boundQueue(this.env, binding)), group, patience_seconds, this.invocation)
    )));
    for (const result of results) {
      if (result.status === 'rejected') throw new HandoverRefused(String(result.reason), { cause: result.reason });
    }
  }

  /** @returns {Promise<Map<string, Passage>>} the time of each queue, by its binding */
  async #measurePassages() {
    const probes = await this.store.probes();
    return new Map(await Promise.all(this.#queues().map(async ({ binding, queue }) => (
      /** @type {const} */ ([binding, await this.#passageOf(queue, probes.find((each) => each.queue === binding))])
    ))));
  }

  /**
   * @param {Queue<TaskMessage>} queue
   * @param {Probe | undefined} probe
   * @returns {Promise<Passage>}
   */
  async #passageOf(queue, probe) {
    const { oldest_ms } = await backlogOf(queue);
    const lostBefore_ms = (oldest_ms ?? Date.now()) - SWEEP_GRACE_SECONDS * 1000;
    if (!probe) return { lostBefore_ms, isProbed: false };
    if (await this.#hasArrived(probe)) return { lostBefore_ms: Math.max(lostBefore_ms, probe.sent_at_ms - DISORDER_SECONDS * 1000), isProbed: false };
    return { lostBefore_ms, isProbed: Date.now() - probe.sent_at_ms < LOST_AFTER_SECONDS * 1000 };
  }

  /** @param {Probe} probe */
  async #hasArrived({ taskId, run, attempts }) {
    const task = await this.store.find(taskId);
    return !task || task.status !== 'pending' || task.run !== run || task.attempts !== attempts;
  }

  /**
   * @param {{taskId: string, priority?: OwnPriority}} task
   * @returns {string} the binding of its queue; if its priority has none, that of its shard
   */
  #queueOf({ taskId, priority = undefined }) {
    const shard = shardOf(taskId, shardCount(this.env));
    const own = priority && queueBinding(priority, shard);
    return own && boundQueue(this.env, own) ? own : queueBinding('normal', shard);
  }

  /** @returns {{binding: string, priority: Priority, queue: Queue<TaskMessage>}[]} the queues, also those of shards that the deployment no longer uses */
  #queues() {
    return PRIORITIES.flatMap((priority) => {
      const queues = [];
      for (let queue, binding; (queue = boundQueue(this.env, binding = queueBinding(priority, queues.length))); ) queues.push({ binding, priority, queue });
      return queues;
    });
  }
}

/** How far a queue has come: messages sent before that Unix time have come or are lost; and whether a probe is in the queue.
 *
 * @typedef {{lostBefore_ms: number, isProbed: boolean}} Passage
 */

/** The work on one batch. */
class Work {
  /** Failures that are being written with their follow-ups, concurrently with the attempts. @type {Promise<void>[]} */
  #beside = [];
  #hasWarned = false;

  /**
   * @param {QueueEngine} engine
   * @param {TaskMessages} messages
   * @param {Returns} returns
   * @param {number} end_ms
   */
  constructor(engine, messages, returns, end_ms) {
    this.engine = engine;
    this.messages = messages;
    this.returns = returns;
    this.end_ms = end_ms;
  }

  /** Tasks that may have killed an isolate run after the others, each alone; those with the fewest crashes first. */
  async do() {
    const alone_before_ms = Date.now() + ALONE_BEFORE_MS;
    const suspects = await this.#attempt(this.messages.deliveries(), false, alone_before_ms);
    suspects.sort((one, other) => one.crashes - other.crashes);
    for (const { delivery } of suspects) {
      if (Date.now() < alone_before_ms && this.returns.withdraw(delivery.taskId)) await this.#attempt([delivery], true, alone_before_ms);
    }
    await Promise.all(this.#beside);
  }

  /**
   * @param {Delivery[]} deliveries
   * @param {boolean} isAlone
   * @param {number} alone_before_ms Unix time at which tasks that must run alone are returned
   * @returns {Promise<{delivery: Delivery, crashes: number}[]>} the tasks that must run alone
   */
  async #attempt(deliveries, isAlone, alone_before_ms) {
    if (deliveries.length === 0) return [];
    const answers = await this.engine.store.claim(deliveries, isAlone);
    const suspects = [];
    /** @type {ClaimedTask[]} */
    const tasks = [];
    for (const delivery of deliveries) {
      const answer = answers.get(delivery.taskId) ?? { kind: 'absent' };
      if (answer.follows) this.#beside.push(handOverFollowUp(this.engine, followUpOf({ runs: answer.follows ?? [] })));
      if (answer.kind === 'claimed') tasks.push(answer.task);
      else if (answer.kind === 'suspect') {
        suspects.push({ delivery, crashes: answer.crashes });
        this.returns.add(delivery.taskId, alone_before_ms);
      } else this.#release(delivery, answer);
    }
    if (tasks.length > 0) await attemptAll(this.engine.parts, tasks, this.end_ms, (...settled) => this.#settled(...settled));
    return suspects;
  }

  /**
   * @param {Delivery} delivery
   * @param {Exclude<ClaimAnswer, {kind: 'claimed' | 'suspect'}>} answer why it got no task
   */
  #release(delivery, answer) {
    const { messages, returns, engine } = this;
    const { taskId, run } = delivery;
    switch (answer.kind) {
      case 'wait': return returns.add(taskId, answer.until_ms);
      case 'later': return returns.add(taskId, Date.now());
      // The platform has delivered the attempt's own message twice, and an ack of one would ack both. It is delivered again when that attempt is
      // over, in case its isolate dies first.
      case 'held': return answer.isOwn ? returns.add(taskId, Date.now() + LEASE_SECONDS * 1000) : messages.yield(taskId);
      case 'unreleased': return messages.ack(taskId); // the task's release sends another message
      // If an isolate died before it wrote the dead letter, it is written now.
      case 'over': return answer.hasFailed && messages.deliveriesOf(taskId) > 1 ? this.#fail([{ taskId, run }]) : messages.ack(taskId);
      case 'spent': return this.#abandon(delivery, answer.attempts, ATTEMPTS_SPENT);
      case 'crashed': return this.#abandon(delivery, answer.attempts, CRASHED);
      case 'unreachable':
        if (!this.#hasWarned) console.warn('the task store does not answer; tasks come again', { error: String(answer.error) });
        this.#hasWarned = true;
        return this.comeAgain(taskId);
      default:
        if (engine.hasOutlived(taskId)) return messages.ack(taskId);
        console.warn('message names a task that is not there', { taskId, deliveries: messages.deliveriesOf(taskId) });
        if (messages.deliveriesOf(taskId) > engine.max_retries) return this.#fail([{ taskId, run }]);
        return messages.retryAll(taskId, engine.store.settling_seconds || null);
    }
  }

  /**
   * @param {Settlement[]} settlements
   * @param {FollowUp} followUp
   */
  #settled(settlements, followUp) {
    /** @type {{taskId: string, run: number}[]} */
    const failed = [];
    for (const { task, outcome, standing } of settlements) {
      const { taskId, run } = task;
      if (standing === 'lost') this.comeAgain(taskId);
      else if (standing === 'superseded' || outcome.status === 'completed') this.messages.ack(taskId);
      else if (outcome.status === 'failed') failed.push({ taskId, run });
      else this.returns.add(taskId, outcome.next_attempt_ms, 'ended');
    }
    if (failed.length > 0) this.#fail(failed);
    this.#beside.push(handOverFollowUp(this.engine, followUp));
  }

  /**
   * @param {Delivery} delivery
   * @param {number} attempts
   * @param {TaskError} error
   */
  #abandon({ taskId, run, holder, delivery, ended }, attempts, error) {
    console.error('task failed', { taskId, attempts, error: error.name });
    this.#fail([{ taskId, run }], async () => {
      await handOverFollowUp(this.engine, await this.engine.store.abandon([{ taskId, run, attempts, holder, delivery, ended }], error));
    });
  }

  /**
   * Writes dead letters, then acknowledges the messages. If the write fails, the messages are delivered again.
   *
   * @param {{taskId: string, run: number}[]} failed
   * @param {() => Promise<void>} [before] is called first
   */
  #fail(failed, before = async () => {}) {
    const letters = failed.map(({ taskId, run }) => ({ taskId, run, ...withPriority(this.messages.priorityOf(taskId)) }));
    this.#beside.push(before().then(() => this.engine.writeDeadLetters(letters)).then(
      () => failed.forEach(({ taskId }) => this.messages.ack(taskId)),
      (error) => {
        console.warn('dead letters could not be written; their messages come again', { tasks: failed.length, error: String(error) });
        for (const { taskId } of failed) this.comeAgain(taskId);
      },
    ));
  }

  /** @param {string} taskId the task whose store does not answer, and that no attempt of this batch holds any more */
  comeAgain(taskId) {
    this.returns.add(taskId, Date.now() + returnSeconds(this.messages.timesAway(taskId)) * 1000, 'released');
  }
}

/**
 * @param {Env} env
 * @param {string} binding
 * @returns {Queue<TaskMessage> | undefined} the queue; undefined if the deployment has no such queue
 */
function boundQueue(env, binding) {
  return /** @type {Record<string, any>} */ (env)[binding];
}

/**
 * @param {Backlog[]} backlogs
 * @returns {Backlog}
 */
function together(backlogs) {
  const since = backlogs.flatMap(({ oldest_ms }) => oldest_ms ?? []);
  return { count: backlogs.reduce((sum, { count }) => sum + count, 0), oldest_ms: since.length > 0 ? Math.min(...since) : null };
}

/**
 * Sends messages together with those that concurrent requests send to the same queue.
 *
 * @param {Queue<TaskMessage>} queue
 * @param {Outgoing[]} outgoing
 * @param {number} patience_seconds
 * @param {Invocation} invocation
 */
async function sendAll(queue, outgoing, patience_seconds, invocation) {
  const bounds = { items: SEND_BATCH_MESSAGES, bytes: SEND_BATCH_BYTES, answer_bytes: 0 };
  const joint = jointOf(queue, '', () => new Joint(bounds, sizeOf, isPassing));
  for (let start = 0; start < outgoing.length; start += SEND_BATCH_MESSAGES) {
    const group = outgoing.slice(start, start + SEND_BATCH_MESSAGES);
    await offer(patience_seconds, () => joint.ask(group, (all) => sendTogether(queue, all), invocation));
  }
}

/**
 * @param {Queue<TaskMessage>} queue
 * @param {Outgoing[]} outgoing as many as one batch may have
 * @returns {Promise<null[]>}
 */
async function sendTogether(queue, outgoing) {
  const [first] = outgoing;
  if (first && outgoing.length === 1) await queue.send(first.body, delay(first)); // a batch of one costs more
  else await queue.sendBatch(outgoing.map((each) => ({ body: each.body, ...delay(each) })));
  return outgoing.map(() => null);
}

/** @param {Outgoing} outgoing */
function sizeOf({ body }) {
  return { bytes: MESSAGE_BYTES + ENDED_BYTES * (body.ended?.length ?? 0), answer_bytes: 0 };
}

/** @param {unknown} error */
function isPassing(error) {
  return !(error instanceof TypeError);
}

/**
 * Retries until the queue accepts the messages: it refuses more than 5,000 a second (https://developers.cloudflare.com/queues/platform/limits/). A
 * duplicate is harmless.
 *
 * @param {number} patience_seconds
 * @param {() => Promise<unknown>} send
 */
async function offer(patience_seconds, send) {
  await patiently(patience_seconds, send, isPassing);
}

/**
 * @param {Pick<Outgoing, 'delay_seconds'>} outgoing
 * @returns {{delaySeconds: number}} the option; it is set even for no delay, so that the queue's default delay does not apply
 *     (https://developers.cloudflare.com/queues/configuration/javascript-apis/#queuesendoptions)
 */
function delay({ delay_seconds }) {
  return { delaySeconds: Math.min(delay_seconds, MAX_DELAY_SECONDS) };
}

/**
 * @param {Queue<TaskMessage>} queue
 * @returns {Promise<Backlog>}
 */
async function backlogOf(queue) {
  const { backlogCount, oldestMessageTimestamp } = await queue.metrics();
  return { count: backlogCount, oldest_ms: backlogCount > 0 && oldestMessageTimestamp ? Number(oldestMessageTimestamp) : null };
}
