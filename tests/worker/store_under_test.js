/** A real, empty store, whose methods the tests call from outside. */

import { newTaskId } from '../../worker/task_id.js';
import { startWorker } from './worker_under_test.js';

/** @import { Store } from '../../worker/stores/store.js' */
/** @import { NewTask } from '../../worker/task.js' */
/** @import { StoreName, WorkerUnderTest } from './worker_under_test.js' */

/** Calls a method of a class, `Store` or one that it is made of; a set comes back as an array. */
const face = (/** @type {string} */ expression) => `{
  ...runner,
  async fetch(request, env) {
    const { isPart, method, parameters } = await request.json();
    const result = await new (isPart ? ${expression} : Store)(env)[method](...parameters);
    return Response.json({ result: result instanceof Set ? [...result] : result });
  },
}`;

/** As an earlier deployment had it. @type {Record<StoreName, string>} */
const CLASSES = { d1: 'D1Store', kv: 'KvStore', 'durable-object': 'DurableObjectStore', 'sharded-d1': 'shardedD1([3])' };

/**
 * @param {StoreName} store
 * @param {StoreName} [former] the store that the deployment has left
 */
export async function startStore(store, former) {
  const formerStores = former ? [former] : [];
  return new StoreUnderTest(await startWorker({ store, formerStores, face: face(CLASSES[former ?? store]) }));
}

export class StoreUnderTest {
  /**
   * @param {WorkerUnderTest} worker
   * @param {boolean} [isPart] whether it is the former store alone
   */
  constructor(worker, isPart = false) {
    this.worker = worker;
    this.isPart = isPart;
  }

  /** The former store, as its own deployment saw it. */
  get former() {
    return new StoreUnderTest(this.worker, true);
  }

  /**
   * @param {Exclude<keyof Store, 'settling_seconds'>} method
   * @param {...unknown} parameters
   * @returns {Promise<any>}
   */
  async call(method, ...parameters) {
    const reply = await this.worker.fetch('/', { method: 'POST', body: JSON.stringify({ isPart: this.isPart, method, parameters }) });
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
