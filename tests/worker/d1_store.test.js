import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { metered } from './metered.js';
import { deliveryOf, newTask } from './store_under_test.js';
import { readMigrations, startWorker } from './worker_under_test.js';

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker(); });
after(() => worker.stop());

for (const priority of /** @type {const} */ ([undefined, 'high'])) test(`a task of ${priority ?? 'normal'} priority costs three written rows and three statements, a batch two statements`, async () => {
  const { database, metas } = metered(await worker.database);
  const store = new D1Store({ DB: database, MAX_RETRIES: '5' });
  const tasks = Array.from({ length: 10 }, () => newTask(priority && { priority }));
  const ids = tasks.map(({ taskId }) => taskId);
  for (const task of tasks) await store.insert([task]);
  const answers = await store.claim(ids.map((taskId) => deliveryOf(taskId)));
  const claimed = [...answers.values()].flatMap((answer) => (answer.kind === 'claimed' ? [answer.task] : []));
  await store.settle(claimed.map(({ taskId, run, attempts, crashes, claim }) => (
    { taskId, run, attempts, crashes, claim, status: 'completed', result: 'null', progress: null, ended_ms: 0 }
  )));
  assert.equal(metas.length, ids.length + 2);
  assert.equal(metas.reduce((sum, { rows_written }) => sum + rows_written, 0), 3 * ids.length);
  const [payloads] = await worker.rows('SELECT count(payload) AS count FROM tasks');
  assert.equal(payloads?.['count'], 0, 'nobody can read them any more');
});

test('lists, statistics and sweeps read a bounded number of rows, however many tasks there are', async () => {
  await worker.rows(`WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 120000)
    INSERT INTO tasks (taskId, status, expires_at)
    SELECT printf('01%06x-0000-7000-8000-000000000000', n), CASE n % 1000 WHEN 0 THEN 'failed' ELSE 'completed' END, 9999999999 FROM number`);
  const { database, metas } = metered(await worker.database);
  const store = new D1Store({ DB: database, MAX_RETRIES: '5' });
  const all = { status: null, handler: null, limit: 20, cursor: null };
  /** @param {() => Promise<unknown>} look */
  const rowsRead = async (look) => {
    metas.length = 0;
    await look();
    return metas.reduce((sum, { rows_read }) => sum + rows_read, 0);
  };
  assert.ok(await rowsRead(() => store.list(all)) <= 50);
  assert.ok(await rowsRead(() => store.list({ ...all, status: 'failed' })) <= 50);
  assert.ok(await rowsRead(() => store.list({ ...all, status: 'pending' })) <= 2_000);
  assert.ok(await rowsRead(() => store.list({ ...all, handler: 'none', status: 'failed' })) <= 2_000);
  assert.ok(await rowsRead(() => store.list({ ...all, error: 'none' })) <= 2_000);
  assert.ok(await rowsRead(() => store.list({ ...all, since: '01000010', cursor: '01000018' })) <= 50);
  assert.ok(await rowsRead(() => store.statistics()) <= 500, 'before anybody has counted');
  assert.ok(await rowsRead(() => store.tally()) <= 51_000);
  assert.ok(await rowsRead(() => store.tally()) <= 51_000);
  assert.ok(await rowsRead(() => store.tally()) <= 21_000, 'the rest');
  assert.deepEqual((await store.statistics()).counts, { pending: 0, processing: 0, completed: 119_880, failed: 120, cancelled: 0 });
  assert.ok(await rowsRead(() => store.tally()) <= 500, 'a task is counted once');
  assert.ok(await rowsRead(() => store.statistics()) <= 500);
  const sweep = () => Array.fromAsync(store.open(Date.now()));
  assert.ok(await rowsRead(sweep) <= 101_000);
  let chunks = 0;
  const expiring = await rowsRead(() => store.expire(() => chunks++ > 0));
  assert.ok(expiring <= 10_000, `${expiring}`);
  for (let rest = 0; rest < 2; rest++) await sweep();
  assert.ok(await rowsRead(sweep) <= 100, 'what has ended is not read again');
});

test('tasks of the first schema are kept by the next ones', async () => {
  const database = new DatabaseSync(':memory:');
  const [first = '', ...others] = await readMigrations();
  database.exec(first);
  const columns = 'taskId, status, payload, created_at, expires_at, attempts, lease_expires_at, sent_at, result, error';
  const row = ['01a20477-41c5-7c7e-bacd-9b6d0e7211fe', 'completed', 'work', '2026-11-22 18:00:00', 9, 2, null, 7, '{}', null];
  database.prepare(`INSERT INTO tasks (${columns}) VALUES (${row.map(() => '?')})`).run(...row);
  for (const migration of others) database.exec(migration);
  const kept = /** @type {Record<string, unknown>} */ (database.prepare(`SELECT ${columns}, handler, run FROM tasks`).get());
  assert.deepEqual(Object.values(kept), [...row, 'default', 1]);
  database.close();
});
