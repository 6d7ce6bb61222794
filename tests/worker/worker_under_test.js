/** The Worker in real workerd with a real, empty store; the tests hand a queue's batches to it themselves. */

import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Miniflare } from 'miniflare';

const WORKER_FOLDER = join(import.meta.dirname, '..', '..', 'worker');
const MIGRATIONS_FOLDER = join(WORKER_FOLDER, 'migrations');
const TEXT_ENDING = '.txt';
const NAME = 'task-runner';

/** The engine's setting in these tests: three attempts. */
export const MAX_RETRIES = 2;

/** How many objects there are, see `stores/durable_object.js`. */
const OBJECTS = 4;

/** @typedef {'d1' | 'kv' | 'durable-object'} OrdinaryStoreName */
/** @typedef {OrdinaryStoreName | 'sharded-d1'} StoreName */
/** @typedef {'queue' | 'workflow'} EngineName */
/** @typedef {{id: string, timestamp: Date, attempts: number, body: unknown}} Delivery */

/** @type {OrdinaryStoreName[]} */
export const STORES = ['d1', 'kv', 'durable-object'];

const DATABASES = Object.fromEntries(['DB', 'DB_1', 'DB_2'].map((name) => [name, { type: 'd1', id: name }]));

/** What is imported of a store's module, the expression of its class, and what it binds.
 * @type {Record<StoreName, {module: string, imported: string, expression: string, binding: Record<string, any>}>} */
const STORE_PARTS = {
  d1: { module: 'd1', imported: 'D1Store', expression: 'D1Store', binding: { DB: DATABASES['DB'] } },
  kv: { module: 'kv', imported: 'KvStore', expression: 'KvStore', binding: { KV: { type: 'kv', id: 'tasks' } } },
  'durable-object': {
    module: 'durable_object', imported: 'DurableObjectStore, taskObject', expression: 'DurableObjectStore',
    binding: { TASK_DO: { type: 'durable-object', worker: NAME, exportName: 'TaskObject' } },
  },
  // Spread over two since the last deployment, over three before.
  'sharded-d1': { module: 'sharded_d1', imported: 'shardedD1', expression: 'shardedD1([2, 3])', binding: DATABASES },
};

/** @type {Record<EngineName, {className: string, binding: Record<string, any>}>} */
const ENGINE_PARTS = {
  queue: { className: 'QueueEngine', binding: { TASK_QUEUE: { type: 'queue', name: 'tasks' }, TASK_DLQ: { type: 'queue', name: 'dead-tasks' } } },
  workflow: { className: 'WorkflowEngine', binding: { TASK_WORKFLOW: { type: 'workflow', name: 'tasks', worker: NAME, exportName: 'TaskWorkflow' } } },
};

/**
 * @param {object} [options]
 * @param {StoreName} [options.store]
 * @param {StoreName[]} [options.formerStores] those that the deployment has left within a day
 * @param {EngineName} [options.engine]
 * @param {Record<string, string>} [options.handlers] sources of further handlers, or in place of the built-in ones, by name
 * @param {Record<string, string>} [options.settings] bindings of text, beside or in place of the usual ones
 * @param {Record<string, any>} [options.bindings] further bindings, in Miniflare's form
 * @param {string} [options.face] source of an expression, the Worker's default export in place of the task runner
 * @param {boolean} [options.bound] false takes the engine's binding away, so that handing over a task fails
 */
export async function startWorker({ store = 'd1', formerStores = [], engine = 'queue', handlers = {}, settings = {}, bindings = {}, face, bound = true } = {}) {
  const modules = await readModules(handlers);
  modules['index.js'] = { type: 'esm', contents: entry({ store, formerStores, engine, face, modules: Object.keys(modules) }) };
  const stores = [store, ...formerStores];
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  const texts = {
    MAX_RETRIES: String(MAX_RETRIES), RETRY_DELAY_SECONDS: '0', RETRY_BACKOFF: 'exponential', RETRY_MAX_DELAY_SECONDS: '3600',
    FORMER_UNTIL: JSON.stringify(Object.fromEntries(formerStores.map((name) => [name, tomorrow]))), ...settings,
  };
  /** @type {any} */
  const config = {
    name: NAME,
    compatibilityDate: '2026-10-01',
    manifest: { mainModule: 'index.js', modulesRoot: '/worker', modules },
    env: {
      ...Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, { type: 'text', value }])),
      ...Object.assign({}, ...stores.map((name) => STORE_PARTS[name].binding)),
      ...(bound && ENGINE_PARTS[engine].binding),
      ...bindings,
    },
    ...(stores.includes('durable-object') && { exports: { TaskObject: { type: 'durable-object', storage: 'sqlite' } } }),
    triggers: [],
  };
  const miniflare = new Miniflare({ cf: false, workers: [{ config }] });
  await miniflare.ready;
  const worker = new WorkerUnderTest(miniflare, store);
  await worker.migrate(Object.keys(config.env).filter((name) => name in DATABASES));
  return worker;
}

export class WorkerUnderTest {
  #deliveries = 0;

  /**
   * @param {Miniflare} miniflare
   * @param {StoreName} store
   */
  constructor(miniflare, store) {
    this.miniflare = miniflare;
    this.store = store;
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
    const worker = await this.miniflare.getWorker(NAME);
    const batch = messages.map(({ body, attempts = 1 }) => ({ id: `${this.#deliveries++}`, timestamp: new Date(), attempts, body }));
    const result = await worker.queue('tasks', /** @type {any} */ (batch));
    const acked = new Set(result.explicitAcks);
    const retried = new Set(result.retryMessages.map(({ msgId }) => msgId));
    return batch.map(({ id }) => (acked.has(id) ? 'ack' : retried.has(id) ? 'retry' : 'thrown'));
  }

  async sweep() {
    if (this.store !== 'durable-object') return (await this.miniflare.getWorker(NAME)).scheduled({ cron: '* * * * *' });
    const objects = /** @type {any} */ (await this.miniflare.getDurableObjectNamespace('TASK_DO', NAME));
    for (let number = 0; number < OBJECTS; number++) await objects.get(objects.idFromName(`tasks-${number}`)).sweepNow();
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

  get database() {
    return this.miniflare.getD1Database('DB', NAME);
  }

  /** @param {string[]} bindings of databases */
  async migrate(bindings) {
    for (const binding of bindings) {
      const database = await this.miniflare.getD1Database(binding, NAME);
      for (const sql of await readMigrations()) await database.batch(statements(sql).map((each) => database.prepare(each)));
    }
  }

  /**
   * @param {string} sql
   * @param {...unknown} parameters
   * @returns {Promise<Record<string, any>[]>}
   */
  async rows(sql, ...parameters) {
    const { results } = await (await this.database).prepare(sql).bind(...parameters).all();
    return results;
  }

  /** @param {string} taskId */
  async row(taskId) {
    const [row] = await this.rows('SELECT * FROM tasks WHERE taskId = ?', taskId);
    return row;
  }

  stop() {
    return this.miniflare.dispose();
  }
}

/**
 * An entry point of the shape that a deployment has, for the parts under test.
 *
 * @param {{store: StoreName, formerStores: StoreName[], engine: EngineName, face: string | undefined, modules: string[]}} parts
 */
function entry({ store, formerStores, engine, face, modules }) {
  const { className: Engine } = ENGINE_PARTS[engine];
  const stores = [store, ...formerStores].map((name) => ({ name, ...STORE_PARTS[name] }));
  const formers = stores.slice(1).map(({ name, expression }) => `'${name}': ${expression}`);
  const handlers = modules.flatMap((name) => /^handlers\/([^_].*)\.js$/.exec(name)?.[1] ?? []);
  const migrations = modules.filter((name) => name.endsWith(`.sql${TEXT_ENDING}`)).sort();
  return `
    import { ${Engine} } from './engines/${engine}.js';
    ${engine === 'workflow' ? "import { taskWorkflow } from './engines/task_workflow.js';" : ''}
    ${handlers.map((name, index) => `import * as handler${index} from './handlers/${name}.js';`).join('\n')}
    ${migrations.map((name, index) => `import migration${index} from './${name}';`).join('\n')}
    ${stores.map(({ module, imported }) => `import { ${imported} } from './stores/${module}.js';`).join('\n')}
    import { layered } from './stores/layered.js';
    import { HandoverRefused } from './engines/engine.js';
    import { StoreFull, StoreUnavailable } from './stores/store_error.js';
    import { sweep } from './sweeper.js';
    import { taskRunner } from './task_runner.js';
    const Store = ${formers.length > 0 ? `layered(${stores[0]?.expression}, {${formers}})` : stores[0]?.expression};
    const handlers = { ${handlers.map((name, index) => `'${name}': handler${index}`)} };
    const runner = taskRunner({ Store, Engine: ${Engine}, ${engine === 'queue' ? `Consumer: ${Engine},` : ''} handlers, sweep });
    export default ${face ?? 'runner'};
    ${stores.some(({ name }) => name === 'durable-object') ? `
    const OrdinaryObject = taskObject([${migrations.map((_, index) => `migration${index}`)}], (env, store) => new ${Engine}(env, store, handlers));
    export class TaskObject extends OrdinaryObject { sweepNow() { return this.alarm(); } }` : ''}
    ${engine === 'workflow' ? 'export const TaskWorkflow = taskWorkflow(Store, handlers);' : ''}
  `;
}

/** @param {Record<string, string>} handlers */
async function readModules(handlers) {
  /** @type {Record<string, {type: 'esm' | 'text', contents: string}>} */
  const modules = {};
  for (const entry of await readdir(WORKER_FOLDER, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const contents = await readFile(path, 'utf8');
    const name = relative(WORKER_FOLDER, path);
    if (name.endsWith('.js')) modules[name] = { type: 'esm', contents };
    modules[name + TEXT_ENDING] = { type: 'text', contents };
  }
  for (const [name, contents] of Object.entries(handlers)) modules[`handlers/${name}.js`] = { type: 'esm', contents };
  return modules;
}

/** @returns {Promise<string[]>} their SQL, in order */
export async function readMigrations() {
  const names = (await readdir(MIGRATIONS_FOLDER)).sort();
  return Promise.all(names.map((name) => readFile(join(MIGRATIONS_FOLDER, name), 'utf8')));
}

/**
 * @param {string} sql statements without a semicolon inside
 */
function statements(sql) {
  return sql.replaceAll(/--.*$/gm, '').split(';').map((each) => each.trim()).filter(Boolean);
}
