import assert from 'node:assert/strict';
import { after, before, beforeEach, mock, test } from 'node:test';

import { QueueEngine } from '../../worker/engines/queue.js';
import { D1Store } from '../../worker/stores/d1.js';
import { sweep } from '../../worker/sweeper.js';
import { newTaskId } from '../../worker/task_id.js';
import { fakeQueue } from './fakes/queue.js';
import { READING, startWorker } from './worker_under_test.js';

/** @import { OpenTask, Probe } from '../../worker/stores/store.js' */

const HOUR_MS = 3_600_000;

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker(); });
after(() => worker.stop());
beforeEach(async () => {
  await worker.rows('DELETE FROM tasks');
  await worker.rows('DELETE FROM sweep_progress');
  await worker.rows('INSERT INTO sweep_progress (id) VALUES (1)');
});

/**
 * @param {number} age_ms
 * @param {Record<string, string | number>} [columns]
 */
async function oldTask(age_ms, columns = {}) {
  const created_ms = Date.now() - age_ms;
  const row = { taskId: newTaskId(created_ms), status: 'pending', expires_at: Math.floor(created_ms / 1000) + 86_400, ...columns };
  const names = Object.keys(row);
  await worker.rows(`INSERT INTO tasks (${names}) VALUES (${names.map(() => '?')})`, ...Object.values(row));
  return row.taskId;
}

/** @param {string} taskId */
async function wasSentAgain(taskId) {
  return (await worker.row(taskId))?.['sent_at'] !== null;
}

test('a pending task whose message is lost is sent again; a young one is left alone', async () => {
  const [lost, young] = [await oldTask(HOUR_MS), await oldTask(1_000)];
  await worker.sweep();
  assert.ok(await wasSentAgain(lost));
  assert.ok(!await wasSentAgain(young));
});

test('a processing task is rescued only after its lease', async () => {
  const held = await oldTask(HOUR_MS, { status: 'processing', attempts: 1, lease_expires_at: Date.now() + 60_000 });
  const dropped = await oldTask(HOUR_MS, { status: 'processing', attempts: 1, lease_expires_at: Date.now() - 1 });
  await worker.sweep();
  assert.ok(!await wasSentAgain(held));
  assert.ok(await wasSentAgain(dropped));
});

test('finished tasks are left as they are until their time to live is over', async () => {
  const [kept, expired] = [await oldTask(23 * HOUR_MS, { status: 'completed' }), await oldTask(25 * HOUR_MS, { status: 'completed' })];
  await worker.sweep();
  assert.equal((await worker.row(kept))?.['status'], 'completed');
  assert.equal(await worker.row(expired), undefined);
});

test('a task that had to wait is rescued from the time on that it was due, though younger ones were swept', async () => {
  const due = await oldTask(20 * HOUR_MS, { due_at: Date.now() - HOUR_MS });
  const waiting = await oldTask(20 * HOUR_MS, { due_at: Date.now() + HOUR_MS });
  await oldTask(HOUR_MS, { status: 'completed' });
  await worker.rows("UPDATE sweep_progress SET cursor = 'f'");
  await worker.sweep();
  assert.ok(await wasSentAgain(due));
  assert.ok(!await wasSentAgain(waiting));
});

test('a time to live of its own ends a task, be it shorter or longer than a day', async () => {
  const now_seconds = Math.floor(Date.now() / 1000);
  const own = (/** @type {number} */ seconds) => ({ status: 'completed', expires_at: now_seconds + seconds, own_expires_at: now_seconds + seconds });
  const [short, long, longOver] = [await oldTask(HOUR_MS, own(-1)), await oldTask(30 * HOUR_MS, own(60)), await oldTask(99 * HOUR_MS, own(-1))];
  const ordinary = await oldTask(31 * HOUR_MS);
  await worker.sweep();
  const kept = (await worker.rows('SELECT taskId FROM tasks')).map(({ taskId }) => taskId);
  assert.deepEqual(kept, [long], JSON.stringify({ short, long, longOver, ordinary }));
});

test('what the sweeper did is counted', async () => {
  await oldTask(HOUR_MS);
  await oldTask(HOUR_MS, { status: 'processing', attempts: 1, lease_expires_at: Date.now() - 1 });
  for (let each = 0; each < 3; each++) await oldTask(25 * HOUR_MS + each, { status: 'completed' });
  await worker.sweep();
  const { sweeper } = /** @type {any} */ (await (await worker.fetch('/stats')).json());
  assert.deepEqual(sweeper, { expired: 3, resent: 1, returned: 1, failed: 0 });
});

test('an expired task that was not swept yet is not there, and is not attempted', async () => {
  const expired = await oldTask(25 * HOUR_MS);
  assert.equal((await worker.fetch(`/task/${expired}`)).status, 404);
  assert.deepEqual(await worker.deliver({ body: { taskId: expired } }), ['ack']);
  assert.equal((await worker.row(expired))?.['status'], 'pending');
});

test('each round goes on where unfinished tasks begin', async () => {
  const store = new D1Store({ DB: /** @type {any} */ (await worker.database), MAX_RETRIES: '5' });
  const sweep = async () => (await Array.fromAsync(store.open(Date.now()))).flat();
  for (let each = 0; each < 5; each++) await oldTask(10 * HOUR_MS - each, { status: 'completed' });
  const open = await oldTask(9 * HOUR_MS);
  await oldTask(8 * HOUR_MS, { status: 'completed' });
  for (let round = 0; round < 2; round++) {
    assert.deepEqual((await sweep()).map(({ taskId }) => taskId), [open]);
  }
  const [progress] = await worker.rows('SELECT cursor FROM sweep_progress');
  const [{ unread }] = /** @type {[{unread: number}]} */ (
    await worker.rows('SELECT count(*) AS unread FROM tasks WHERE taskId > ?', progress?.['cursor'])
  );
  assert.equal(unread, 2);
  await worker.rows("UPDATE tasks SET status = 'completed'");
  assert.deepEqual(await sweep(), []);
  const [end] = await worker.rows('SELECT cursor = (SELECT max(taskId) FROM tasks) AS reached FROM sweep_progress');
  assert.equal(end?.['reached'], 1);
});

/**
 * An engine whose queue tells its backlog, and which the tests hand open tasks.
 *
 * @param {{oldest_ms: number | null, probes?: Probe[], found?: Record<string, object>, refuses?: boolean}} state
 */
function engineUnderTest({ oldest_ms, probes = [], found = {}, refuses = false }) {
  /** @type {{sent: string[], marked: Record<string, number>, probes: Probe[]}} */
  const seen = { sent: [], marked: {}, probes };
  const queue = fakeQueue((messages) => {
    if (refuses) throw new Error('Queue send failed: Too Many Requests');
    seen.sent.push(...messages.map(({ body }) => body.taskId));
  }, () => ({ count: oldest_ms === null ? 0 : 1, oldest_ms }));
  const store = {
    markSent: async (/** @type {string[]} */ taskIds, /** @type {number} */ at_ms) => { for (const taskId of taskIds) seen.marked[taskId] = at_ms; },
    probes: async () => seen.probes,
    setProbes: async (/** @type {Probe[]} */ set) => { seen.probes = set; },
    find: async (/** @type {string} */ taskId) => found[taskId] ?? null,
  };
  return { seen, engine: new QueueEngine(/** @type {any} */ ({ TASK_QUEUE: queue, MAX_RETRIES: '5' }), /** @type {any} */ (store), {}) };
}

/** @param {number} age_ms @param {Partial<OpenTask>} [rest] @returns {OpenTask} */
function openTask(age_ms, rest) {
  const due_ms = Date.now() - age_ms;
  return { taskId: newTaskId(due_ms), run: 1, attempts: 0, max_retries: null, due_ms, sent_at_ms: null, isHeld: false, ...rest };
}

test('of tasks whose messages may still be in the queue the oldest is sent again, as a probe', async () => {
  const { engine, seen } = engineUnderTest({ oldest_ms: Date.now() - HOUR_MS });
  const [older, given_up] = [openTask(2 * HOUR_MS, { isHeld: true }), openTask(HOUR_MS / 2)];
  const [probe, young] = [openTask(HOUR_MS / 6), openTask(HOUR_MS / 7)];
  const sentAgain = openTask(3 * HOUR_MS, { sent_at_ms: Date.now() });
  assert.deepEqual(await engine.rescue([older, given_up, probe, young, sentAgain]), { resent: 2, returned: 1, failed: 0 });
  assert.deepEqual(seen.sent, [older.taskId, given_up.taskId, probe.taskId]);
  assert.deepEqual(seen.probes.map(({ queue, taskId }) => [queue, taskId]), [['TASK_QUEUE', probe.taskId]]);
});

test('once the probe has come, what was sent before it and has not come is lost, though a delayed message is older', async () => {
  const now_ms = Date.now();
  const probed = openTask(HOUR_MS / 6);
  const probes = [{ queue: 'TASK_QUEUE', taskId: probed.taskId, run: 1, attempts: 0, sent_at_ms: now_ms - 60_000 }];
  const [lost, sentSince] = [openTask(HOUR_MS / 7), openTask(30_000)];
  for (const [task, isLost] of /** @type {const} */ ([[null, true], [{ status: 'completed', run: 1, attempts: 1 }, true], [{ status: 'pending', run: 1, attempts: 1 }, true], [{ status: 'pending', run: 1, attempts: 0 }, false]])) {
    const { engine, seen } = engineUnderTest({ oldest_ms: now_ms - 2 * HOUR_MS, probes, found: task ? { [probed.taskId]: task } : {} });
    await engine.rescue([lost, sentSince]);
    assert.deepEqual(seen.sent, isLost ? [lost.taskId, sentSince.taskId] : [], 'the second is the next probe');
  }
});

test('a queue that refuses messages leaves its tasks for the next sweep', async () => {
  const { engine, seen } = engineUnderTest({ oldest_ms: null, refuses: true });
  const lost = openTask(HOUR_MS);
  await assert.rejects(engine.rescue([lost]), { name: 'HandoverRefused' });
  assert.deepEqual(seen.marked, { [lost.taskId]: 0 });
});

test('one chore that fails stops no other', async () => {
  const error = mock.method(console, 'error', () => {});
  const log = mock.method(console, 'log', () => {});
  const done = /** @type {string[]} */ ([]);
  const broken = async () => { throw new Error('down'); };
  const store = {
    open: async function* () { yield [openTask(HOUR_MS)]; },
    expire: async () => { done.push('expire'); return 3; },
    refreshGroups: broken,
    tally: broken,
    sweptSchedules: broken,
    carryOver: async () => {}, note: async () => null,
    waiting: broken,
    fill: broken,
    countSweep: async (/** @type {object} */ counts) => { done.push(JSON.stringify(counts)); },
  };
  await sweep(/** @type {any} */ (store), /** @type {any} */ ({ rescue: broken }), READING);
  assert.deepEqual(done, ['expire', '{"expired":3,"resent":0,"returned":0,"failed":0}']);
  assert.deepEqual(error.mock.calls.map(({ arguments: [, fields] }) => fields.part), ['schedules', 'waiting tasks', 'rescue', 'groups', 'statistics', 'look at the size']);
  error.mock.restore();
  log.mock.restore();
});

test('a database that is nearly full is told of', async () => {
  const warn = mock.method(console, 'warn', () => {});
  for (const bytes of [799, 800]) {
    const fill = async () => [{ name: 'DB', bytes, limit_bytes: 1_000 }];
    await sweep(/** @type {any} */ ({ open: async function* () {}, expire: async () => 0, tally: async () => {}, refreshGroups: async () => ({ runs: [], ended: [] }), sweptSchedules: async () => [], waiting: async () => [], carryOver: async () => {}, note: async () => null, fill }), /** @type {any} */ ({}), READING);
  }
  assert.deepEqual(warn.mock.calls.map(({ arguments: [, { bytes }] }) => bytes), [800]);
  warn.mock.restore();
});

test('expiry deletes large tasks a few at a time, and ends when its time is up', async () => {
  for (let first = 1; first <= 150; first += 30) {
    await worker.rows(`WITH RECURSIVE number (n) AS (VALUES (${first}) UNION ALL SELECT n + 1 FROM number WHERE n < ${first + 29})
      INSERT INTO tasks (taskId, status, expires_at, payload)
      SELECT printf('01%06x-0000-7000-8000-000000000000', n), 'failed', 1, zeroblob(1000000) FROM number`);
  }
  const store = new D1Store({ DB: /** @type {any} */ (await worker.database), MAX_RETRIES: '5' });
  let looks = 0;
  const expired = await store.expire(() => looks++ === 1);
  assert.ok(expired > 50 && expired < 100, `${expired}`);
  assert.equal(await store.expire(() => false), 150 - expired);
});
