/** Each method of each store, when the platform does what it was asked and its reply is lost. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { newTaskId } from '../../worker/task_id.js';
import { ERROR, newTask, startStore } from './store_under_test.js';

/** @import { Delivery } from '../../worker/stores/store.js' */
/** @import { StoreName } from './worker_under_test.js' */

const ALL = { status: null, handler: null, limit: 10, cursor: null };

for (const name of /** @type {StoreName[]} */ (['d1', 'sharded-d1', 'durable-object', 'kv'])) describe(`store ${name}`, { timeout: 120_000 }, () => {
  /** @type {import('./store_under_test.js').StoreUnderTest} */
  let store;
  before(async () => { store = await startStore(name, undefined, true); });
  after(() => store.stop());

  /** @param {string} taskId @param {Partial<Delivery>} [delivery] */
  async function claimed(taskId, delivery) {
    const task = await store.claim(taskId, delivery);
    assert.equal(task?.taskId, taskId);
    return task;
  }

  test('insert finds its own tasks', async () => {
    const idempotency = { key: crypto.randomUUID(), fingerprint: 'f' };
    const keyedTask = () => newTask({ taskId: newTaskId(Date.now(), '00'), idempotency }); // those of a key share a shard
    const [plain, keyed] = [newTask(), keyedTask()];
    for (const task of [plain, keyed]) {
      assert.deepEqual(await store.call('insert', [task]), [{ taskId: task.taskId, run: 1, status: 'pending', isNew: true, conflict: false, isHeld: false }]);
      assert.equal((await store.call('find', task.taskId)).status, 'pending');
    }
    assert.deepEqual(await store.call('insert', [keyedTask()]), [{ taskId: keyed.taskId, run: 1, status: 'pending', isNew: false, conflict: false, isHeld: false }]);
  });

  test('claim finds what it holds, with the payload and one attempt; a redrive begins one run', async () => {
    const taskId = await store.insert({ payload: 'work' });
    const { payload, attempts, crashes } = await claimed(taskId);
    assert.deepEqual({ payload, attempts, crashes }, { payload: 'work', attempts: 1, crashes: 0 });
    const failed = await store.insertFailed();
    const { run, attempts: first } = await claimed(failed, { run: 2, redrive: true });
    assert.deepEqual([run, first], [2, 1]);
  });

  test('a takeover is one crash', async () => {
    const taskId = await store.insert();
    await claimed(taskId, { holder: 'message' });
    const { crashes, attempts } = await store.claim(taskId, { holder: 'message', delivery: 2 }, true);
    assert.deepEqual([crashes, attempts], [1, 1]);
  });

  test('settle finds its own outcome, of each kind', async () => {
    for (const outcome of [{ status: 'completed', result: '7' }, { status: 'failed', error: ERROR }, { status: 'pending', error: ERROR, next_attempt_ms: 0 }]) {
      const taskId = await store.insert();
      assert.equal(await store.settle(await claimed(taskId), outcome), 'ours');
      const { status, attempts } = await store.call('find', taskId);
      assert.deepEqual([status, attempts], [outcome.status, 1]);
    }
  });

  test('report tells whose the task is', async () => {
    const task = await claimed(await store.insert());
    assert.equal(await store.report(task, { percent: 5, note: null }), 'ours');
    assert.equal(await store.report(task, null), 'ours');
    assert.deepEqual((await store.call('find', task.taskId)).progress, { percent: 5, note: null });
  });

  test('cancel ends a task; retry begins one run', async () => {
    const taskId = await store.insert();
    await store.cancel(taskId); // true, or false where the first one's reply was lost: the API looks what the task is then
    assert.equal((await store.call('find', taskId)).status, 'cancelled');
    assert.equal(await store.call('retry', taskId, 1), 2);
    const { status, run } = await store.call('find', taskId);
    assert.deepEqual([status, run], ['pending', 2]);
  });

  test('abandon counts a crash once', async () => {
    const taskId = await store.insert();
    const { attempts } = await claimed(taskId, { holder: 'message' });
    await store.call('abandon', [{ taskId, run: 1, attempts, holder: 'message', delivery: 2, ended: [] }], ERROR);
    const task = await store.call('find', taskId);
    assert.deepEqual([task.status, task.crashes], ['failed', 1]);
  });

  test('the rest tells or sets what it should', async () => {
    const taskId = await store.insert();
    await store.call('markSent', [taskId], 7);
    const probe = { queue: 'TASK_QUEUE', taskId, run: 1, attempts: 0, sent_at_ms: 7 };
    await store.call('setProbes', [probe]);
    assert.deepEqual(await store.call('probes'), [probe]);
    assert.ok((await store.call('list', ALL)).tasks.some((/** @type {any} */ task) => task.taskId === taskId));
    assert.ok((await store.call('statistics')).counts.pending > 0);
    await store.call('tally');
    assert.equal(await store.call('expire'), 0);
    assert.ok(Array.isArray(await store.call('open', Date.now() + 60_000)));
  });
});
