/** A real, empty store, whose methods the tests call from outside. */

import { newTaskId } from '../../worker/task_id.js';
import { startWorker } from './worker_under_test.js';

/** @import { Delivery, Store } from '../../worker/stores/store.js' */
/** @import { AttemptName, NewTask } from '../../worker/task.js' */
/** @import { StoreName, WorkerUnderTest } from './worker_under_test.js' */

/** Calls a method of a class, `Store` or one that it is made of; a map comes back as an object, pages as one list. */
const face = (/** @type {string} */ expression, /** @type {boolean} */ losesReplies) => `{
  ...runner,
  async fetch(request, real) {
    const env = ${losesReplies ? `(${LOSING})(real)` : 'real'};
    const { isPart, method, parameters } = await request.json();
    if (method === 'expire') parameters.push(() => false);
    const answer = new (isPart ? ${expression} : Store)(env)[method](...parameters);
    const result = Symbol.asyncIterator in answer ? (await Array.fromAsync(answer)).flat() : await answer;
    return new Response(JSON.stringify({ result }, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value)));
  },
}`;

/** A store's bindings, of which every other call, the first one to begin with, is done and fails all the same. */
const LOSING = `(real) => {
  let calls = 0;
  const losing = async (call) => {
    const isLost = calls++ % 2 === 0;
    const reply = await call();
    if (isLost) throw new Error('D1_ERROR: Network connection lost.');
    return reply;
  };
  const database = (db) => ({
    prepare: (sql) => ({
      bind: (...values) => {
        const statement = db.prepare(sql).bind(...values);
        return { statement, all: () => losing(() => statement.all()) };
      },
    }),
    batch: (all) => losing(() => db.batch(all.map(({ statement }) => statement))),
  });
  const objects = (namespace) => ({ getByName: (name) => ({ run: (statements) => losing(() => namespace.getByName(name).run(statements)) }) });
  const kv = (namespace) => Object.fromEntries(['get', 'put', 'list', 'delete'].map((name) => [name, (...values) => losing(() => namespace[name](...values))]));
  return Object.fromEntries(Object.entries(real).map(([name, binding]) => (
    [name, name.startsWith('DB') ? database(binding) : name === 'TASK_DO' ? objects(binding) : name === 'KV' ? kv(binding) : binding]
  )));
}`;

/** As an earlier deployment had it. @type {Record<StoreName, string>} */
const CLASSES = { d1: 'D1Store', kv: 'KvStore', 'durable-object': 'DurableObjectStore', 'sharded-d1': 'shardedD1([3])', 'sharded-objects': 'DurableObjectStore' };

/**
 * @param {StoreName} store
 * @param {StoreName} [former] the store that the deployment has left
 * @param {boolean} [losesReplies] whether the platform does what it is asked, and says at first that it did not
 */
export async function startStore(store, former, losesReplies = false) {
  const formerStores = former ? [former] : [];
  return new StoreUnderTest(await startWorker({ store, formerStores, face: face(CLASSES[former ?? store], losesReplies) }));
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
   * @param {Partial<Delivery>} [delivery]
   * @param {boolean} [isAlone]
   * @returns {Promise<any>} what the store answers
   */
  async ask(taskId, delivery, isAlone = false) {
    return (await this.call('claim', [deliveryOf(taskId, delivery)], isAlone))[taskId];
  }

  /**
   * @param {string} taskId
   * @param {Partial<Delivery>} [delivery]
   * @param {boolean} [isAlone]
   * @returns {Promise<any>} the task, or null
   */
  async claim(taskId, delivery, isAlone) {
    const { kind, task } = await this.ask(taskId, delivery, isAlone);
    return kind === 'claimed' ? task : null;
  }

  /**
   * @param {AttemptName} attempt
   * @param {object} outcome
   * @returns {Promise<string>} whose the task was
   */
  async settle({ taskId, run, attempts, crashes, claim }, outcome) {
    const name = { taskId, run, attempts, crashes, claim };
    return (await this.call('settle', [{ ...name, progress: null, ended_ms: Date.now(), ...outcome }])).standings[taskId];
  }

  /**
   * @param {AttemptName} attempt
   * @param {object | null} progress
   * @returns {Promise<string>} whose the task was
   */
  async report({ taskId, run, attempts, crashes, claim }, progress) {
    return (await this.call('report', [{ taskId, run, attempts, crashes, claim, progress }]))[taskId];
  }

  /**
   * @param {string} taskId
   * @returns {Promise<boolean>} whether it was this call that ended it
   */
  async cancel(taskId) {
    return await this.call('cancel', taskId) !== null;
  }

  /**
   * A task that has failed in its first attempt.
   *
   * @param {Partial<NewTask>} [settings]
   */
  async insertFailed(settings) {
    const taskId = await this.insert(settings);
    await this.settle(await this.claim(taskId), { status: 'failed', error: ERROR });
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

/**
 * @param {string} taskId
 * @param {Partial<Delivery>} [delivery]
 * @returns {Delivery} the first of a message of its own
 */
export function deliveryOf(taskId, delivery) {
  return { taskId, run: 1, redrive: false, holder: crypto.randomUUID(), delivery: 1, claim: crypto.randomUUID(), ended: [], ...delivery };
}
