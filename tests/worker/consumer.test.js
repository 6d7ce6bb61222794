import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { MAX_RETRIES, startWorker } from './worker_under_test.js';

/** Fails on the payload `bad`; else counts its own runs in the database. */
const HANDLER = `
  export default async function (payload) {
    if (payload === 'bad') throw new RangeError('cannot do ' + payload);
    if (payload === 'circular') { const loop = {}; loop.loop = loop; return loop; }
    return { did: payload };
  }`;

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker({ handler: HANDLER }); });
after(() => worker.stop());

test('a message takes its task to completed, with its result', async () => {
  const taskId = await worker.submit('work');
  assert.deepEqual(await worker.deliver({ body: { taskId } }), ['ack']);
  const row = await worker.row(taskId);
  assert.deepEqual(
    [row?.['status'], row?.['attempts'], row?.['result'], row?.['error'], row?.['lease_expires_at']],
    ['completed', 1, '{"did":"work"}', null, null],
  );
});

test('one bad message hurts none of the others of its batch', async () => {
  const [first, bad, last] = [await worker.submit('one'), await worker.submit('bad'), await worker.submit('two')];
  const malformed = [null, 'text', 7, [], [{ taskId: first }], {}, { taskId: 7 }, { taskId: '' }, true];
  const results = await worker.deliver(
    { body: { taskId: first } }, ...malformed.map((body) => ({ body })), { body: { taskId: bad } }, { body: { taskId: last } },
  );
  assert.deepEqual(results, ['ack', ...malformed.map(() => 'retry'), 'retry', 'ack']);
  assert.equal((await worker.row(first))?.['status'], 'completed');
  assert.equal((await worker.row(bad))?.['status'], 'pending');
  assert.equal((await worker.row(last))?.['status'], 'completed');
});

test('a task whose handler throws is attempted again, then fails with its error', async () => {
  const taskId = await worker.submit('bad');
  for (let attempts = 1; attempts <= MAX_RETRIES + 1; attempts++) {
    assert.deepEqual(await worker.deliver({ body: { taskId }, attempts }), ['retry']);
    const row = await worker.row(taskId);
    assert.equal(row?.['attempts'], attempts);
    assert.equal(row?.['status'], attempts <= MAX_RETRIES ? 'pending' : 'failed');
    assert.deepEqual(JSON.parse(row?.['error']), { name: 'RangeError', message: 'cannot do bad' });
  }
});

test('a result that JSON cannot hold is an error of the attempt', async () => {
  const taskId = await worker.submit('circular');
  assert.deepEqual(await worker.deliver({ body: { taskId } }), ['retry']);
  assert.equal(JSON.parse((await worker.row(taskId))?.['error']).name, 'TypeError');
});

test('a message whose task is not there is not acknowledged', async () => {
  assert.deepEqual(await worker.deliver({ body: { taskId: '00000000-0000-7000-8000-000000000000' } }), ['retry']);
});

test('a message that comes again after its task has ended changes nothing', async () => {
  const taskId = await worker.submit('work');
  await worker.deliver({ body: { taskId } });
  const ended = await worker.row(taskId);
  assert.deepEqual(await worker.deliver({ body: { taskId }, attempts: 2 }), ['ack']);
  assert.deepEqual(await worker.row(taskId), ended);
});

test('a second message for a task in work adds nothing', async () => {
  const taskId = await worker.submit('work');
  await worker.rows("UPDATE tasks SET status = 'processing', attempts = 1, lease_expires_at = ? WHERE taskId = ?", Date.now() + 60_000, taskId);
  assert.deepEqual(await worker.deliver({ body: { taskId }, attempts: 1 }), ['ack']);
  assert.equal((await worker.row(taskId))?.['status'], 'processing');
});

test('a task whose consumer was lost is taken over by the next delivery, or once its lease has run out', async () => {
  for (const [lease_ms, attempts] of /** @type {const} */ ([[60_000, 2], [-1, 1]])) {
    const taskId = await worker.submit('work');
    await worker.rows("UPDATE tasks SET status = 'processing', attempts = 1, lease_expires_at = ? WHERE taskId = ?", Date.now() + lease_ms, taskId);
    assert.deepEqual(await worker.deliver({ body: { taskId }, attempts }), ['ack']);
    const row = await worker.row(taskId);
    assert.deepEqual([row?.['status'], row?.['attempts']], ['completed', 2]);
  }
});

test('two messages for one task in a batch run it once', async () => {
  const taskId = await worker.submit('work');
  assert.deepEqual(await worker.deliver({ body: { taskId } }, { body: { taskId } }), ['ack', 'ack']);
  assert.equal((await worker.row(taskId))?.['attempts'], 1);
});

test('a batch of a hundred is taken whole', async () => {
  const ids = await Promise.all(Array.from({ length: 100 }, (_, each) => worker.submit(`${each}`)));
  const results = await worker.deliver(...ids.map((taskId) => ({ body: { taskId } })));
  assert.deepEqual(new Set(results), new Set(['ack']));
  const [{ done }] = /** @type {[{done: number}]} */ (
    await worker.rows("SELECT count(*) AS done FROM tasks WHERE status = 'completed' AND taskId IN (SELECT value FROM json_each(?))", JSON.stringify(ids))
  );
  assert.equal(done, 100);
});

test('a batch whose store fails comes again whole', async () => {
  const broken = await startWorker();
  try {
    const taskId = await broken.submit();
    await broken.rows('ALTER TABLE tasks RENAME TO elsewhere');
    assert.deepEqual(await broken.deliver({ body: { taskId } }), ['thrown']);
  } finally {
    await broken.stop();
  }
});

test('a task costs three written rows and three statements, a batch two statements', async () => {
  const { database, metas } = metered(worker.database);
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
