/** The messages of a batch, grouped by the task that each names. */

import { isOwnPriority, withPriority } from '../priority.js';
import { TASK_ID } from '../task_id.js';

/**
 * The body of a message: a task's id and run, and its priority, which its successors and its dead letter inherit. The payload stays in the store. A
 * redrive of a dead letter starts its run itself; every other message finds its run started. A successor replaces a message, so that the message does
 * not become a dead letter or need not wait for its batch. It carries the message's state: its `deliveries` so far, how often in a row its store was
 * `away`, and whose attempts have `ended`. It makes claims of its own, because the replaced message may still come: the queue may not have received
 * its ack, and the sender may not have heard that the successor was sent.
 *
 * @typedef {{taskId: string, run: number, priority?: OwnPriority, redrive?: boolean, deliveries?: number, away?: number, ended?: Ended[]}}
 *   TaskMessage
 */

/** @import { OwnPriority } from '../priority.js' */
/** @import { Delivery, Ended } from '../stores/store.js' */

/** @typedef {{message: Message<unknown>, body: TaskMessage, deliveries: number}} Named */

/** The state of the claim that a delivery made: none was made; it has ended, and the store knows; it has ended in an isolate that lives, though the
 * store may not know. @typedef {'none' | 'ended' | 'released'} OwnClaim */

/** The longest name of a holder: Cloudflare's message ids have 32 characters. */
const MAX_HOLDER_LENGTH = 40;

/** Of how many messages, the latest, a message says that their attempts have ended. Earlier ones came longer ago than a lease lasts, because the
 * delays grow. */
const MAX_ENDED = 24;

/** How many deliveries of a message itself count as failures of its store. The queue may have accepted no successor that says so; but failed attempts
 * cause such deliveries too. */
const COUNTED_DELIVERIES = 4;

export class TaskMessages {
  /** For each task all messages that name its run, the most delivered first; there are several if a message was sent more than once.
   *
   * @type {Map<string, [Named, ...Named[]]>}
   */
  #groups = new Map();

  /** Messages that wait for a batch of their own: they name an earlier run than a redrive does, and that run may not have failed.
   *
   * @type {Named[]}
   */
  #postponed = [];

  /**
   * A message that names no task is retried until it becomes a dead letter. A message of an earlier run than another message's is acknowledged,
   * unless the later run may not have begun.
   *
   * @param {readonly Message<unknown>[]} messages
   * @param {number} max_retries the retries of a message, after which a further one makes it a dead letter
   */
  constructor(messages, max_retries) {
    this.max_retries = max_retries;
    for (const message of messages) {
      const body = readMessage(message.body);
      if (body) this.#add({ message, body, deliveries: (body.deliveries ?? 0) + message.attempts });
      else {
        console.warn('message names no task', { message: message.id, attempts: message.attempts });
        message.retry();
      }
    }
  }

  /** The tasks that the messages name and that are not acknowledged yet. */
  get taskIds() {
    return [...this.#groups.keys()];
  }

  /** @returns {number} the number of deliveries of the most delivered message, this one included */
  mostDeliveries() {
    return Math.max(0, ...[...this.#groups.values()].flat().concat(this.#postponed).map(({ message }) => message.attempts));
  }

  /**
   * @param {string} taskId
   * @returns {boolean} whether its message is at its last delivery, so that it can only come again as a new message
   */
  isLast(taskId) {
    return this.#groups.get(taskId)?.some(({ message }) => message.attempts > this.max_retries) ?? false;
  }

  /** @returns {Delivery[]} one delivery for each task */
  deliveries() {
    const claim = crypto.randomUUID();
    return [...this.#groups].map(([taskId, group]) => ({
      taskId, claim,
      run: group[0].body.run,
      redrive: group.some(({ body }) => body.redrive === true),
      holder: group[0].message.id,
      delivery: group[0].message.attempts,
      ended: endedOf(endedBefore(group)),
    }));
  }

  /**
   * @param {string} taskId
   * @returns {number} how often its message and the messages that it replaced were delivered
   */
  deliveriesOf(taskId) {
    return this.#groups.get(taskId)?.[0].deliveries ?? 0;
  }

  /**
   * @param {string} taskId
   * @returns {OwnPriority | undefined} the priority of its message; undefined: normal
   */
  priorityOf(taskId) {
    return this.#groups.get(taskId)?.[0].body.priority;
  }

  /**
   * @param {string} taskId
   * @returns {number} how often in a row its store did not answer, as far as is known, this time included
   */
  timesAway(taskId) {
    const [first] = this.#groups.get(taskId) ?? [];
    return first ? (first.body.away ?? 0) + Math.min(first.message.attempts, COUNTED_DELIVERIES) : 0;
  }

  /**
   * @param {string} taskId
   * @param {OwnClaim} claim
   * @returns {TaskMessage[]} the messages that replace its message; empty if it is acknowledged
   */
  successors(taskId, claim) {
    const group = this.#groups.get(taskId);
    if (!group) return [];
    const { away = 0, ...successor } = successorOf(group, claim);
    return [claim === 'released' ? { ...successor, away: away + 1 } : successor];
  }

  /** @returns {TaskMessage[]} the messages that replace all messages, see {@link ackAll} */
  allSuccessors() {
    return [...this.#groups.values()].map((group) => successorOf(group, 'none')).concat(this.#postponed.map((each) => successorOf([each], 'none')));
  }

  /** Acknowledges all messages. */
  ackAll() {
    for (const taskId of this.taskIds) this.ack(taskId);
    for (const { message } of this.#postponed.splice(0)) message.ack();
  }

  /** Retries the messages that wait for a batch of their own. */
  retryPostponed() {
    for (const named of this.#postponed.splice(0)) this.#again(named, 1);
  }

  /**
   * Acknowledges all messages of a task.
   *
   * @param {string} taskId
   */
  ack(taskId) {
    for (const { message } of this.#take(taskId)) message.ack();
  }

  /**
   * Retries one message of a task and acknowledges the others: in different batches each would claim the task.
   *
   * @param {string} taskId
   * @param {number} delay_seconds
   */
  retry(taskId, delay_seconds) {
    const [kept, ...copies] = this.#take(taskId);
    for (const { message } of copies) message.ack();
    if (kept) this.#again(kept, delay_seconds);
  }

  /**
   * Retries all messages of a missing task: each becomes a dead letter in the end.
   *
   * @param {string} taskId
   * @param {number | null} delay_seconds null: the consumer's default retry delay
   */
  retryAll(taskId, delay_seconds) {
    for (const { message } of this.#take(taskId)) message.retry(delay_seconds === null ? undefined : { delaySeconds: delay_seconds });
  }

  /**
   * Acknowledges the message that tried to claim a task held by another attempt. Its copies are retried: one of them may be the attempt's own
   * message, and is needed if that attempt crashes.
   *
   * @param {string} taskId
   */
  yield(taskId) {
    const [asked, ...copies] = this.#take(taskId);
    asked?.message.ack();
    for (const copy of copies) this.#again(copy, 1);
  }

  /**
   * Retries a message, unless that would make it a dead letter although its task may not have failed: the store has the task, and the sweeper sends
   * it a new message. A redrive is always retried, because nobody else knows of it.
   *
   * @param {Named} named
   * @param {number} delay_seconds
   */
  #again({ message, body }, delay_seconds) {
    if (message.attempts <= this.max_retries || body.redrive) return message.retry({ delaySeconds: delay_seconds });
    console.warn('a message has no delivery left and could not be sent anew; the sweeper sends its task again', { taskId: body.taskId });
    message.ack();
  }

  /** @param {Named} named */
  #add(named) {
    const { taskId, run } = named.body;
    const group = this.#groups.get(taskId);
    const known = group?.[0].body.run ?? 0;
    if (group && run === known) {
      group.push(named);
      group.sort((one, other) => other.deliveries - one.deliveries);
      return;
    }
    const [earlier, later] = group && run < known ? [[named], group] : [group ?? [], [named]];
    if (later.some(({ body }) => body.redrive)) this.#postponed.push(...earlier);
    else for (const { message } of earlier) message.ack();
    this.#groups.set(taskId, /** @type {[Named, ...Named[]]} */ (later));
  }

  /**
   * @param {string} taskId
   * @returns {Named[]} its messages, which are removed here
   */
  #take(taskId) {
    const group = this.#groups.get(taskId) ?? [];
    this.#groups.delete(taskId);
    return group;
  }
}

/**
 * A delivery that made no claim ends none: if the queue delivers it twice, the other delivery may be working under its name.
 *
 * @param {Named[]} group
 * @returns {Ended[]} the attempts of the earlier deliveries
 */
function endedBefore(group) {
  return group.flatMap(({ message, body }) => [...body.ended ?? [], { holder: message.id, delivery: message.attempts - 1, released: 0 }]);
}

/**
 * @param {[Named, ...Named[]]} group the messages of a task
 * @param {OwnClaim} claim
 * @returns {TaskMessage}
 */
function successorOf(group, claim) {
  const [{ message, body, deliveries }] = group;
  const ended = endedBefore(group);
  if (claim !== 'none') ended.push({ holder: message.id, delivery: message.attempts, released: claim === 'released' ? message.attempts : 0 });
  return { ...body, deliveries, ended: endedOf(ended) };
}

/**
 * @param {unknown} body the body, which anybody with the API token may have sent
 * @returns {TaskMessage | null} the message; null if it names no task
 */
function readMessage(body) {
  const { taskId, run = 1, priority, redrive, deliveries, away, ended } = /** @type {Partial<TaskMessage>} */ (body ?? {});
  // A text that cannot be an id is kept from the store: KV refuses some keys, and then the whole batch fails.
  const isNamed = typeof taskId === 'string' && TASK_ID.test(taskId) && Number.isInteger(run) && run > 0;
  if (!isNamed) return null;
  return {
    taskId, run, ...withPriority(isOwnPriority(priority) ? priority : null),
    ...(redrive === true && { redrive }),
    ...(isCount(deliveries) && { deliveries }),
    ...(isCount(away) && { away }),
    ...(Array.isArray(ended) && { ended: ended.filter(isEnded).slice(-MAX_ENDED) }),
  };
}

/**
 * @param {Ended[]} ended the holders, the latest last
 * @returns {Ended[]} one entry for each holder that had a delivery, as many as a message can carry
 */
function endedOf(ended) {
  /** @type {Map<string, Ended>} */
  const byHolder = new Map();
  for (const { holder, delivery, released } of ended) {
    const known = byHolder.get(holder) ?? { delivery: 0, released: 0 };
    byHolder.delete(holder);
    byHolder.set(holder, { holder, delivery: Math.max(known.delivery, delivery), released: released || known.released });
  }
  return [...byHolder.values()].filter(({ delivery }) => delivery > 0).slice(-MAX_ENDED);
}

/**
 * @param {unknown} value
 * @returns {value is Ended}
 */
function isEnded(value) {
  const { holder, delivery, released } = /** @type {Partial<Ended>} */ (value ?? {});
  return typeof holder === 'string' && holder.length <= MAX_HOLDER_LENGTH && isCount(delivery) && (released === 0 || isCount(released));
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isCount(value) {
  return Number.isSafeInteger(value) && Number(value) > 0;
}
