/** Statistics of a table, as the sweeper keeps them from one minute to the next. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { newTaskId } from '../../worker/task_id.js';
import { fakeD1 } from './fakes/d1.js';
import { FakeSqlite } from './fakes/sqlite.js';
import { readMigrations } from './worker_under_test.js';

const MINUTE_MS = 60_000;
const MIGRATIONS = await readMigrations();

/** @type {FakeSqlite} */
let sqlite;
/** @type {D1Store} */
let store;
beforeEach(() => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  sqlite = new FakeSqlite();
  for (const migration of MIGRATIONS) sqlite.exec(migration);
  store = new D1Store(/** @type {any} */ ({ DB: fakeD1(sqlite), MAX_RETRIES: '5' }));
});

afterEach(() => { mock.timers.reset(); });

/** A minute later. */
async function sweep() {
  mock.timers.tick(MINUTE_MS);
  await store.tally();
}

/**
 * @param {number} count
 * @param {Record<string, string | number>} [columns]
 * @param {number} [age_ms] of the first; each is a millisecond younger than the one before
 * @returns {string[]} ids
 */
function insert(count, columns = {}, age_ms = 5 * MINUTE_MS) {
  const oldest_ms = Date.now() - age_ms;
  return Array.from({ length: count }, (_, number) => {
    const taskId = newTaskId(oldest_ms + number);
    const row = { taskId, status: 'pending', expires_at: Math.floor((oldest_ms + 86_400_000) / 1000), ...columns };
    sqlite.all(`INSERT INTO tasks (${Object.keys(row)}) VALUES (${Object.keys(row).map(() => '?')})`, Object.values(row));
    return taskId;
  });
}

/** @param {string[]} taskIds @param {string} [status] */
function end(taskIds, status = 'completed') {
  for (const taskId of taskIds) sqlite.all('UPDATE tasks SET status = ?, finished_at = ?, due_at = NULL WHERE taskId = ?', [status, Date.now(), taskId]);
}

/** @param {'submitted' | 'completed' | 'failed' | 'cancelled'} what */
async function inMinutes(what) {
  return Object.values((await store.statistics()).minutes).reduce((sum, minute) => sum + minute[what], 0);
}

async function counts() {
  const { counts: { pending, processing, completed, failed, cancelled }, isAll } = await store.statistics();
  return [pending, processing, completed, failed, cancelled, isAll];
}

test('each task is counted once, and followed to its end', async () => {
  const taskIds = insert(300);
  assert.deepEqual(await counts(), [0, 0, 1, 0, 0, false], 'nobody has counted yet');
  await sweep();
  assert.deepEqual(await counts(), [300, 0, 0, 0, 0, true]);
  const { as_of_ms } = await store.statistics();
  assert.ok(Math.abs(Date.now() - as_of_ms - MINUTE_MS) < 10_000, 'younger tasks may yet come in any order');
  end(taskIds.slice(0, 100));
  end(taskIds.slice(100, 110), 'failed');
  assert.deepEqual(await counts(), [300, 0, 0, 0, 0, true], 'as old as the last sweep');
  for (let time = 0; time < 2; time++) {
    await sweep();
    assert.deepEqual(await counts(), [190, 0, 100, 10, 0, true]);
    assert.deepEqual([await inMinutes('submitted'), await inMinutes('completed'), await inMinutes('failed')], [300, 100, 10]);
  }
});

test('what happened since the last sweep is told at once, where it is little', async () => {
  const taskIds = insert(20);
  await sweep();
  insert(20, {}, 1_000);
  end(taskIds.slice(0, 5));
  assert.deepEqual(await counts(), [35, 0, 5, 0, 0, true]);
  assert.deepEqual([await inMinutes('submitted'), await inMinutes('completed')], [40, 5]);
  assert.ok(Date.now() - (await store.statistics()).as_of_ms < 5_000);
  await sweep();
  assert.deepEqual([await inMinutes('submitted'), await inMinutes('completed')], [40, 5], 'the sweeper comes to the same');
});

test('a backlog of more tasks than are followed is counted whole, and so are its ends', async () => {
  const taskIds = insert(5_000, {}, 8 * MINUTE_MS);
  await sweep();
  assert.deepEqual(await counts(), [5_000, 0, 0, 0, 0, true]);
  end(taskIds.slice(0, 2_500));
  await sweep();
  assert.deepEqual((await counts()).slice(0, 3), [2_500, 0, 2_500]);
  assert.equal(await inMinutes('completed'), 2_500);
  end(taskIds.slice(2_500));
  for (let time = 0; time < 2; time++) await sweep();
  assert.deepEqual(await counts(), [0, 0, 5_000, 0, 0, true]);
  assert.equal(await inMinutes('completed'), 5_000);
});

test('tasks that expire are counted no more; an empty table has none', async () => {
  insert(100, { status: 'completed', expires_at: 1 }, 25 * 3_600_000);
  insert(80, { expires_at: 9_999_999_999 });
  insert(10, { own_expires_at: 1, expires_at: 1 }, 4 * MINUTE_MS);
  await sweep();
  assert.deepEqual(await counts(), [90, 0, 100, 0, 0, true]);
  assert.equal(await store.expire(() => false), 110);
  await sweep();
  assert.deepEqual(await counts(), [80, 0, 0, 0, 0, true]);
  sqlite.all('DELETE FROM tasks', []);
  await sweep();
  assert.deepEqual(await counts(), [0, 0, 0, 0, 0, true]);
});

test('tasks that wait for a time are counted, and their ends are seen though they are old', async () => {
  const hour_ms = 60 * MINUTE_MS;
  const waiting = insert(60, { due_at: Date.now() + MINUTE_MS }, 20 * hour_ms);
  insert(60, { due_at: Date.now() + 5 * hour_ms }, 19 * hour_ms);
  await sweep();
  assert.deepEqual(await counts(), [120, 0, 0, 0, 0, true]);
  end(waiting);
  await sweep();
  assert.deepEqual(await counts(), [60, 0, 60, 0, 0, true]);
  assert.equal(await inMinutes('completed'), 60);
});

test('a failed task that is retried by hand is open again, and its next end counts', async () => {
  const failed = insert(70, { status: 'failed', finished_at: Date.now() });
  await sweep();
  for (const taskId of failed.slice(0, 60)) assert.equal(await store.retry(taskId, 1), 2);
  await sweep();
  assert.deepEqual(await counts(), [60, 0, 0, 10, 0, true]);
  end(failed.slice(0, 60));
  await sweep();
  assert.deepEqual(await counts(), [0, 0, 60, 10, 0, true]);
  assert.deepEqual([await inMinutes('failed'), await inMinutes('completed')], [70, 60]);
});

test('what only grows is that of the last sweep, and never falls back, whether little or much has changed since', async () => {
  const told = async () => {
    const { parts: [part] } = await store.statistics();
    const { submitted = 0, ends: { completed, failed } = {} } = part?.handlers?.['resize'] ?? {};
    return [submitted, completed?.count ?? 0, failed?.count ?? 0];
  };
  const first = insert(20, { handler: 'resize' });
  assert.deepEqual(await told(), [0, 0, 0]);
  await sweep();
  end(first.slice(0, 5));
  assert.deepEqual(await told(), [20, 0, 0]);
  await sweep();
  assert.deepEqual(await told(), [20, 5, 0]);
  end(first.slice(5), 'failed');
  insert(100, { handler: 'resize' }, 1_000);
  assert.deepEqual(await told(), [20, 5, 0]);
  for (let time = 0; time < 3; time++) await sweep();
  assert.deepEqual(await told(), [120, 5, 15]);
  sqlite.all('DELETE FROM tasks', []);
  await sweep();
  assert.deepEqual(await told(), [120, 5, 15]);
});
