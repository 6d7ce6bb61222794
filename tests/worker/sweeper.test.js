import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { QueueEngine } from '../../worker/engines/queue.js';
import { D1Store } from '../../worker/stores/d1.js';
import { newTaskId } from '../../worker/task_id.js';
import { MAX_RETRIES, startWorker } from './worker_under_test.js';

/** @import { OpenTask } from '../../worker/stores/store.js' */

const HOUR_MS = 3_600_000;

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker(); });
after(() => worker.stop());
beforeEach(async () => {
  await worker.rows('DELETE FROM tasks');
  await worker.rows("UPDATE sweep_progress SET cursor = '', first_open = NULL, expire_cursor = '', expired = 0, resent = 0, returned = 0, failed = 0");
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

test('a task whose attempts are spent fails', async () => {
  const spent = { attempts: MAX_RETRIES + 1 };
  const dropped = await oldTask(HOUR_MS, { status: 'processing', lease_expires_at: Date.now() - 1, ...spent });
  await worker.sweep();
  const row = await worker.row(dropped);
  assert.equal(row?.['status'], 'failed');
  assert.deepEqual(JSON.parse(row?.['error']), { name: 'AttemptsSpent', message: 'the last attempt that it may have did not end' });
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
  await oldTask(HOUR_MS, { status: 'processing', attempts: MAX_RETRIES + 1, lease_expires_at: Date.now() - 1 });
  for (let each = 0; each < 3; each++) await oldTask(25 * HOUR_MS + each, { status: 'completed' });
  await worker.sweep();
  const { sweeper } = /** @type {any} */ (await (await worker.fetch('/stats')).json());
  assert.deepEqual(sweeper, { expired: 3, resent: 1, returned: 1, failed: 1 });
});

test('an expired task that was not swept yet is not there, and is not attempted', async () => {
  const expired = await oldTask(25 * HOUR_MS);
  assert.equal((await worker.fetch(`/task/${expired}`)).status, 404);
  assert.deepEqual(await worker.deliver({ body: { taskId: expired } }), ['ack']);
  assert.equal((await worker.row(expired))?.['status'], 'pending');
});

test('each round goes on where unfinished tasks begin', async () => {
  const store = new D1Store({ DB: /** @type {any} */ (await worker.database) });
  for (let each = 0; each < 5; each++) await oldTask(10 * HOUR_MS - each, { status: 'completed' });
  const open = await oldTask(9 * HOUR_MS);
  await oldTask(8 * HOUR_MS, { status: 'completed' });
  for (let round = 0; round < 2; round++) {
    assert.deepEqual((await store.sweep(Date.now())).map(({ taskId }) => taskId), [open]);
  }
  const [progress] = await worker.rows('SELECT cursor FROM sweep_progress');
  const [{ unread }] = /** @type {[{unread: number}]} */ (
    await worker.rows('SELECT count(*) AS unread FROM tasks WHERE taskId > ?', progress?.['cursor'])
  );
  assert.equal(unread, 2);
  await worker.rows("UPDATE tasks SET status = 'completed'");
  assert.deepEqual(await store.sweep(Date.now()), []);
  const [end] = await worker.rows('SELECT cursor = (SELECT max(taskId) FROM tasks) AS reached FROM sweep_progress');
  assert.equal(end?.['reached'], 1);
});

test('a task whose message may still be in the queue is left to the queue for a while', async () => {
  const now_ms = Date.now();
  /** @type {string[]} */
  const sent = [];
  const queue = {
    metrics: async () => ({ backlogCount: 1, backlogBytes: 1, oldestMessageTimestamp: new Date(now_ms - HOUR_MS) }),
    /** @param {{body: {taskId: string}}[]} messages */
    sendBatch: async (messages) => { sent.push(...messages.map(({ body }) => body.taskId)); },
  };
  const store = { markSent: async () => {} };
  const engine = new QueueEngine(/** @type {any} */ ({ TASK_QUEUE: queue, MAX_RETRIES: '5' }), /** @type {any} */ (store), {});
  /** @param {number} age_ms @param {Partial<OpenTask>} [rest] */
  const open = (age_ms, rest) => (
    { taskId: newTaskId(now_ms - age_ms), run: 1, attempts: 0, max_retries: null, due_ms: now_ms - age_ms, sent_at_ms: null, isHeld: false, ...rest }
  );
  const older = open(2 * HOUR_MS, { isHeld: true });
  const given_up = open(HOUR_MS / 2);
  const young = open(HOUR_MS / 6);
  const sentAgain = open(3 * HOUR_MS, { sent_at_ms: now_ms });
  const delayed = open(3 * HOUR_MS, { due_ms: now_ms - HOUR_MS / 6 });
  assert.deepEqual(await engine.rescue([older, given_up, young, sentAgain, delayed]), { resent: 1, returned: 1, failed: 0 });
  assert.deepEqual(sent, [older.taskId, given_up.taskId]);
});
