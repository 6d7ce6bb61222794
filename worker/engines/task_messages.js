/** A batch's messages by the task that each names. */

import { isOwnPriority, withPriority } from '../priority.js';
import { TASK_ID } from '../task_id.js';

/**
 * What the queue carries: a task's name and run, and its priority, which its successors and its dead letter have from it; its payload stays in the store. A redrive of a dead letter starts that run itself;
 * any other message finds it started. A message that takes another one's place, so that this one is not moved to the
 * dead-letter queue or need not wait for its batch, tells of it: its `deliveries` so far, how often in a row its store was `away`, and whose attempts have `ended`. It
 * makes claims of its own, for the other one may still come: its end may not have been heard, nor that this one was sent.
 *
 * @typedef {{taskId: string, run: number, priority?: OwnPriority, redrive?: boolean, deliveries?: number, away?: number, ended?: Ended[]}} TaskMessage
 */

/** @import { OwnPriority } from '../priority.js' */
/** @import { Delivery, Ended } from '../stores/store.js' */

/** @typedef {{message: Message<unknown>, body: TaskMessage, deliveries: number}} Named */

/** What became of the claim that a delivery made: none was made; it has ended, and the store was told; it has ended in an isolate that
 * lives, though the store may not know. @typedef {'none' | 'ended' | 'released'} OwnClaim */

/** Longest name of a holder: Cloudflare's message ids have 32 characters. */
const MAX_HOLDER_LENGTH = 40;

/** Of how many messages one tells that their attempts have ended: the latest. Those before them came longer ago than a lease lasts,
 * for messages come again later each time. */
const MAX_ENDED = 24;

/** How many deliveries of a message itself count for its store being away: the queue may have taken no message that says so, but a
 * handler that failed makes them, too. */
const COUNTED_DELIVERIES = 4;

export class TaskMessages {
  /** Of each task all that name its run; several when a message was sent more than once; the most delivered first.
   *
   * @type {Map<string, [Named, ...Named[]]>} */
  #groups = new Map();

  /** Those that wait for a batch of their own: they name an earlier run than a redrive does, which may be of a run that has not failed.
   *
   * @type {Named[]} */
  #postponed = [];

  /**
   * A message that names no task is retried, which takes it to the dead-letter queue in the end; one of an earlier run
   * than another one's is done with, unless that one's run may not have begun.
   *
   * @param {readonly Message<unknown>[]} messages
   * @param {number} max_retries of a message, after which a further one makes it a dead letter
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

  /** The tasks that the messages name and that are not done with. */
  get taskIds() {
    return [...this.#groups.keys()];
  }

  /** @returns {number} how often the one of them has been delivered that came most often, this time included */
  mostDeliveries() {
    return Math.max(0, ...[...this.#groups.values()].flat().concat(this.#postponed).map(({ message }) => message.attempts));
  }

  /**
   * @param {string} taskId
   * @returns {boolean} whether its message is at its last delivery, so that it can come again only if it is sent anew
   */
  isLast(taskId) {
    return this.#groups.get(taskId)?.some(({ message }) => message.attempts > this.max_retries) ?? false;
  }

  /** @returns {Delivery[]} one for each task */
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
   * @returns {number} how often its message was delivered, and those whose place it took
   */
  deliveriesOf(taskId) {
    return this.#groups.get(taskId)?.[0].deliveries ?? 0;
  }

  /**
   * @param {string} taskId
   * @returns {OwnPriority | undefined} of its message; undefined: normal
   */
  priorityOf(taskId) {
    return this.#groups.get(taskId)?.[0].body.priority;
  }

  /**
   * @param {string} taskId
   * @returns {number} how often its store was away before, in a row and as far as can be told, this time included
   */
  timesAway(taskId) {
    const [first] = this.#groups.get(taskId) ?? [];
    return first ? (first.body.away ?? 0) + Math.min(first.message.attempts, COUNTED_DELIVERIES) : 0;
  }

  /**
   * @param {string} taskId
   * @param {OwnClaim} claim
   * @returns {TaskMessage[]} what takes the place of its message; none when that is done with
   */
  successors(taskId, claim) {
    const group = this.#groups.get(taskId);
    if (!group) return [];
    const { away = 0, ...successor } = successorOf(group, claim);
    return [claim === 'released' ? { ...successor, away: away + 1 } : successor];
  }

  /** @returns {TaskMessage[]} what takes the place of all messages, see {@link ackAll} */
  allSuccessors() {
    return [...this.#groups.values()].map((group) => successorOf(group, 'none')).concat(this.#postponed.map((each) => successorOf([each], 'none')));
  }

  /** Is done with all messages. */
  ackAll() {
    for (const taskId of this.taskIds) this.ack(taskId);
    for (const { message } of this.#postponed.splice(0)) message.ack();
  }

  /** Lets those come again that wait for a batch of their own. */
  retryPostponed() {
    for (const named of this.#postponed.splice(0)) this.#again(named, 1);
  }

  /**
   * Is done with a task, in this batch.
   *
   * @param {string} taskId
   */
  ack(taskId) {
    for (const { message } of this.#take(taskId)) message.ack();
  }

  /**
   * Lets one message of a task come again and is done with the others: in batches of their own each would ask for the task.
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
   * Lets all messages of a task come again that is not there: each becomes a dead letter in the end.
   *
   * @param {string} taskId
   * @param {number | null} delay_seconds null: the consumer's own retry delay
   */
  retryAll(taskId, delay_seconds) {
    for (const { message } of this.#take(taskId)) message.retry(delay_seconds === null ? undefined : { delaySeconds: delay_seconds });
  }

  /**
   * Is done with the message that asked for a task that another attempt holds. Its copies come again: one of them may be the
   * attempt's own, and is needed should that one crash.
   *
   * @param {string} taskId
   */
  yield(taskId) {
    const [asked, ...copies] = this.#take(taskId);
    asked?.message.ack();
    for (const copy of copies) this.#again(copy, 1);
  }

  /**
   * Lets a message come again, unless that would make it a dead letter, though its task may not have failed: the store has the task, and
   * the sweeper sends it a message. A redrive has nobody else who knows of it.
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
   * @returns {Named[]} its messages, which are no longer here
   */
  #take(taskId) {
    const group = this.#groups.get(taskId) ?? [];
    this.#groups.delete(taskId);
    return group;
  }
}

/**
 * A delivery that made no claim ends none: should the queue deliver it twice at once, the other one may be at work under its name.
 *
 * @param {Named[]} group
 * @returns {Ended[]} attempts of the deliveries before these
 */
function endedBefore(group) {
  return group.flatMap(({ message, body }) => [...body.ended ?? [], { holder: message.id, delivery: message.attempts - 1, released: 0 }]);
}

/**
 * @param {[Named, ...Named[]]} group of a task
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
 * @param {unknown} body which anybody with the API token may have sent
 * @returns {TaskMessage | null} null when it names no task
 */
function readMessage(body) {
  const { taskId, run = 1, priority, redrive, deliveries, away, ended } = /** @type {Partial<TaskMessage>} */ (body ?? {});
  // What cannot be an id is kept from the store: KV refuses some keys, and with them the whole batch.
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
 * @param {Ended[]} ended the latest last
 * @returns {Ended[]} one of each holder that has had a delivery, as many as a message has
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
