/** The Worker in real workerd with a real, empty store; the tests hand a queue's batches to it themselves. */

import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { Miniflare } from '../../local/runtime/miniflare.js';
import { keptBundle } from './kept_bundle.js';

// workerd has it, and Node.js not yet.
if (!('toHex' in Uint8Array.prototype)) {
  Object.defineProperty(Uint8Array.prototype, 'toHex', { value: /** @this {Uint8Array} */ function toHex() { return Buffer.from(this).toString('hex'); } });
}

const ROOT = join(import.meta.dirname, '..', '..');
const WORKER_FOLDER = join(ROOT, 'worker');
const MIGRATIONS_FOLDER = join(WORKER_FOLDER, 'migrations');
const NAME = 'task-runner';
const DOOR_NAME = 'door';

/** Does what it is posted, with the bindings of the Worker under test. Those that Miniflare gives to Node.js cost half a second of each
 * Miniflare: they load an HTTP client of their own in a thread. */
const DOOR = `
  const CALLS = {
    async queue({ RUNNER }, messages) {
      const timestamp = new Date();
      const { explicitAcks, retryMessages } = await RUNNER.queue('tasks', messages.map((message) => ({ ...message, timestamp })));
      return { acked: explicitAcks, retried: retryMessages.map(({ msgId }) => msgId) };
    },
    scheduled: async ({ RUNNER }, cron) => { await RUNNER.scheduled({ cron }); },
    sweepObjects: async ({ TASK_DO }, count) => { for (let number = 0; number < count; number++) await TASK_DO.getByName('tasks-' + number).sweepNow(); },
    exec: async (env, binding, sql) => { await env[binding].exec(sql); },
    rows: async ({ DB }, sql, parameters) => (await DB.prepare(sql).bind(...parameters).all()).results,
  };
  export default {
    async fetch(request, env) {
      const [call, ...parameters] = await request.json();
      return Response.json(await CALLS[call](env, ...parameters) ?? null);
    },
  };
`;

/** The engine's setting in these tests: three attempts. */
export const MAX_RETRIES = 2;

/** What a sweep reads schedules of the stack with, where there are none. @type {import('../../worker/stack_schedules.js').Reading} */
export const READING = { env: { MAX_RETRIES: String(MAX_RETRIES) }, handlers: {} };

/** How many objects there are, see `stores/durable_object.js`. */
const OBJECTS = 4;

/** @typedef {'d1' | 'kv' | 'durable-object'} OrdinaryStoreName */
/** @typedef {OrdinaryStoreName | 'sharded-d1' | 'sharded-objects'} StoreName */
/** @typedef {'queue' | 'workflow'} EngineName */
/** @typedef {{id: string, timestamp: Date, attempts: number, body: unknown}} Delivery */

/** @type {OrdinaryStoreName[]} */
export const EVERY_STORE = ['d1', 'kv', 'durable-object'];

/**
 * What of some stores a file of tests runs on: with `TEST_STORES=one` one of them, another one in the next file.
 *
 * @template T
 * @param {readonly T[]} all
 */
export function someOf(all) {
  return all.filter((_, number) => process.env['TEST_STORES'] !== 'one' || number === numberOf(process.argv[1] ?? '') % all.length);
}

export const STORES = someOf(EVERY_STORE);

/** @param {string} file */
function numberOf(file) {
  return [...basename(file)].reduce((sum, character) => sum + character.charCodeAt(0), 0);
}

const DATABASES = Object.fromEntries(['DB', 'DB_1', 'DB_2'].map((name) => [name, { type: 'd1', id: name }]));

/** What each store is built of, and what it binds.
 * @type {Record<StoreName, {part: import('../../components/bundle/bundle.js').Part, binding: Record<string, any>}>} */
const STORE_PARTS = {
  'd1': { part: { name: 'd1', shardCounts: [1] }, binding: { DB: DATABASES['DB'] } },
  'kv': { part: { name: 'kv', shardCounts: [1] }, binding: { KV: { type: 'kv', id: 'tasks' } } },
  'durable-object': {
    part: { name: 'durable-object', shardCounts: [1] }, binding: { TASK_DO: { type: 'durable-object', worker: NAME, exportName: 'TaskObject' } },
  },
  // Spread over two since the last deployment, over three before.
  'sharded-d1': { part: { name: 'd1', shardCounts: [2, 3] }, binding: DATABASES },
  // Three objects since the last deployment, as many as there are by default before.
  'sharded-objects': {
    part: { name: 'durable-object', shardCounts: [3, 1] }, binding: { TASK_DO: { type: 'durable-object', worker: NAME, exportName: 'TaskObject' } },
  },
};

/** @type {Record<EngineName, Record<string, any>>} */
const ENGINE_BINDINGS = {
  queue: { TASK_QUEUE: { type: 'queue', name: 'tasks' }, TASK_DLQ: { type: 'queue', name: 'dead-tasks' } },
  workflow: { TASK_WORKFLOW: { type: 'workflow', name: 'tasks', worker: NAME, exportName: 'TaskWorkflow' } },
};

/**
 * @param {object} [options]
 * @param {StoreName} [options.store]
 * @param {StoreName[]} [options.formerStores] those that the deployment has left
 * @param {EngineName} [options.engine]
 * @param {Record<string, string>} [options.handlers] sources of further handlers, or in place of the built-in ones, by name or file name
 * @param {Record<string, string>} [options.settings] bindings of text, beside or in place of the usual ones
 * @param {Record<string, any>} [options.bindings] further bindings, in Miniflare's form
 * @param {string} [options.face] source of an expression, the Worker's default export in place of the task runner (`runner`)
 * @param {boolean} [options.bound] false takes the engine's binding away, so that handing over a task fails
 */
export async function startWorker({ store = 'd1', formerStores = [], engine = 'queue', handlers = {}, settings = {}, bindings = {}, face, bound = true } = {}) {
  const stores = [store, ...formerStores];
  const { modules } = await keptBundle({
    workerFolder: WORKER_FOLDER, toolchain: ROOT, handlerFolders: [join(WORKER_FOLDER, 'handlers')],
    stores: stores.map((name) => STORE_PARTS[name].part), engines: [engine], entry: entry(stores, face),
    extraHandlers: Object.fromEntries(Object.entries(handlers).map(([name, source]) => [name.includes('.') ? name : `${name}.js`, source])),
  });
  const texts = {
    MAX_RETRIES: String(MAX_RETRIES), RETRY_DELAY_SECONDS: '0', RETRY_BACKOFF: 'exponential', RETRY_MAX_DELAY_SECONDS: '3600', ...settings,
  };
  /** @type {any} */
  const config = {
    name: NAME,
    compatibilityDate: '2026-10-01',
    manifest: { mainModule: 'index.js', modulesRoot: '/worker', modules: manifestOf(modules) },
    env: {
      ...Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, { type: 'text', value }])),
      ...Object.assign({}, ...stores.map((name) => STORE_PARTS[name].binding)),
      ...(bound && ENGINE_BINDINGS[engine]),
      ...bindings,
    },
    ...(hasObjects(stores) && { exports: { TaskObject: { type: 'durable-object', storage: 'sqlite' } } }),
    triggers: [],
  };
  const miniflare = new Miniflare({ cf: false, workers: [{ config }, door(stores)] });
  await miniflare.ready;
  const worker = new WorkerUnderTest(miniflare, stores);
  await worker.migrate(Object.keys(config.env).filter((name) => name in DATABASES));
  return worker;
}

/**
 * @param {StoreName[]} stores
 * @returns {any} the Worker's options
 */
function door(stores) {
  return {
    config: {
      name: DOOR_NAME,
      compatibilityDate: '2026-10-01',
      compatibilityFlags: ['service_binding_extra_handlers'],
      manifest: { mainModule: 'door.js', modulesRoot: '/door', modules: { 'door.js': { type: 'esm', contents: DOOR } } },
      env: { RUNNER: { type: 'worker', worker: NAME }, ...Object.assign({}, ...stores.map((name) => STORE_PARTS[name].binding)) },
      triggers: [],
    },
    dev: { rootPath: '/', unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] },
  };
}

export class WorkerUnderTest {
  #deliveries = 0;

  /**
   * @param {Miniflare} miniflare
   * @param {StoreName[]} stores
   */
  constructor(miniflare, stores) {
    this.miniflare = miniflare;
    this.stores = stores;
  }

  /**
   * @param {string} path
   * @param {import('miniflare').RequestInit} [init]
   */
  fetch(path, init) {
    return this.miniflare.dispatchFetch(`http://task-runner${path}`, init);
  }

  /**
   * @param {string | Uint8Array} [body]
   * @param {string} [query]
   * @returns {Promise<string>} the id of a new task
   */
  async submit(body = 'work', query = '') {
    const reply = await this.fetch(`/task${query}`, { method: 'POST', body });
    return /** @type {{taskId: string}} */ (await reply.json()).taskId;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<string | undefined>} its status, as a client sees it
   */
  async status(taskId) {
    return /** @type {{status?: string}} */ (await (await this.fetch(`/task/${taskId}`)).json()).status;
  }

  /**
   * Hands the consumer a batch and tells what it made of each message.
   *
   * @param {...{body: unknown, attempts?: number}} messages
   * @returns {Promise<('ack' | 'retry' | 'thrown')[]>}
   */
  async deliver(...messages) {
    const batch = messages.map(({ body, attempts = 1 }) => ({ id: `${this.#deliveries++}`, attempts, body }));
    const { acked, retried } = await this.#door('queue', batch);
    return batch.map(({ id }) => (acked.includes(id) ? 'ack' : retried.includes(id) ? 'retry' : 'thrown'));
  }

  /** What a deployment's cron does, and the alarms of objects: each store is swept by one of the two. */
  async sweep() {
    await this.#door('scheduled', '* * * * *');
    if (hasObjects(this.stores)) await this.#door('sweepObjects', OBJECTS);
  }

  /**
   * @param {string} taskId
   * @returns {Promise<any>} what the API tells of a task
   */
  async task(taskId) {
    return (await this.fetch(`/task/${taskId}`)).json();
  }

  /**
   * @param {string} taskId
   * @returns {Promise<{status: string, attempts: number, result: any, error: any}>} what became of a task, as the API tells it
   */
  async outcome(taskId) {
    const { status, attempts, result, error } = await this.task(taskId);
    return { status, attempts, result, error };
  }

  /** As Node.js sees it, which costs half a second. */
  get database() {
    return this.miniflare.getD1Database('DB', NAME);
  }

  /** @param {string[]} bindings of databases */
  async migrate(bindings) {
    if (bindings.length === 0) return;
    const sql = (await readMigrations()).flatMap(statements).join('\n');
    await Promise.all(bindings.map((binding) => this.#door('exec', binding, sql)));
  }

  /**
   * @param {string} sql
   * @param {...unknown} parameters
   * @returns {Promise<Record<string, any>[]>}
   */
  async rows(sql, ...parameters) {
    return this.#door('rows', sql, parameters);
  }

  /** @param {string} taskId */
  async row(taskId) {
    const [row] = await this.rows('SELECT * FROM tasks WHERE taskId = ?', taskId);
    return row;
  }

  stop() {
    return this.miniflare.dispose();
  }

  /**
   * @param {string} call
   * @param {...unknown} parameters
   * @returns {Promise<any>}
   */
  async #door(call, ...parameters) {
    const reply = await fetch(await this.miniflare.unsafeGetDirectURL(DOOR_NAME), { method: 'POST', body: JSON.stringify([call, ...parameters]) });
    if (!reply.ok) throw new Error(`${call}: ${await reply.text()}`);
    return reply.json();
  }
}

/**
 * The entry point that a deployment has, with another face and a way to have an object sweep now.
 *
 * @param {StoreName[]} stores
 * @param {string} [face]
 */
function entry(stores, face = 'runner') {
  return `
    import runner from './index.js';
    import * as classes from 'task-runner:classes';
    import { handlers, Store, sweep, Validator } from 'task-runner:parts';
    import { HandoverRefused } from './engines/engine.js';
    import { QueueEngine } from './engines/queue.js';
    import { Invocation, Joint } from './joint.js';
    import { D1Store } from './stores/d1.js';
    import { durableObjects, DurableObjectStore } from './stores/durable_object.js';
    import { KvStore } from './stores/kv.js';
    import { shardedD1 } from './stores/sharded_d1.js';
    import { StoreFull, StoreUnavailable } from './stores/store_error.js';
    import { taskRunner } from './task_runner.js';
    export * from './index.js';
    ${hasObjects(stores) ? 'export class TaskObject extends classes.TaskObject { sweepNow() { return this.alarm(); } }' : ''}
    export default ${face};
  `;
}

/** @param {StoreName[]} stores */
function hasObjects(stores) {
  return stores.some((name) => STORE_PARTS[name].part.name === 'durable-object');
}

/** @param {import('../../components/bundle/bundle.js').Module[]} modules */
function manifestOf(modules) {
  const code = modules.filter(({ contentType }) => contentType === 'application/javascript+module');
  return Object.fromEntries(code.map(({ name, content }) => [name, { type: 'esm', contents: new TextDecoder().decode(content) }]));
}

/** @returns {Promise<string[]>} their SQL, in order */
export async function readMigrations() {
  const names = (await readdir(MIGRATIONS_FOLDER)).sort();
  return Promise.all(names.map((name) => readFile(join(MIGRATIONS_FOLDER, name), 'utf8')));
}

/**
 * @param {string} sql statements without a semicolon inside, but for those of triggers
 * @returns {string[]} each on a line of its own, as D1's `exec` takes them
 */
function statements(sql) {
  const code = sql.replaceAll(/--.*$/gm, '');
  const trigger = /CREATE TRIGGER[^]*?END;/g;
  return [...code.replaceAll(trigger, '').split(';'), ...code.match(trigger) ?? []].map((each) => each.replaceAll(/\s+/g, ' ').trim()).filter(Boolean);
}
