import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { WorkflowEngine } from '../../worker/engines/workflow.js';
import { newTaskId } from '../../worker/task_id.js';
import { looks } from '../looks.js';
import { FakeWorkflow } from './fakes/workflow.js';
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
  before(async () => { worker = await startWorker({ store, engine: 'workflow', handlers: { default: HANDLER } }); });
  after(() => worker.stop());

  /** @param {string} taskId */
  async function ended(taskId) {
    for await (const _ of looks(PATIENCE_MS)) {
      const status = await worker.status(taskId);
      if (status === 'completed' || status === 'failed') return worker.outcome(taskId);
    }
    return assert.fail(`task ${taskId} did not end within ${PATIENCE_MS} ms: ${JSON.stringify(await worker.outcome(taskId))}`);
  }

  test('an instance takes its task to completed, with its result', async () => {
    const taskId = await worker.submit('work');
    assert.deepEqual(await ended(taskId), { status: 'completed', attempts: 1, result: { did: 'work' }, error: null });
  });

  test('a task whose attempt throws is attempted again', async () => {
    const taskId = await worker.submit('flaky');
    const { status, attempts } = await ended(taskId);
    assert.deepEqual({ status, attempts }, { status: 'completed', attempts: 2 });
  });

  test('a task whose attempts are spent fails with its error, and hurts no other', async () => {
    const [bad, good] = [await worker.submit('bad'), await worker.submit('work')];
    assert.deepEqual(await ended(bad), {
      status: 'failed', attempts: MAX_RETRIES + 1, result: null, error: { name: 'RangeError', message: 'cannot do bad' },
    });
    assert.equal((await ended(good)).status, 'completed');
  });
});

/** Tells of an instance, too. */
const FACE = `{
  async fetch(request, env, context) {
    const [, taskId] = /^\\/instance\\/(.+)/.exec(new URL(request.url).pathname) ?? [];
    return taskId ? Response.json(await (await env.TASK_WORKFLOW.get(taskId)).status()) : runner.fetch(request, env, context);
  },
}`;

test('a task that may have one attempt outlives a store that fails before it', async () => {
  const worker = await startWorker({ engine: 'workflow', handlers: { default: HANDLER }, settings: { RETRY_DELAY_SECONDS: '3' } });
  try {
    const taskId = await worker.submit('work', '?max_retries=0&delay=1');
    await worker.rows('ALTER TABLE tasks RENAME TO elsewhere');
    await setTimeout(1_800);
    await worker.rows('ALTER TABLE elsewhere RENAME TO tasks');
    const { status, attempts } = /** @type {any} */ (await (await worker.fetch(`/task/${taskId}?wait=15`)).json());
    assert.deepEqual({ status, attempts }, { status: 'completed', attempts: 1 });
  } finally {
    await worker.stop();
  }
});

test('an instance waits for a task that a store may be late to show', async () => {
  const worker = await startWorker({ store: 'kv', engine: 'workflow', handlers: { default: HANDLER }, face: FACE });
  try {
    const taskId = await worker.submit('work', '?delay=4');
    await (await worker.miniflare.getKVNamespace('KV', 'task-runner')).delete(taskId);
    await setTimeout(6_000);
    const { status } = /** @type {any} */ (await (await worker.fetch(`/instance/${taskId}`)).json());
    assert.ok(['running', 'waiting'].includes(status), status);
  } finally {
    await worker.stop();
  }
});

test('open tasks get the instance that they miss; one that ended without its task starts again, one that was terminated ends it', async () => {
  const workflow = new FakeWorkflow({ errored: 'errored', running: 'running', terminated: 'terminated' });
  /** @type {{sent: string[], abandoned: string[]}} */
  const seen = { sent: [], abandoned: [] };
  const store = {
    /** @param {string[]} ids */
    markSent: async (ids) => { seen.sent.push(...ids); },
    /** @param {{taskId: string}[]} lost */
    abandon: async (lost) => { seen.abandoned.push(...lost.map(({ taskId }) => taskId)); return { runs: [], ended: [] }; },
  };
  const engine = new WorkflowEngine(/** @type {any} */ ({ TASK_WORKFLOW: workflow }), /** @type {any} */ (store));
  const open = ['missing', 'errored', 'running', 'terminated'].map((taskId) => (
    { taskId, run: 1, attempts: 1, max_retries: null, due_ms: 0, sent_at_ms: null, isHeld: false }
  ));
  const again = { .../** @type {typeof open[0]} */ (open[0]), taskId: 'held', run: 2, isHeld: true };
  assert.deepEqual(await engine.rescue([...open, again]), { resent: 2, returned: 1, failed: 1 });
  assert.deepEqual(seen, { sent: ['missing', 'held', 'errored'], abandoned: ['terminated'] });
  assert.deepEqual([workflow.instances.slice(3).map(({ id }) => id), workflow.restarted], [['missing', 'held-2'], ['errored']]);
});

test('more runs than Cloudflare takes in a second are handed over as fast as it takes them', async () => {
  const workflow = new FakeWorkflow();
  const engine = new WorkflowEngine(/** @type {any} */ ({ TASK_WORKFLOW: workflow }), /** @type {any} */ ({}));
  const runs = Array.from({ length: 250 }, () => ({ taskId: newTaskId(Date.now()), run: 1, delay_seconds: 0, max_retries: null }));
  await engine.submit(runs);
  assert.deepEqual(workflow.instances.map(({ id }) => id), runs.map(({ taskId }) => taskId));
});
