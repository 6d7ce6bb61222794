/** A batch's messages by the task that each names. */

/** What the queue carries: the task's name; its payload stays in the store. @typedef {{taskId: string}} TaskMessage */

/** @import { Delivery } from '../stores/store.js' */

export class TaskMessages {
  /** @type {Map<string, Message<unknown>[]>} a task has several when its message was sent more than once */
  #byTask = new Map();

  /**
   * A message that names no task is retried, which takes it to the dead-letter queue in the end.
   *
   * @param {readonly Message<unknown>[]} messages
   */
  constructor(messages) {
    for (const message of messages) {
      const taskId = /** @type {Partial<TaskMessage> | null | undefined} */ (message.body)?.taskId;
      if (typeof taskId !== 'string' || taskId === '') {
        console.warn('message names no task', { message: message.id, attempts: message.attempts });
        message.retry();
      } else this.#byTask.set(taskId, [...(this.#byTask.get(taskId) ?? []), message]);
    }
  }

  get size() {
    return this.#byTask.size;
  }

  taskIds() {
    return [...this.#byTask.keys()];
  }

  /** @returns {Delivery[]} one for each task */
  deliveries() {
    return this.taskIds().map((taskId) => ({ taskId, attempts: this.attempts(taskId) }));
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
   * @param {number} [delay_seconds] 0: the consumer's own retry delay
   */
  retry(taskId, delay_seconds = 0) {
    for (const message of this.#of(taskId)) message.retry(delay_seconds > 0 ? { delaySeconds: delay_seconds } : undefined);
  }

  /** @param {string} taskId */
  #of(taskId) {
    return this.#byTask.get(taskId) ?? [];
  }
}
