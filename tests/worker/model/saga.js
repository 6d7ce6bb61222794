/** One task with steps in a {@link Cloud}, whose calls to the platform are counted, and of which one is failed. */

import './workerd.js';
import { QueueEngine } from '../../../worker/engines/queue.js';
import { WorkflowEngine } from '../../../worker/engines/workflow.js';
import { CONSUMER_PATIENCE_SECONDS, REQUEST_PATIENCE_SECONDS } from '../../../worker/stores/connection.js';
import { D1Store } from '../../../worker/stores/d1.js';
import { KvStore } from '../../../worker/stores/kv.js';
import { shardedD1 } from '../../../worker/stores/sharded_d1.js';
import { sweep } from '../../../worker/sweeper.js';
import { ENDED } from '../../../worker/task.js';
import { newTaskId } from '../../../worker/task_id.js';
import { newTask } from '../store_under_test.js';
import { readMigrations } from '../worker_under_test.js';
import { Clock, randomOf, within } from './clock.js';
import { Cloud, d1Shelf, Isolate, kvShelf, objectShelf } from './cloud.js';
import { Workflows } from './workflows.js';

const { DurableObjectStore, taskObject } = await import('../../../worker/stores/durable_object.js');
const { taskWorkflow } = await import('../../../worker/engines/task_workflow.js');
const MIGRATIONS = await readMigrations();

/** @import { FaultKind, Target } from './cloud.js' */
/** @import { Engine } from '../../../worker/engines/engine.js' */
/** @import { Store } from '../../../worker/stores/store.js' */
/** @import { Context } from '../../../worker/handler.js' */

/** @typedef {'d1' | 'sharded-d1' | 'durable-object' | 'kv'} ShelfName */

/** Which call is failed: the one after so many of its target. @typedef {{target: Target, after: number, kind: FaultKind}} Fault */

const SETTINGS = { MAX_RETRIES: '3', RETRY_DELAY_SECONDS: '2', RETRY_BACKOFF: 'exponential', RETRY_MAX_DELAY_SECONDS: '60' };
const MINUTE_MS = 60_000;

/** When the client sends the event, after the submission: the handler waits for it by then. */
const EVENT_MS = 20_000;

/** Until when the task must have ended: a lease, a message that is given up for lost, and KV's sweep of every tenth minute, with room to spare. */
const LIMIT_MS = 2 * 60 * MINUTE_MS;

/** What the task results in, whatever fails. */
export const RESULT = ['one', ['a', 'b'], 'flaky 2', 'told', 'last'];

/** Its steps with effects, and how often each has them where nothing fails. @type {Readonly<Record<string, number>>} */
export const EFFECTS = { one: 1, a: 1, b: 1, flaky: 2, last: 1 };

export class Saga {
  /** How often each step had its effect. @type {Record<string, number>} */
  effects = {};
  /** The steps that were finished and kept when an isolate died; null: none has died. @type {Set<string> | null} */
  keptAtDeath = null;
  /** How often each had had its effect then. @type {Record<string, number>} */
  effectsAtDeath = {};
  /** How many calls there were, by target. @type {Record<string, number>} */
  calls = {};
  taskId = '';
  #consumer = new Isolate();
  /** @type {any} */
  #row = null;

  /**
   * @param {ShelfName} name
   * @param {'queue' | 'workflow'} engineName
   * @param {Fault | null} fault
   */
  constructor(name, engineName, fault) {
    this.name = name;
    this.engineName = engineName;
    const random = randomOf(7);
    this.clock = new Clock(Date.UTC(2026, 10, 29, 12, 0, 0), random);
    this.cloud = new Cloud({ random, max_retries: Number(SETTINGS.MAX_RETRIES), onChange: () => {}, onLetter: () => {}, onDeath: (isolate) => this.#died(isolate) });
    const call = this.cloud.call.bind(this.cloud);
    this.cloud.call = (isolate, target, ...others) => {
      this.calls[target] = (this.calls[target] ?? 0) + 1;
      return call(isolate, target, ...others);
    };
    if (fault) this.cloud.arm(fault.target, fault.after, fault.kind);
    this.shelf = this.#makeShelf();
    this.workflows = new Workflows(this.cloud, (isolate) => new (taskWorkflow(/** @type {any} */ (this.#storeClass), this.#handlers))(/** @type {any} */ ({ waitUntil: () => {} }), this.#envOf(isolate)));
  }

  /** @returns {Promise<{status: string, result: string | null} | null>} the task's row once it has ended, or the time is up */
  async run() {
    this.clock.install();
    try {
      this.taskId = newTaskId(Date.now());
      const start_ms = Date.now();
      this.#again(() => this.#submit());
      setTimeout(() => this.#again(() => this.#sendEvent()), EVENT_MS);
      this.#every(MINUTE_MS, () => this.#sweep());
      this.#every(100, () => this.#consume());
      for (;;) {
        await this.clock.advance(1_000);
        const task = this.#look();
        if ((task && ENDED.has(task.status)) || Date.now() > start_ms + LIMIT_MS) return task;
      }
    } finally {
      this.clock.uninstall();
    }
  }

  /** @param {Context} context */
  async #handle(context) {
    const did = (/** @type {string} */ name) => {
      this.effects[name] = (this.effects[name] ?? 0) + 1;
      return name;
    };
    const one = await context.step('one', () => did('one'));
    const both = await Promise.all(['a', 'b'].map((name) => context.step(name, () => did(name))));
    const flaky = await context.step('flaky', { retries: { limit: 9, delaySeconds: 2, backoff: 'constant' } }, ({ attempt }) => {
      did('flaky');
      if (attempt === 1) throw new Error('not yet');
      return `flaky ${Math.min(attempt, 2)}`; // an attempt that was killed counts as well, where its start was kept
    });
    await context.sleep('nap', 5);
    const { payload } = await context.waitForEvent('go', { timeoutSeconds: 6 * 3_600 });
    return [one, both, flaky, payload, await context.step('last', () => did('last'))];
  }

  get #handlers() {
    return { default: { steps: true, default: (/** @type {unknown} */ _, /** @type {Context} */ context) => this.#handle(context) } };
  }

  /** A client tries until it is answered; each time a new one, for the last one may have died. @param {() => Promise<void>} ask */
  #again(ask) {
    let isAnswered = false;
    const tryOnce = () => {
      if (isAnswered) return;
      ask().then(() => { isAnswered = true; }, () => {});
      setTimeout(tryOnce, 30_000);
    };
    tryOnce();
  }

  /** @param {number} interval_ms @param {() => void} work */
  #every(interval_ms, work) {
    setTimeout(() => {
      work();
      this.#every(interval_ms, work);
    }, interval_ms);
  }

  async #submit() {
    const isolate = new Isolate();
    await within(isolate, async () => {
      const { store, engine } = this.#parts(isolate, REQUEST_PATIENCE_SECONDS);
      const task = { ...newTask({ taskId: this.taskId }), mayBeThere: true };
      const [insertion] = await store.insert([task]);
      if (insertion instanceof Error) throw insertion;
      // As after the answer: nobody hears of it when it fails.
      engine.submit([{ taskId: this.taskId, run: 1, delay_seconds: 0, max_retries: null }]).catch(() => {});
    });
  }

  async #sendEvent() {
    const isolate = new Isolate();
    await within(isolate, async () => {
      const { store, engine } = this.#parts(isolate, REQUEST_PATIENCE_SECONDS);
      const receipt = await store.putEvent(this.taskId, 'go', { payload: '"told"', received_ms: Date.now() });
      if (!receipt) throw new Error('there is no such task yet');
      if (receipt.waiting) engine.wake({ taskId: this.taskId, ...receipt.waiting, delay_seconds: 0 }).catch(() => {});
    });
  }

  #sweep() {
    if (this.name === 'durable-object') return; // each object sweeps itself
    const isolate = new Isolate();
    const { store, engine } = this.#parts(isolate, REQUEST_PATIENCE_SECONDS);
    within(isolate, () => sweep(store, engine, { env: SETTINGS, handlers: this.#handlers })).catch(() => {});
  }

  #consume() {
    if (this.engineName !== 'queue') return;
    const messages = this.cloud.take(10);
    if (messages.length === 0) return;
    if (this.#consumer.isDead) this.#consumer = new Isolate();
    const isolate = this.#consumer;
    const { engine } = this.#parts(isolate, CONSUMER_PATIENCE_SECONDS);
    within(isolate, () => this.cloud.deliver(isolate, messages, (batch) => /** @type {QueueEngine} */ (engine).consume(batch)));
  }

  /** Looks without a call that counts, or fails. */
  #look() {
    const found = this.shelf.rows().find(({ taskId }) => taskId === this.taskId);
    this.#row = found ?? this.#row;
    return this.#row;
  }

  /** @param {Isolate} isolate @param {number} patience_seconds @returns {{store: Store, engine: Engine}} */
  #parts(isolate, patience_seconds) {
    const env = /** @type {any} */ (this.#envOf(isolate));
    const store = /** @type {Store} */ (new this.#storeClass(env, patience_seconds));
    return { store, engine: this.#engineOf(env, store) };
  }

  /** @param {any} env @param {Store} store @returns {Engine} */
  #engineOf(env, store) {
    return this.engineName === 'queue' ? new QueueEngine(env, store, this.#handlers) : new WorkflowEngine(env, store);
  }

  /** @param {Isolate} isolate */
  #envOf(isolate) {
    return (isolate.bindings ??= { ...SETTINGS, ...this.#queuesOf(isolate), ...this.shelf.bind(isolate) });
  }

  /** @param {Isolate} isolate @returns {Record<string, any>} */
  #queuesOf(isolate) {
    return this.engineName === 'queue' ? this.cloud.queuesOf(isolate) : { TASK_WORKFLOW: this.workflows.bind(isolate) };
  }

  /** @returns {new (env: any, patience_seconds?: number) => Store} */
  get #storeClass() {
    return { 'd1': D1Store, 'sharded-d1': shardedD1([2]), 'durable-object': DurableObjectStore, 'kv': KvStore }[this.name];
  }

  #makeShelf() {
    switch (this.name) {
      case 'd1': return d1Shelf(this.cloud, ['DB'], MIGRATIONS);
      case 'sharded-d1': return d1Shelf(this.cloud, ['DB', 'DB_1'], MIGRATIONS);
      case 'durable-object': return objectShelf(
        this.cloud, /** @type {any} */ (taskObject(MIGRATIONS, (env, store) => this.#engineOf(env, store), { handlers: this.#handlers, storeOf: (env) => new DurableObjectStore(env) })),
        (isolate) => ({ ...SETTINGS, ...this.#queuesOf(isolate) }),
      );
      default: return kvShelf(this.cloud);
    }
  }

  /** @param {Isolate} isolate */
  #died(isolate) {
    this.keptAtDeath ??= new Set(this.shelf.finishedSteps());
    this.effectsAtDeath = { ...this.effects };
    this.workflows.restart(isolate);
  }
}
