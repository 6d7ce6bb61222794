import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { QueueEngine } from '../../worker/engines/queue.js';
import { D1Store } from '../../worker/stores/d1.js';
import { newTaskId } from '../../worker/task_id.js';
import { MAX_RETRIES, startWorker } from './worker_under_test.js';

const HOUR_MS = 3_600_000;

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker(); });
after(() => worker.stop());
beforeEach(async () => {
  await worker.rows('DELETE FROM tasks');
  await worker.rows("UPDATE sweep_progress SET cursor = '', first_open = NULL");
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
  assert.deepEqual(JSON.parse(row?.['error']), { name: 'AttemptsSpent', message: 'the last of 3 attempts did not end' });
});

test('finished tasks are left as they are until their time to live is over', async () => {
  const [kept, expired] = [await oldTask(23 * HOUR_MS, { status: 'completed' }), await oldTask(25 * HOUR_MS, { status: 'completed' })];
  await worker.sweep();
  assert.equal((await worker.row(kept))?.['status'], 'completed');
  assert.equal(await worker.row(expired), undefined);
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

test('a task whose message may still be in the queue is left to the queue', async () => {
  const now_ms = Date.now();
  /** @type {string[]} */
  const sent = [];
  const queue = {
    metrics: async () => ({ backlogCount: 1, backlogBytes: 1, oldestMessageTimestamp: new Date(now_ms - HOUR_MS) }),
    /** @param {{body: {taskId: string}}[]} messages */
    sendBatch: async (messages) => { sent.push(...messages.map(({ body }) => body.taskId)); },
  };
  const store = { markSent: async () => {} };
  const engine = new QueueEngine(/** @type {any} */ ({ TASK_QUEUE: queue, MAX_RETRIES: '5' }), /** @type {any} */ (store), () => null);
  const [older, younger] = [newTaskId(now_ms - 2 * HOUR_MS), newTaskId(now_ms - HOUR_MS / 2)];
  const ownMessageIsOldest = newTaskId(now_ms - HOUR_MS - 10);
  await engine.rescue([
    { taskId: older, attempts: 0, sent_at_ms: null },
    { taskId: younger, attempts: 0, sent_at_ms: null },
    { taskId: ownMessageIsOldest, attempts: 1, sent_at_ms: null },
    { taskId: newTaskId(now_ms - 3 * HOUR_MS), attempts: 0, sent_at_ms: now_ms },
  ]);
  assert.deepEqual(sent, [older]);
});
