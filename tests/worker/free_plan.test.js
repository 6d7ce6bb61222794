/** An idle stack with a page open all day stays within what the Free plan allows, on each store: an hour of it is counted. */

import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { afterEach, mock, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { KvStore } from '../../worker/stores/kv.js';
import { sweep } from '../../worker/sweeper.js';
import { newTaskId } from '../../worker/task_id.js';
import { FakeNamespace } from './fakes/durable_object.js';
import { FakeKv } from './fakes/kv.js';
import { metered } from './metered.js';
import { newTask } from './store_under_test.js';
import { READING, readMigrations, startWorker } from './worker_under_test.js';

/** @import { Store } from '../../worker/stores/store.js' */

// What workerd has and Node has not.
registerHooks({
  resolve: (specifier, context, next) => (specifier === 'cloudflare:workers'
    ? { url: 'data:text/javascript,export class DurableObject { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }', shortCircuit: true }
    : next(specifier, context)),
});
const { durableObjects, taskObject } = await import('../../worker/stores/durable_object.js');

/** How long the page waits at least, and for what changes slowly: as `worker/page/poll.ts`. */
const POLL_MS = 5_000;
const SLOW_POLL_MS = 60_000;
const SWEEP_MS = 60_000;
const HOUR_MS = 3_600_000;
const HOURS = 24;

/** Of requests of the Worker, in a day (https://developers.cloudflare.com/workers/platform/pricing/). */
const REQUESTS = 100_000;
const PAGE_REQUESTS = 2;

/** What an open page reads of a D1 database at most: `docs/dashboard.md` says so. */
const PAGE_ROWS_AN_HOUR = 200_000;

const ENGINE = /** @type {any} */ ({ rescue: async () => ({ resent: 0, returned: 0, failed: 0 }) });

/** What the views ask for that ask most, beside `GET /stats`, and how often at most. */
const VIEWS = {
  /** What changes slowly is asked for with every twelfth look, or with every fifth where looks are rare. */
  overview: { poll_ms: POLL_MS, ask: async (/** @type {Store} */ store, /** @type {boolean} */ isSlow) => {
    if (!isSlow) return;
    await Promise.all([store.statistics(), store.fill(), store.workerVersions()]); // GET /metrics
    await store.pauses();
    await store.list({ status: 'failed', handler: null, limit: 50, cursor: null });
  } },
  tasks: { poll_ms: POLL_MS, ask: async (/** @type {Store} */ store) => { await store.list({ status: null, handler: null, limit: 50, cursor: null }); } },
  filteredTasks: { poll_ms: SLOW_POLL_MS, ask: async (/** @type {Store} */ store) => { await store.list({ status: null, handler: 'rare', limit: 50, cursor: null }); } },
};

/** @typedef {keyof typeof VIEWS} View */

const EVERY_VIEW = /** @type {View[]} */ (Object.keys(VIEWS));

/**
 * Asks for what a view shows, each time with `GET /stats`.
 *
 * @param {Store} store
 * @param {View} view
 * @param {boolean} isSlow
 * @returns {Promise<number>} until when it waits
 */
async function look(store, view, isSlow) {
  const [{ fresh_until_ms }] = await Promise.all([store.statistics(), store.fill(), store.workerVersions()]);
  await VIEWS[view].ask(store, isSlow);
  return Math.max(Date.now() + VIEWS[view].poll_ms, fresh_until_ms);
}

/**
 * @param {Store} store
 * @param {View} view
 * @param {boolean} isSwept by a cron
 * @returns {Promise<number>} how often the page has asked in an hour
 */
async function hour(store, view, isSwept) {
  let looks = 0;
  let slow_ms = 0;
  let next_ms = 0;
  for (let passed_ms = 0; passed_ms < HOUR_MS; passed_ms += POLL_MS) {
    if (isSwept && passed_ms % SWEEP_MS === 0) await sweep(store, ENGINE, READING);
    if (Date.now() >= next_ms) {
      const isSlow = Date.now() >= slow_ms;
      next_ms = await look(store, view, isSlow);
      if (isSlow) slow_ms = Date.now() + Math.max(SLOW_POLL_MS, 5 * (next_ms - Date.now()));
      looks++;
    }
    mock.timers.tick(POLL_MS);
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  return looks;
}

afterEach(() => { mock.timers.reset(); });

test('the rows of D1, with as many tasks as the plan lets one store in a day', async () => {
  const worker = await startWorker();
  try {
    for (const failed of [40, 9_000]) {
      await worker.rows('DELETE FROM tasks');
      await worker.rows('DELETE FROM sweep_progress');
      await worker.rows('INSERT INTO sweep_progress (id) VALUES (1)');
      const first_ms = Date.now() - 20 * HOUR_MS;
      await worker.rows(`WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 33000)
        INSERT INTO tasks (taskId, status, expires_at)
        SELECT substr(?1, 1, 19) || printf('-8000-%012x', n), CASE WHEN n <= ?2 THEN 'failed' ELSE 'completed' END, 9999999999 FROM number`, newTaskId(first_ms), failed);
      const { database, metas } = metered(await worker.database);
      const store = new D1Store({ DB: database, MAX_RETRIES: '5' });
      const spent = () => metas.splice(0).reduce((sum, { rows_read, rows_written }) => ({ read: sum.read + rows_read, written: sum.written + rows_written }), { read: 0, written: 0 });
      mock.timers.enable({ apis: ['Date'], now: Date.now() });
      for (let minute = 0; minute < 3; minute++) { // what is done once: each task is counted, and the sweeper has come to the end
        await sweep(store, ENGINE, READING);
        mock.timers.tick(SWEEP_MS);
      }
      const { counts } = await store.statistics();
      assert.deepEqual(counts, { pending: 0, processing: 0, completed: 33_000 - failed, failed, cancelled: 0 });
      spent();
      const sweeps = 10;
      for (let minute = 0; minute < sweeps; minute++) {
        await sweep(store, ENGINE, READING);
        mock.timers.tick(SWEEP_MS);
      }
      const swept = spent();
      const slowLooks = HOUR_MS / SLOW_POLL_MS;
      for (const view of EVERY_VIEW) {
        const looks = HOUR_MS / VIEWS[view].poll_ms;
        await look(store, view, false);
        const looked = spent();
        await look(store, view, true);
        const slowly = spent();
        const an_hour = (looks - slowLooks) * looked.read + slowLooks * slowly.read;
        const a_day = { read: HOURS * (60 / sweeps * swept.read + an_hour), written: HOURS * (60 / sweeps * swept.written + looks * looked.written) };
        const what = JSON.stringify({ view, failed, swept, looked, slowly, an_hour, a_day });
        assert.ok(an_hour <= PAGE_ROWS_AN_HOUR, what);
        assert.ok(a_day.read <= 5_000_000, what); // https://developers.cloudflare.com/d1/platform/pricing/
        assert.ok(a_day.written <= 10_000, what); // of 100,000: the rest is for tasks
        assert.ok(HOURS * looks * PAGE_REQUESTS <= REQUESTS * 0.6, what);
      }
      mock.timers.reset();
    }
  } finally {
    await worker.stop();
  }
});

for (const view of EVERY_VIEW) test(`the lists, reads and writes of KV, with the view ${view} and as many tasks as the plan lets one store in a day`, async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  /** @type {Record<string, number>} */
  const operations = { list: 0, get: 0, put: 0, delete: 0 };
  const kv = new FakeKv((run, method) => {
    operations[method] = (operations[method] ?? 0) + 1;
    return run();
  });
  for (let age = 0; age < 333; age++) {
    const metadata = { status: age % 10 === 0 ? 'failed' : 'completed', expires_at: 9_999_999_999 };
    kv.values.set(newTaskId(Date.now() - age * 250_000), { text: JSON.stringify(metadata), metadata, expiration: Infinity });
  }
  const store = new KvStore({ KV: /** @type {any} */ (kv), MAX_RETRIES: '5' });
  const looks = await hour(store, view, true);
  assert.ok(looks >= 4, String(looks));
  const a_day = Object.fromEntries(Object.entries(operations).map(([name, count]) => [name, count * HOURS]));
  const what = JSON.stringify(a_day); // https://developers.cloudflare.com/kv/platform/pricing/
  assert.ok(/** @type {number} */ (a_day['list']) <= 1_000, what);
  assert.ok(/** @type {number} */ (a_day['put']) <= 150, what); // of 1,000: the rest is for tasks
  assert.ok(/** @type {number} */ (a_day['get']) <= 100_000, what);
});

for (const view of EVERY_VIEW) for (const count of [1, 16]) test(`the requests of Durable Objects with the view ${view}, ${count === 1 ? 'as many as there are by default' : count}`, async () => {
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: Date.now() });
  const Class = taskObject(await readMigrations(), () => ENGINE, { ...READING, storeOf: (env) => new (durableObjects([count]))(env) });
  let alarms = 0;
  class CountedObject extends Class {
    /** @override */
    async alarm() {
      alarms++;
      return super.alarm();
    }
  }
  let requests = 0;
  /** @type {Record<string, unknown>} */
  const env = { MAX_RETRIES: '5' };
  const namespace = new FakeNamespace(/** @type {any} */ (CountedObject), () => env, async (_, work) => {
    requests++;
    return work();
  });
  env['TASK_DO'] = namespace;
  const store = new (durableObjects([count]))(/** @type {any} */ (env));
  const tasks = Array.from({ length: 64 }, (_, number) => newTask({ taskId: newTaskId(Date.now() - HOUR_MS, number.toString(16).padStart(2, '0')) }));
  await store.insert(tasks);
  requests = 0;
  const looks = await hour(store, view, false);
  assert.ok(looks >= 25, String(looks));
  assert.ok(alarms >= 50 * namespace.objects.size, String(alarms));
  // https://developers.cloudflare.com/durable-objects/platform/pricing/
  assert.ok(HOURS * (requests + alarms) <= 100_000, JSON.stringify({ requests, alarms, looks }));
});
