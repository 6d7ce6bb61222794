import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { startWorker } from './worker_under_test.js';

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker(); });
after(() => worker.stop());

test('a task costs three written rows and three statements, a batch two statements', async () => {
  const { database, metas } = metered(await worker.database);
  const store = new D1Store({ DB: database });
  const ids = Array.from({ length: 10 }, (_, each) => `metered-${each}`);
  for (const taskId of ids) await store.insert(taskId, 'x');
  await store.claim(ids.map((taskId) => ({ taskId, attempts: 1 })));
  await store.settle(ids.map((taskId) => ({ taskId, status: 'completed', result: 'null' })));
  assert.equal(metas.length, ids.length + 2);
  assert.equal(metas.reduce((sum, { rows_written }) => sum + rows_written, 0), 3 * ids.length);
});

/**
 * A database that keeps what each statement cost.
 *
 * @param {any} database
 */
function metered(database) {
  /** @type {{rows_read: number, rows_written: number}[]} */
  const metas = [];
  /** @param {any} statement @returns {any} */
  const meter = (statement) => ({
    /** @param {unknown[]} values */
    bind: (...values) => meter(statement.bind(...values)),
    run: () => keep(statement.run()),
    all: () => keep(statement.all()),
  });
  /** @param {Promise<any>} running */
  const keep = async (running) => {
    const result = await running;
    metas.push(result.meta);
    return result;
  };
  return { metas, database: /** @type {any} */ ({ prepare: (/** @type {string} */ sql) => meter(database.prepare(sql)) }) };
}
