/** A batch's messages by the task that each names. */

/**
 * What the queue carries: a task's name and run; its payload stays in the store. A redrive of a dead letter starts that
 * run itself; any other message finds it started.
 *
 * @typedef {{taskId: string, run: number, redrive?: boolean}} TaskMessage
 */

/** @import { Delivery } from '../stores/store.js' */

/** @typedef {{run: number, redrive: boolean, messages: Message<unknown>[]}} Group several when a message was sent more than once */

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

  get size() {
    return this.#groups.size;
  }

  taskIds() {
    return [...this.#groups.keys()];
  }

  /** @returns {Delivery[]} one for each task */
  deliveries() {
    return [...this.#groups].map(([taskId, { run, redrive }]) => ({ taskId, run, redrive, attempts: this.attempts(taskId) }));
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
  #add({ taskId, run, redrive }, message) {
    const group = this.#groups.get(taskId) ?? { run, redrive, messages: [] };
    const isNewer = run > group.run;
    const stale = isNewer ? group.messages : run < group.run ? [message] : [];
    for (const each of stale) each.ack();
    if (isNewer) this.#groups.set(taskId, { run, redrive, messages: [message] });
    else if (run === group.run) this.#groups.set(taskId, { run, redrive: group.redrive || redrive, messages: [...group.messages, message] });
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
  const { taskId, run = 1, redrive = false } = /** @type {Partial<TaskMessage>} */ (body ?? {});
  const isNamed = typeof taskId === 'string' && taskId !== '' && Number.isInteger(run) && run > 0;
  return isNamed ? { taskId, run, redrive: redrive === true } : null;
}
