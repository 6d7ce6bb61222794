import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startWorker, STORES } from './worker_under_test.js';

for (const former of STORES) for (const present of STORES.filter((each) => each !== former)) {
  describe(`after a change from ${former} to ${present}`, () => {
    test('tasks in the former store are read and finished there, new ones go to the present store', async () => {
      const worker = await startWorker({ store: present, formerStores: [former] });
      try {
        const old = await inFormerStore(worker, former);
        assert.equal(await worker.status(old), 'pending');
        const fresh = await worker.submit('new');
        assert.deepEqual(await worker.deliver({ body: { taskId: old } }, { body: { taskId: fresh } }), ['ack', 'ack']);
        assert.equal(await worker.status(old), 'completed');
        assert.equal(await worker.status(fresh), 'completed');
        assert.equal((await worker.record(fresh))?.status, 'completed', 'the new task is in the present store');
      } finally {
        await worker.stop();
      }
    });
  });
}

/**
 * Puts a pending task where the former deployment would have put it.
 *
 * @param {import('./worker_under_test.js').WorkerUnderTest} worker
 * @param {import('./worker_under_test.js').StoreName} former
 */
async function inFormerStore(worker, former) {
  const taskId = '01a20477-41c5-7c7e-bacd-9b6d0e7211fe';
  const expires_at = Math.floor(Date.now() / 1000) + 3_600;
  switch (former) {
    case 'd1':
      await worker.rows("INSERT INTO tasks (taskId, status, payload, expires_at) VALUES (?, 'pending', 'old', ?)", taskId, expires_at);
      break;
    case 'kv': {
      const entry = { status: 'pending', payload: 'old', attempts: 0, expires_at, lease_expires_at_ms: null, sent_at_ms: null, result: null, error: null };
      await (await worker.miniflare.getKVNamespace('KV', 'task-runner')).put(taskId, JSON.stringify(entry));
      break;
    }
    case 'durable-object': {
      const objects = /** @type {any} */ (await worker.miniflare.getDurableObjectNamespace('TASK_DO', 'task-runner'));
      await objects.get(objects.idFromName(taskId)).insert(taskId, 'old');
    }
  }
  return taskId;
}
