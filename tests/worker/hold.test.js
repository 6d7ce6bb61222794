/** Held tasks: pending ones that nobody attempts, sends or lets expire before something releases them. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { verdictOn } from '../../worker/stores/lease.js';
import { HELD_UNTIL_MS, TASK_TTL_SECONDS } from '../../worker/task.js';
import { fakeD1 } from './fakes/d1.js';
import { FakeSqlite } from './fakes/sqlite.js';
import { deliveryOf, ERROR, newTask } from './store_under_test.js';
import { readMigrations } from './worker_under_test.js';

/** @import { NewTask } from '../../worker/task.js' */

const MIGRATIONS = await readMigrations();
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** @type {FakeSqlite} */
let sqlite;
/** @type {D1Store} */
let store;
beforeEach(() => {
  mock.timers.enable({ apis: ['Date'], now: 1_900_000_000_000 });
  sqlite = new FakeSqlite();
  for (const migration of MIGRATIONS) sqlite.exec(migration);
  store = new D1Store(/** @type {any} */ ({ DB: fakeD1(sqlite), MAX_RETRIES: '5' }));
});

afterEach(() => { mock.timers.reset(); });

/** @param {Partial<NewTask>} [settings] */
async function insertHeld(settings) {
  const task = newTask({ isHeld: true, ...settings });
  const [insertion] = await store.insert([task]);
  assert.deepEqual(insertion, { taskId: task.taskId, run: 1, status: 'pending', isNew: true, conflict: false, isHeld: true });
  return task.taskId;
}

/** @param {string} taskId */
async function ask(taskId, isAlone = false) {
  return (await store.claim([deliveryOf(taskId)], isAlone)).get(taskId);
}

async function swept() {
  return (await Array.fromAsync(store.open(Date.now() - MINUTE_MS))).flat().map(({ taskId }) => taskId);
}

test('a held task is pending, and is due at no time; no claim takes it', async () => {
  const taskId = await insertHeld({ delay_seconds: 60, ttl_seconds: 3600 });
  for (const wait_ms of [0, MINUTE_MS, 400 * DAY_MS]) {
    mock.timers.tick(wait_ms);
    const { status, next_attempt_ms, expires_ms } = await store.find(taskId) ?? assert.fail('it is gone');
    assert.deepEqual({ status, next_attempt_ms, expires_ms }, { status: 'pending', next_attempt_ms: null, expires_ms: null });
    for (const isAlone of [false, true]) assert.deepEqual(await ask(taskId, isAlone), { kind: 'unreleased' });
    assert.deepEqual(await swept(), []);
    assert.equal(await store.expire(() => false), 0);
  }
  assert.deepEqual((await store.list({ status: 'pending', handler: null, limit: 5, cursor: null })).tasks.map((task) => [task.next_attempt_ms, task.expires_ms]), [[null, null]]);
});

test('a store without SQL decides the same', () => {
  const task = {
    status: /** @type {const} */ ('pending'), run: 1, attempts: 0, crashes: 0, max_retries: null, due_at: HELD_UNTIL_MS, lease_expires_at: null,
    holder: null, delivery: null, claim: null,
  };
  const settings = { now_ms: Date.now(), max_retries: 5, isAlone: false };
  assert.deepEqual(verdictOn(task, deliveryOf('task'), settings), { kind: 'unreleased' });
  assert.deepEqual(verdictOn({ ...task, attempts: 7 }, deliveryOf('task'), settings), { kind: 'unreleased' });
  assert.deepEqual(verdictOn(task, deliveryOf('task', { run: 2, redrive: true }), settings), 'behind');
});

test('a released task waits for its delay, and lives for its time to live from then on', async () => {
  for (const { delay_seconds, ttl_seconds } of [{ delay_seconds: 0, ttl_seconds: null }, { delay_seconds: 90, ttl_seconds: 600 }]) {
    const taskId = await insertHeld({ delay_seconds, ttl_seconds, max_retries: 3 });
    mock.timers.tick(5 * DAY_MS);
    const released_ms = Date.now();
    assert.deepEqual(await store.release([taskId]), [{ taskId, run: 1, max_retries: 3, delay_seconds }]);
    assert.deepEqual(await store.release([taskId]), [], 'it is released once');
    const { next_attempt_ms, expires_ms } = await store.find(taskId) ?? assert.fail('it is gone');
    const due_ms = released_ms + delay_seconds * 1000;
    assert.deepEqual({ next_attempt_ms, expires_ms }, { next_attempt_ms: due_ms, expires_ms: due_ms + (ttl_seconds ?? TASK_TTL_SECONDS) * 1000 });
    if (delay_seconds > 0) assert.deepEqual(await ask(taskId), { kind: 'wait', until_ms: due_ms });
    mock.timers.tick(delay_seconds * 1000 + 2 * MINUTE_MS);
    assert.deepEqual(await swept(), [taskId], 'should its message be lost');
    assert.equal((await ask(taskId))?.kind, 'claimed');
    await store.cancel(taskId);
    mock.timers.tick(8 * DAY_MS);
    assert.equal(await store.expire(() => false), 1);
  }
});

test('a task that is not held is not released', async () => {
  const task = newTask({ delay_seconds: 60 });
  await store.insert([task]);
  assert.deepEqual(await store.release([task.taskId, 'no such task']), []);
  assert.equal((await ask(task.taskId))?.kind, 'wait');
});

test('a held task that is cancelled or given up ends, tells so, and expires after its time to live', async () => {
  const callback = { url: 'https://hook.example/', on: /** @type {import('../../worker/callback.js').End[]} */ (['cancelled', 'failed']) };
  const [cancelled, failed] = [await insertHeld({ ttl_seconds: 600, callback }), await insertHeld({ callback })];
  mock.timers.tick(3 * DAY_MS);
  assert.equal((await store.cancel(cancelled))?.runs.length, 1);
  assert.equal((await store.abandon([{ taskId: failed, run: 1, attempts: 0 }], ERROR)).runs.length, 1);
  const now_ms = Date.now();
  const [one, two] = await Promise.all([cancelled, failed].map((taskId) => store.find(taskId)));
  assert.deepEqual([one?.status, one?.expires_ms, two?.status, two?.expires_ms], ['cancelled', now_ms + 600_000, 'failed', now_ms + DAY_MS]);
  assert.deepEqual(await store.release([cancelled, failed]), []);
  assert.equal(await store.retry(cancelled, 1), 2);
  assert.equal((await store.claim([deliveryOf(cancelled, { run: 2 })])).get(cancelled)?.kind, 'claimed', 'a retry by hand waits for nothing');
  mock.timers.tick(2 * DAY_MS);
  await store.expire(() => false);
  assert.deepEqual(await Promise.all([cancelled, failed].map((taskId) => store.find(taskId))), [null, null]);
});

test('a submission that is repeated finds the task held, and released', async () => {
  const idempotency = { key: 'a'.repeat(64), fingerprint: 'b'.repeat(64) };
  const taskId = await insertHeld({ idempotency });
  const again = async () => (await store.insert([newTask({ isHeld: true, idempotency })]))[0];
  assert.deepEqual(await again(), { taskId, run: 1, status: 'pending', isNew: false, conflict: false, isHeld: true });
  await store.release([taskId]);
  assert.deepEqual(await again(), { taskId, run: 1, status: 'pending', isNew: false, conflict: false, isHeld: false });
});

test('statistics count a held task as pending', async () => {
  await insertHeld();
  for (let minute = 0; minute < 5; minute++) {
    mock.timers.tick(MINUTE_MS);
    await store.tally();
    assert.equal((await store.statistics()).counts.pending, 1);
  }
});
