/** A handler's access to other tasks: it submits tasks, and reads the outcomes of those that its own task starts after. */

import { newTask, withAwaited } from './api/submission.js';
import { FIELDS, readItem } from './api/batches.js';
import { acceptTasks, answerTo } from './api/intake.js';
import { Refusal } from './api/reply.js';
import { isObject } from './api/request.js';
import { bounded } from './text.js';

/** @import { Dependency, SubmittedTask } from './handler.js' */
/** @import { Parts } from './api/router.js' */
/** @import { Insertion } from './stores/store.js' */
/** @import { ClaimedTask, NewTask } from './task.js' */

/** The longest key of a submission within its task, in UTF-16 code units. */
const MAX_KEY_LENGTH = 255;

/** The total length of results, as JSON, that are read at once: an isolate has 128 MB (https://developers.cloudflare.com/workers/platform/limits/) for
 * everything. */
export const MAX_RESULTS_BYTES = 4 * 1024 * 1024;

/** The fields of a submission: those of a batch's task without the idempotency key, which is unique in the whole stack. */
const KNOWN = FIELDS.filter((name) => name !== 'idempotencyKey' && name !== 'replace');

export class OtherTasks {
  /** The keys of this attempt. @type {Set<string>} */
  #keys = new Set();

  /**
   * @param {Parts & {env: any}} parts
   * @param {Pick<ClaimedTask, 'taskId' | 'after'>} task the task whose handler runs
   */
  constructor(parts, { taskId, after }) {
    this.parts = parts;
    this.taskId = taskId;
    this.after = after;
  }

  /**
   * Submits a task like the API. If an earlier attempt submitted a task with the same key, that task is returned unchanged.
   *
   * @param {SubmittedTask} given
   * @returns {Promise<{taskId: string, status: string}>}
   * @throws {TypeError} the key is invalid; a `SubmissionRefused` for everything that the API refuses: if the submission is at fault, another attempt
   *   does not help
   */
  async submit(given) {
    if (!isObject(given)) throw new TypeError(`expected an object with a task to submit, got ${typeof given}`);
    const { key = `#${this.#keys.size + 1}`, ...item } = /** @type {Record<string, unknown>} */ (given);
    if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_LENGTH) {
      throw new TypeError(`expected key to be a text of 1 to ${MAX_KEY_LENGTH} characters, got ${bounded(JSON.stringify(key) ?? 'nothing', MAX_KEY_LENGTH)}`);
    }
    if (this.#keys.has(key)) throw new TypeError(`expected a key of its own for each task that is submitted, got ${key} twice`);
    this.#keys.add(key);
    try {
      const task = await this.#newTask(item, key);
      const [insertion] = /** @type {[Insertion | Error]} */ (await acceptTasks([task], this.parts));
      const answer = answerTo(insertion instanceof Error ? insertion : { ...insertion, conflict: false }); // the first submission counts
      if (answer instanceof Refusal) throw answer;
      return answer;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw Object.assign(new Error(error.message), { name: 'SubmissionRefused', code: error.body.code, permanent: error.status < 500 });
    }
  }

  /**
   * @param {Record<string, unknown>} item
   * @param {string} key
   * @returns {Promise<NewTask>}
   */
  async #newTask({ payload, ...item }, key) {
    const body = payload instanceof Uint8Array ? { payloadBase64: payload.toBase64() } : { payload };
    const submission = readItem({ ...item, ...(payload !== undefined && body) }, this.parts.handlers, KNOWN);
    // A caller's key has no line break, so it cannot be equal.
    const own = await newTask({ ...submission, idempotencyKey: `submitted by\n${this.taskId}\n${key}` }, this.parts);
    const [task] = await withAwaited([{ ...own, submittedBy: this.taskId }], this.parts.store);
    if (task instanceof Refusal) throw task;
    return /** @type {NewTask} */ (task);
  }

  /**
   * @param {string[]} [taskIds] some of the tasks that this one starts after; the default is all
   * @returns {Promise<Dependency[]>} the outcomes in their order. When the results together exceed {@link MAX_RESULTS_BYTES}, the rest is left out:
   *   ask for fewer at once
   * @throws {RangeError} the task does not start after one of them
   */
  async dependencies(taskIds = this.after?.taskIds ?? []) {
    const stranger = taskIds.find((taskId) => !this.after?.taskIds.includes(taskId));
    if (stranger !== undefined) throw new RangeError(`expected ids of tasks after which this one starts, got ${stranger}`);
    if (taskIds.length === 0) return [];
    const found = new Map((await this.parts.store.results(taskIds, MAX_RESULTS_BYTES)).map((task) => [task.taskId, task]));
    let length = 0;
    return taskIds.map((taskId) => {
      const { status = null, error = null, result = null, length: own = 0 } = found.get(taskId) ?? {};
      length += own;
      const isLeftOut = own > 0 && (result === null || length > MAX_RESULTS_BYTES);
      return { taskId, status, error, result: isLeftOut || result === null ? null : JSON.parse(result), isLeftOut };
    });
  }
}
