/**
 * Carries tasks to their handler over a Cloudflare Queue. Delivery is at least once and in no order, so every step
 * here is safe to repeat; the store's claims decide. A message becomes a dead letter only when no task can be made of it; that of a
 * task whose attempts are spent is written when it has failed.
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

/** A sendBatch takes 100 messages of 256 KB together (https://developers.cloudflare.com/queues/platform/limits/). */
const SEND_BATCH_MESSAGES = 100;
const SEND_BATCH_BYTES = 256_000;

/** How much a message of ours is taken for, see `task_messages.js`: a batch of the largest is as much as a queue takes. */
const MESSAGE_BYTES = 256;
const ENDED_BYTES = 96;

/** How long a queue keeps a message at most (https://developers.cloudflare.com/queues/platform/limits/). */
const MAX_RETENTION_SECONDS = 14 * 86_400;

/** How long a batch may be worked on: the wall-clock limit of a consumer (15 minutes,
 * https://developers.cloudflare.com/queues/platform/limits/) less what it takes to let the rest come again. */
const BATCH_MS = 14.5 * 60_000;

/** A task that runs alone is begun only so early in a batch that it has the time that it may take. One that still waits then is sent
 * anew, so that it does not wait for those before it, which may take as long. */
const ALONE_BEFORE_MS = 20_000;

/** Fewest retries of a message, whatever a task has: the platform must be able to deliver again what an isolate had that died.
 * `components/engine.py` sets the consumers so. */
const LEAST_RETRIES = 1;

/** How long a consumer goes on offering messages to a queue that refuses them. */
const CONSUMER_PATIENCE_SECONDS = 20;

/** A message that has not come this long after it was due is given up for lost, whatever else is in the queue. */
const LOST_AFTER_SECONDS = 15 * 60;

/** Messages come in no order: one sent so long before another that has come should have come, too. */
const DISORDER_SECONDS = 10;

/**
 * @typedef {{TASK_QUEUE: Queue<TaskMessage>, TASK_DLQ: Queue<TaskMessage>, MAX_RETRIES: string, SHARDS?: string}} Env beside the
 *   queues of further shards and of priorities; `MAX_RETRIES` is the consumers' own setting, too
 */

/** @implements {Engine} */
export class QueueEngine {
  hasQueues = true;

  /** Messages sent before these Unix times, of each queue, have come or are lost; as of this sweep.
   *
   * @type {Promise<Map<string, Passage>> | null} */
  #passages = null;

  /**
   * @param {Env} env
   * @param {Store} store
   * @param {Handlers} handlers
   * @param {Invocation} [invocation]
   * @param {ValidatorClass} [Validator] of the payloads of tasks that handlers submit
   */
  constructor(env, store, handlers, invocation = new Invocation(), Validator = undefined) {
    this.env = env;
    this.store = store;
    this.handlers = handlers;
    this.invocation = invocation;
    this.Validator = Validator;
  }

  /** What attempts need. */
  get parts() {
    const { env, store, handlers, invocation, Validator } = this;
    return { env, store, handlers, invocation, Validator, engine: this };
  }

  /**
   * Sends a message for each run.
   *
   * @param {Submission[]} runs
   * @throws {HandoverRefused} a queue did not take all
   */
  submit(runs) {
    return this.#submit(runs, {});
  }

  /**
   * Sends the same messages as `python -m ops dlq redrive`, which begin their runs themselves.
   *
   * @param {Submission[]} runs
   * @throws {HandoverRefused} a queue did not take all
   */
  redrive(runs) {
    return this.#submit(runs, { redrive: true });
  }

  /**
   * Its message may come much later; this one comes now.
   *
   * @param {Submission} run
   */
  wake(run) {
    return this.submit([run]);
  }

  /**
   * Works off a batch: each task on its own, so that one hurts none of the others. What cannot be done now, because the store is
   * away or a task must wait, comes again, and no attempt is spent.
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
   * Sends again the messages of open tasks that are lost. Which are, a queue does not tell; but what was sent before a message that
   * has come, has come or is lost. Where no other message tells, the oldest task's is sent again first, as a probe.
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
   * Writes the dead letters of tasks that have failed. One too many is harmless: a redrive starts failed tasks only.
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
   * @returns {boolean} whether a task of that id was there and its time to live is over, for all that the id tells: one that
   *   a store does not have that sees each task at once
   */
  hasOutlived(taskId) {
    const age_seconds = (Date.now() - creationTime(taskId)) / 1000;
    const life_seconds = this.store.settling_seconds > 0 ? TASK_TTL_SECONDS : MIN_TTL_SECONDS;
    return age_seconds > life_seconds && age_seconds < MAX_RETENTION_SECONDS;
  }

  /** Most retries of a message. */
  get max_retries() {
    return Math.max(Number(this.env.MAX_RETRIES), LEAST_RETRIES);
  }

  /**
   * A consumer whose isolate dies retries its whole batch, and a message at its last delivery becomes a dead letter then, whatever its
   * task was. So the last delivery is not worked on; and where there are three, messages are sent anew one
   * delivery before it, for the isolate may die just then, too.
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
   * Sends the batch's messages anew, which gives them new deliveries.
   *
   * @param {TaskMessages} messages
   * @returns {Promise<boolean>} false when the queue did not take them
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
    // Marked first: what writes whole entries must not do it after a consumer has begun.
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
   * @throws {HandoverRefused} a queue did not take all; the others did
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

  /** @returns {Promise<Map<string, Passage>>} of each queue, by its binding */
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
   * @returns {string} the binding of its queue; without one of its priority that of its shard
   */
  #queueOf({ taskId, priority = undefined }) {
    const shard = shardOf(taskId, shardCount(this.env));
    const own = priority && queueBinding(priority, shard);
    return own && boundQueue(this.env, own) ? own : queueBinding('normal', shard);
  }

  /** @returns {{binding: string, priority: Priority, queue: Queue<TaskMessage>}[]} those of shards that the deployment has left as well */
  #queues() {
    return PRIORITIES.flatMap((priority) => {
      const queues = [];
      for (let queue, binding; (queue = boundQueue(this.env, binding = queueBinding(priority, queues.length))); ) queues.push({ binding, priority, queue });
      return queues;
    });
  }
}

/** How far a queue has come: what was sent before that Unix time has come or is lost; whether a probe is on its way.
 *
 * @typedef {{lostBefore_ms: number, isProbed: boolean}} Passage
 */

/** What is done with a batch. */
class Work {
  /** Failures that are being written and what follows them, beside the attempts. @type {Promise<void>[]} */
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

  /** Those that may have killed an isolate run after the others, each alone; the ones that did it least first. */
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
   * @param {number} alone_before_ms Unix time at which those come again that must run alone
   * @returns {Promise<{delivery: Delivery, crashes: number}[]>} those that must run alone
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
      // The platform has delivered the attempt's own message twice at once, and an ack of one is an ack of both: it comes again when that
      // attempt is over, should its isolate die before it is done.
      case 'held': return answer.isOwn ? returns.add(taskId, Date.now() + LEASE_SECONDS * 1000) : messages.yield(taskId);
      case 'unreleased': return messages.ack(taskId); // its release sends another
      // Should an isolate have died before it wrote the dead letter, this is the time.
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
   * Writes dead letters, and is done with the messages then; should that fail, they come again for it.
   *
   * @param {{taskId: string, run: number}[]} failed
   * @param {() => Promise<void>} [before] what is written first
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

  /** @param {string} taskId whose store is away, and which no attempt of this batch holds any more */
  comeAgain(taskId) {
    this.returns.add(taskId, Date.now() + returnSeconds(this.messages.timesAway(taskId)) * 1000, 'released');
  }
}

/**
 * @param {Env} env
 * @param {string} binding
 * @returns {Queue<TaskMessage> | undefined} undefined: the deployment has no such queue
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
 * Sends messages together with those that other requests send to the same queue.
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
 * @param {Outgoing[]} outgoing as many as a batch takes
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
 * Offers messages to a queue until it takes them: it refuses more than 5,000 a second
 * (https://developers.cloudflare.com/queues/platform/limits/). One sent twice is harmless.
 *
 * @param {number} patience_seconds
 * @param {() => Promise<unknown>} send
 */
async function offer(patience_seconds, send) {
  await patiently(patience_seconds, send, isPassing);
}

/**
 * @param {Pick<Outgoing, 'delay_seconds'>} outgoing
 * @returns {{delaySeconds: number}} said even when it is none, which keeps the queue's own delay from the message
 *   (https://developers.cloudflare.com/queues/configuration/javascript-apis/#queuesendoptions)
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
