/** The Worker in real workerd with a real, empty D1 database; the tests hand it its batches themselves. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';

const WORKER_FOLDER = join(import.meta.dirname, '..', '..', 'worker');
const MIGRATIONS_FOLDER = join(WORKER_FOLDER, 'migrations');

/** The consumer's setting in these tests: three attempts. */
export const MAX_RETRIES = 2;

/** @typedef {{id: string, timestamp: Date, attempts: number, body: unknown}} Delivery */

/**
 * @param {{handler?: string, queue?: boolean}} [options] `handler`: source in place of the default handler's;
 *   `queue`: false takes the queue away, so that every send fails
 */
export async function startWorker({ handler, queue = true } = {}) {
  const modules = await readModules();
  if (handler) modules['handlers/default.js'] = { type: 'esm', contents: handler };
  /** @type {import('miniflare').MiniflareOptions} */
  const options = {
    cf: false,
    workers: [{
      config: {
        name: 'task-runner',
        compatibilityDate: '2026-10-01',
        manifest: { mainModule: 'index.js', modulesRoot: '/worker', modules },
        env: {
          DB: { type: 'd1', id: 'tasks' },
          MAX_RETRIES: { type: 'text', value: String(MAX_RETRIES) },
          ...(queue && { TASK_QUEUE: { type: 'queue', name: 'tasks' } }),
        },
        triggers: [],
      },
    }],
  };
  const miniflare = new Miniflare(options);
  await miniflare.ready;
  const database = await miniflare.getD1Database('DB', 'task-runner');
  for (const sql of await readMigrations()) await database.batch(statements(sql).map((each) => database.prepare(each)));
  return new WorkerUnderTest(miniflare, database);
}

export class WorkerUnderTest {
  #deliveries = 0;

  /**
   * @param {Miniflare} miniflare
   * @param {Awaited<ReturnType<Miniflare['getD1Database']>>} database
   */
  constructor(miniflare, database) {
    this.miniflare = miniflare;
    this.database = database;
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
   * @returns {Promise<string>} the id of a new task
   */
  async submit(body = 'work') {
    const reply = await this.fetch('/task', { method: 'POST', body });
    return /** @type {{taskId: string}} */ (await reply.json()).taskId;
  }

  /**
   * Hands the consumer a batch and tells what it made of each message.
   *
   * @param {...{body: unknown, attempts?: number}} messages
   * @returns {Promise<('ack' | 'retry' | 'thrown')[]>}
   */
  async deliver(...messages) {
    const worker = await this.miniflare.getWorker('task-runner');
    const batch = messages.map(({ body, attempts = 1 }) => ({ id: `${this.#deliveries++}`, timestamp: new Date(), attempts, body }));
    const result = await worker.queue('tasks', /** @type {any} */ (batch));
    const acked = new Set(result.explicitAcks);
    const retried = new Set(result.retryMessages.map(({ msgId }) => msgId));
    return batch.map(({ id }) => (acked.has(id) ? 'ack' : retried.has(id) ? 'retry' : 'thrown'));
  }

  async sweep() {
    const worker = await this.miniflare.getWorker('task-runner');
    return worker.scheduled({ cron: '* * * * *' });
  }

  /**
   * @param {string} sql
   * @param {...unknown} parameters
   * @returns {Promise<Record<string, any>[]>}
   */
  async rows(sql, ...parameters) {
    const { results } = await this.database.prepare(sql).bind(...parameters).all();
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

async function readModules() {
  /** @type {Record<string, {type: 'esm', contents: string}>} */
  const modules = {};
  for (const name of await readdir(WORKER_FOLDER, { recursive: true })) {
    if (name.endsWith('.js')) modules[name] = { type: 'esm', contents: await readFile(join(WORKER_FOLDER, name), 'utf8') };
  }
  return modules;
}

async function readMigrations() {
  const names = (await readdir(MIGRATIONS_FOLDER)).sort();
  return Promise.all(names.map((name) => readFile(join(MIGRATIONS_FOLDER, name), 'utf8')));
}

/**
 * @param {string} sql statements without a semicolon inside
 */
function statements(sql) {
  return sql.replaceAll(/--.*$/gm, '').split(';').map((each) => each.trim()).filter(Boolean);
}
