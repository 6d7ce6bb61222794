/** A real, empty store, whose methods the tests call from outside. */

import { newTaskId } from '../../worker/task_id.js';
import { startWorker } from './worker_under_test.js';

/** @import { Store } from '../../worker/stores/store.js' */
/** @import { NewTask } from '../../worker/task.js' */
/** @import { StoreName, WorkerUnderTest } from './worker_under_test.js' */

/** Calls a method of the store; a set comes back as an array. */
const FACE = `{
  async fetch(request, env) {
    const { method, parameters } = await request.json();
    const result = await new Store(env)[method](...parameters);
    return Response.json({ result: result instanceof Set ? [...result] : result });
  },
}`;

/** @param {StoreName} store */
export async function startStore(store) {
  return new StoreUnderTest(await startWorker({ store, face: FACE }));
}

export class StoreUnderTest {
  /** @param {WorkerUnderTest} worker */
  constructor(worker) {
    this.worker = worker;
  }

  /**
   * @param {Exclude<keyof Store, 'settling_seconds'>} method
   * @param {...unknown} parameters
   * @returns {Promise<any>}
   */
  async call(method, ...parameters) {
    const reply = await this.worker.fetch('/', { method: 'POST', body: JSON.stringify({ method, parameters }) });
    if (!reply.ok) throw new Error(await reply.text());
    return /** @type {{result: unknown}} */ (await reply.json()).result;
  }

  /**
   * @param {Partial<NewTask>} [settings]
   * @returns {Promise<string>} the id of a new task
   */
  async insert(settings) {
    const task = newTask(settings);
    await this.call('insert', [task]);
    return task.taskId;
  }

  /**
   * @param {string} taskId
   * @param {{run?: number, attempts?: number, redrive?: boolean}} [delivery]
   */
  async claim(taskId, { run = 1, attempts = 1, redrive = false } = {}) {
    const [claimed] = await this.call('claim', [{ taskId, run, attempts, redrive }]);
    return claimed ?? null;
  }

  /**
   * A task that has failed in its first attempt.
   *
   * @param {Partial<NewTask>} [settings]
   */
  async insertFailed(settings) {
    const taskId = await this.insert(settings);
    await this.claim(taskId);
    await this.call('settle', [{ taskId, run: 1, attempts: 1, status: 'failed', error: ERROR, progress: null }]);
    return taskId;
  }

  stop() {
    return this.worker.stop();
  }
}

export const ERROR = { name: 'Error', message: 'no luck' };

/**
 * @param {Partial<NewTask>} [settings]
 * @returns {NewTask}
 */
export function newTask(settings) {
  return {
    taskId: newTaskId(Date.now()), handler: 'default', parameters: {}, payload: 'work', delay_seconds: 0, ttl_seconds: null,
    max_retries: null, idempotency: null, ...settings,
  };
}
