import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { WorkflowEngine } from '../../worker/engines/workflow.js';
import { MAX_RETRIES, startWorker, STORES } from './worker_under_test.js';

/** The second attempt at `flaky` succeeds. */
const HANDLER = `
  const tried = new Set();
  export default async function (payload) {
    if (payload === 'bad') throw new RangeError('cannot do ' + payload);
    if (payload === 'flaky' && !tried.has(payload)) { tried.add(payload); throw new Error('not yet'); }
    return { did: payload };
  }`;

const PATIENCE_MS = 15_000;

for (const store of STORES) describe(`with state in ${store}`, () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker({ store, engine: 'workflow', handler: HANDLER }); });
  after(() => worker.stop());

  /** @param {string} taskId */
  async function ended(taskId) {
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await setTimeout(20)) {
      const status = await worker.status(taskId);
      if (status === 'completed' || status === 'failed') return worker.record(taskId);
    }
    return assert.fail(`task ${taskId} did not end within ${PATIENCE_MS} ms: ${JSON.stringify(await worker.record(taskId))}`);
  }

  test('an instance takes its task to completed, with its result', async () => {
    const taskId = await worker.submit('work');
    assert.deepEqual(await ended(taskId), { status: 'completed', attempts: 1, result: '{"did":"work"}', error: null });
  });

  test('a task whose attempt throws is attempted again', async () => {
    const taskId = await worker.submit('flaky');
    const { status, attempts } = /** @type {any} */ (await ended(taskId));
    assert.deepEqual({ status, attempts }, { status: 'completed', attempts: 2 });
  });

  test('a task whose attempts are spent fails with its error, and hurts no other', async () => {
    const [bad, good] = [await worker.submit('bad'), await worker.submit('work')];
    assert.deepEqual(await ended(bad), {
      status: 'failed', attempts: MAX_RETRIES + 1, result: null, error: { name: 'RangeError', message: 'cannot do bad' },
    });
    assert.equal((await ended(good))?.status, 'completed');
  });
});

test('open tasks get the instance that they miss; those whose instance has ended fail', async () => {
  const instances = /** @type {Record<string, string>} */ ({ errored: 'errored', running: 'running' });
  /** @type {{created: string[], sent: string[], abandoned: string[]}} */
  const seen = { created: [], sent: [], abandoned: [] };
  const workflow = {
    /** @param {string} id */
    get: async (id) => {
      if (!(id in instances)) throw new Error('(instance.not_found) Provided instance id does not exist');
      return { status: async () => ({ status: instances[id] }) };
    },
    /** @param {{id: string}[]} batch */
    createBatch: async (batch) => { seen.created.push(...batch.map(({ id }) => id)); },
  };
  const store = {
    /** @param {string[]} ids */
    markSent: async (ids) => { seen.sent.push(...ids); },
    /** @param {string[]} ids */
    abandon: async (ids) => { seen.abandoned.push(...ids); },
  };
  const engine = new WorkflowEngine(/** @type {any} */ ({ TASK_WORKFLOW: workflow }), /** @type {any} */ (store));
  const open = ['missing', 'errored', 'running'].map((taskId) => ({ taskId, attempts: 1, sent_at_ms: null }));
  assert.deepEqual(await engine.rescue(open), { sent: 1, failed: 1 });
  assert.deepEqual(seen, { created: ['missing'], sent: ['missing'], abandoned: ['errored'] });
});
