/** Tasks spread over several databases, also after a change of how many; `tests/journey/test_changes.py` has the queues. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { newTaskId } from '../../worker/task_id.js';
import { deliveryOf, ERROR, newTask, startStore } from './store_under_test.js';

/** @typedef {{taskId: string}} Named */

/** Two ids for each shard that there is or was: the last two digits count, modulo two and three. */
const ENDINGS = Array.from({ length: 12 }, (_, number) => number.toString(16).padStart(2, '0'));

const EVERYTHING = { status: null, handler: null, limit: 100, cursor: null };

describe('a store of two databases that were three', () => {
  /** @type {import('./store_under_test.js').StoreUnderTest} */
  let store;
  before(async () => { store = await startStore('sharded-d1'); });
  after(() => store.stop());

  /** @param {string} binding */
  const idsIn = async (binding) => {
    const { results } = await (await store.worker.miniflare.getD1Database(binding, 'task-runner')).prepare('SELECT taskId FROM tasks').all();
    return new Set(results.map((row) => String(row['taskId'])));
  };

  test('new tasks go to the two', async () => {
    const taskIds = ENDINGS.map((ending) => newTaskId(Date.now(), ending));
    await store.call('insert', taskIds.map((taskId) => newTask({ taskId })));
    const [first, second, third] = await Promise.all(['DB', 'DB_1', 'DB_2'].map(idsIn));
    assert.deepEqual(first, new Set(taskIds.filter((_, index) => index % 2 === 0)));
    assert.deepEqual(second, new Set(taskIds.filter((_, index) => index % 2 === 1)));
    assert.equal(third?.size, 0);
  });

  test('tasks in the three are found, finished, cancelled and listed once, wherever they are', async () => {
    const taskIds = ENDINGS.map((ending) => newTaskId(Date.now() + 1_000, ending));
    await store.former.call('insert', taskIds.map((taskId) => newTask({ taskId, handler: 'old' })));
    assert.ok((await idsIn('DB_2')).size > 0);
    for (const taskId of taskIds) assert.equal((await store.call('find', taskId)).status, 'pending');

    const answers = Object.values(await store.call('claim', taskIds.map((taskId) => deliveryOf(taskId))));
    const claimed = answers.map(({ task }) => task);
    assert.deepEqual(claimed.map(({ taskId }) => taskId).sort(), taskIds.toSorted());
    for (const task of claimed) {
      assert.equal(await store.report(task, { percent: 5, note: null }), 'ours');
      assert.equal(await store.settle(task, { status: 'failed', error: ERROR }), 'ours');
    }
    for (const taskId of taskIds) {
      assert.equal(await store.call('retry', taskId, 1), 2);
      assert.equal(await store.cancel(taskId), true);
      assert.equal(await store.cancel(taskId), false);
    }
    const { tasks } = await store.call('list', { ...EVERYTHING, handler: 'old' });
    assert.deepEqual(tasks.map((/** @type {Named} */ { taskId }) => taskId), taskIds.toSorted().reverse());
    const { counts } = await store.call('statistics');
    assert.deepEqual([counts.cancelled, Object.values(counts).reduce((sum, count) => sum + count, 0)], [ENDINGS.length, 2 * ENDINGS.length]);
    assert.equal(await store.call('find', newTaskId(Date.now())), null);
  });
});

test('tasks in the default objects are found, finished and listed once, after a change to another number of them', async () => {
  const store = await startStore('sharded-objects');
  try {
    const taskIds = ENDINGS.map((ending) => newTaskId(Date.now(), ending));
    await store.former.call('insert', taskIds.map((taskId) => newTask({ taskId })));
    const later = ENDINGS.map((ending) => newTaskId(Date.now() + 1_000, ending));
    await store.call('insert', later.map((taskId) => newTask({ taskId })));
    const { tasks } = await store.call('list', EVERYTHING);
    assert.deepEqual(tasks.map((/** @type {Named} */ { taskId }) => taskId), [...taskIds, ...later].toSorted().reverse());
    const answers = Object.values(await store.call('claim', [...taskIds, ...later].map((taskId) => deliveryOf(taskId))));
    for (const { task } of answers) assert.equal(await store.settle(task, { status: 'completed', result: '1' }), 'ours');
    for (const taskId of [...taskIds, ...later]) assert.equal((await store.call('find', taskId)).status, 'completed');
    assert.deepEqual((await store.call('fill')).map((/** @type {{name: string}} */ { name }) => name), ['tasks-0', 'tasks-1', 'tasks-2', 'tasks-3']);
  } finally {
    await store.stop();
  }
});
