/** A batch's messages by the task that each names. */

import { TASK_ID } from '../task_id.js';

/**
 * What the queue carries: a task's name and run; its payload stays in the store, and `payload_length` tells of a large
 * one. A redrive of a dead letter starts that run itself; any other message finds it started.
 *
 * @typedef {{taskId: string, run: number, redrive?: boolean, payload_length?: number}} TaskMessage
 */

/** @import { Delivery } from '../stores/store.js' */

/** @typedef {Required<Omit<TaskMessage, 'taskId'>> & {messages: Message<unknown>[]}} Group several when a message was sent more than once */

/** From what length on a message tells that of its payload: a hundred shorter ones, in one batch, are no trouble. */
export const LARGE_PAYLOAD_LENGTH = 64 * 1024;

/** How much payload is taken at once: an isolate has 128 MB (https://developers.cloudflare.com/workers/platform/limits/),
 * and on its way a payload is there several times. */
const PORTION_LENGTH = 16 * 1024 * 1024;

export class TaskMessages {
  /** @type {Map<string, Group>} */
  #groups = new Map();

  /**
   * A message that names no task is retried, which takes it to the dead-letter queue in the end; one of an earlier run
   * than another one's is done with.
   *
   * @param {readonly Message<unknown>[]} messages
   */
  constructor(messages) {
    for (const message of messages) {
      const named = readMessage(message.body);
      if (!named) {
        console.warn('message names no task', { message: message.id, attempts: message.attempts });
        message.retry();
      } else this.#add(named, message);
    }
  }

  /** @returns {Delivery[][]} one for each task, in portions whose payloads fit in memory together: nearly always it is one */
  portions() {
    /** @type {Delivery[][]} */
    const portions = [];
    let length = Infinity;
    for (const [taskId, { run, redrive, payload_length }] of this.#groups) {
      if (length + payload_length > PORTION_LENGTH) {
        portions.push([]);
        length = 0;
      }
      portions.at(-1)?.push({ taskId, run, redrive, attempts: this.attempts(taskId) });
      length += payload_length;
    }
    return portions;
  }

  /**
   * @param {string} taskId
   * @returns {number} 0 when it is not large, or not known
   */
  payloadLength(taskId) {
    return this.#groups.get(taskId)?.payload_length ?? 0;
  }

  /**
   * @param {string} taskId
   * @returns {number} how often the most delivered of its messages was delivered
   */
  attempts(taskId) {
    return Math.max(...this.#of(taskId).map(({ attempts }) => attempts));
  }

  /** @param {string} taskId */
  ack(taskId) {
    for (const message of this.#of(taskId)) message.ack();
  }

  /**
   * Acknowledges all messages of a task but the most delivered: in batches of their own each would take the task from the
   * other one's attempt.
   *
   * @param {string} taskId
   */
  ackCopies(taskId) {
    const [kept, ...copies] = this.#of(taskId).toSorted((one, other) => other.attempts - one.attempts);
    for (const copy of copies) copy.ack();
    const group = this.#groups.get(taskId);
    if (group && kept) this.#groups.set(taskId, { ...group, messages: [kept] });
  }

  /**
   * @param {string} taskId
   * @param {number | null} delay_seconds null: the consumer's own retry delay
   */
  retry(taskId, delay_seconds) {
    for (const message of this.#of(taskId)) message.retry(delay_seconds === null ? undefined : { delaySeconds: delay_seconds });
  }

  /**
   * @param {Required<TaskMessage>} named
   * @param {Message<unknown>} message
   */
  #add({ taskId, run, redrive, payload_length }, message) {
    const group = this.#groups.get(taskId) ?? { run, redrive, payload_length, messages: [] };
    const isNewer = run > group.run;
    const stale = isNewer ? group.messages : run < group.run ? [message] : [];
    for (const each of stale) each.ack();
    if (isNewer) this.#groups.set(taskId, { run, redrive, payload_length, messages: [message] });
    else if (run === group.run) this.#groups.set(taskId, { ...group, redrive: group.redrive || redrive, messages: [...group.messages, message] });
  }

  /** @param {string} taskId */
  #of(taskId) {
    return this.#groups.get(taskId)?.messages ?? [];
  }
}

/**
 * @param {unknown} body which anybody with the API token may have sent
 * @returns {Required<TaskMessage> | null} null when it names no task
 */
function readMessage(body) {
  const { taskId, run = 1, redrive = false, payload_length = 0 } = /** @type {Partial<TaskMessage>} */ (body ?? {});
  // What cannot be an id is kept from the store: KV refuses some keys, and with them the whole batch.
  const isNamed = typeof taskId === 'string' && TASK_ID.test(taskId) && Number.isInteger(run) && run > 0;
  if (!isNamed) return null;
  return { taskId, run, redrive: redrive === true, payload_length: Number.isSafeInteger(payload_length) ? Math.max(0, payload_length) : 0 };
}
