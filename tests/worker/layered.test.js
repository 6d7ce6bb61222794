import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { newTaskId } from '../../worker/task_id.js';
import { ERROR, newTask, startStore } from './store_under_test.js';
import { EVERY_STORE } from './worker_under_test.js';

for (const former of EVERY_STORE) for (const present of EVERY_STORE.filter((each) => each !== former)) {
  describe(`after a change from ${former} to ${present}`, () => {
    test('tasks in the former store are read and finished there, new ones go to the present store', async () => {
      const store = await startStore(present, former);
      try {
        const old = newTask();
        await store.former.call('insert', [old]);
        const fresh = newTask();
        await store.call('insert', [fresh]);
        assert.equal((await store.call('find', old.taskId)).status, 'pending');
        assert.equal(await store.former.call('find', fresh.taskId), null, 'the new task is in the present store');
        for (const { taskId } of [old, fresh]) assert.equal(await store.settle(await store.claim(taskId), { status: 'failed', error: ERROR }), 'ours');
        assert.deepEqual(await store.ask(newTaskId(Date.now())), { kind: 'absent' });
        const { tasks } = await store.call('list', { status: 'failed', handler: null, limit: 10, cursor: null });
        assert.deepEqual(tasks.map((/** @type {{taskId: string}} */ { taskId }) => taskId), [fresh.taskId, old.taskId].sort().reverse());
        assert.equal(await store.call('retry', old.taskId, 1), 2);
        assert.equal(await store.cancel(old.taskId), true);
        assert.equal((await store.former.call('find', old.taskId)).status, 'cancelled');
      } finally {
        await store.stop();
      }
    });
  });
}
