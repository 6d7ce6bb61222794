/** Pauses: the tasks of a paused handler wait, cost nothing while they do, and go on once it is resumed, in every store with both engines. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused, startApi } from './api_under_test.js';
import { someOf, STORES } from './worker_under_test.js';

/** @import { StoreName } from './worker_under_test.js' */

const HOUR_MS = 3_600_000;

/** The task runner, whose tasks become older, so that a sweep takes their messages for lost; KV's sweep is of each tenth minute. */
const FACE = `{
  ...runner,
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/open') return runner.fetch(request, env, context);
    const found = [];
    for await (const page of new Store(env).open(Math.floor(Date.now() / 600_000) * 600_000 + 600_000)) found.push(...page.map(({ taskId }) => taskId));
    return Response.json(found);
  },
}`;

for (const store of STORES) describe(`pauses with ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, face: FACE }); });
  after(() => api.stop());

  const post = async (/** @type {string} */ path) => {
    const { status, body } = await api.call('POST', path);
    assert.equal(status, 200, JSON.stringify(body));
    return body.pauses.map((/** @type {any} */ { handler }) => handler);
  };
  const deliver = (/** @type {string} */ taskId, /** @type {number} */ run = 1) => api.worker.deliver({ body: { taskId, run } });
  const status = async (/** @type {string} */ taskId) => (await api.task(taskId)).status;
  const open = async () => (await api.call('GET', '/open')).body;

  test('tasks of a paused handler wait, and those of others do not', async () => {
    assert.deepEqual(await post('/handlers/echo/pause'), ['echo']);
    assert.deepEqual(await post('/handlers/echo/pause'), ['echo'], 'twice is once');
    const [waiting, other] = [await api.submit('?handler=echo'), await api.submit()];
    // A message of a table goes, for the sweeper sends another; one of KV comes again.
    assert.deepEqual(await deliver(waiting), [store === 'kv' ? 'retry' : 'ack']);
    assert.deepEqual(await deliver(other), ['ack']);
    const { status: its, attempts, startedAt } = await api.task(waiting);
    assert.deepEqual([its, attempts, startedAt], ['pending', 0, null]);
    assert.equal(await status(other), 'completed');
    if (store !== 'durable-object') assert.ok(!(await open()).includes(waiting), 'no sweep sends it');
    assert.deepEqual(await post('/handlers/echo/resume'), []);
    if (store !== 'durable-object') assert.ok((await open()).includes(waiting), 'the sweep finds it');
    await deliver(waiting);
    assert.equal(await status(waiting), 'completed');
  });

  test('a pause of all is one of its own', async () => {
    assert.deepEqual(await post('/handlers/echo/pause'), ['echo']);
    assert.deepEqual(await post('/pause'), [null, 'echo']);
    const taskId = await api.submit();
    await deliver(taskId);
    assert.equal(await status(taskId), 'pending');
    assert.deepEqual(await post('/resume'), ['echo']);
    await deliver(taskId);
    assert.equal(await status(taskId), 'completed');
    assert.deepEqual(await post('/handlers/echo/resume'), []);
    const { since, ...pause } = (await api.call('POST', '/pause')).body.pauses[0];
    assert.ok(Math.abs(Date.parse(since) - Date.now()) < HOUR_MS);
    assert.deepEqual(pause, { handler: null });
    assert.deepEqual((await api.call('GET', '/pauses')).body.pauses, [{ handler: null, since }]);
    assert.deepEqual(await post('/resume'), []);
  });

  test('a task that waits can be cancelled, and a redrive comes again', async () => {
    const failing = await api.submit('?handler=echo&maxRetries=0', { body: 'fail' });
    await deliver(failing);
    assert.equal(await status(failing), 'failed');
    await post('/handlers/echo/pause');
    const waiting = await api.submit('?handler=echo');
    assert.equal((await api.call('POST', `/task/${waiting}/cancel`)).body.status, 'cancelled');
    const redrive = { body: { taskId: failing, run: 2, redrive: true } };
    assert.deepEqual(await api.worker.deliver(redrive), ['retry'], 'nobody else knows of it');
    assert.deepEqual([(await api.task(failing)).status, (await api.task(failing)).run], ['failed', 1]);
    await post('/handlers/echo/resume');
    await api.worker.deliver(redrive);
    assert.equal((await api.task(failing)).run, 2);
  });

  test('a sweep and an empty object keep a pause', async () => {
    await post('/pause');
    await api.worker.sweep();
    await api.worker.sweep();
    const taskId = await api.submit();
    await deliver(taskId);
    assert.equal(await status(taskId), 'pending');
    assert.deepEqual(await post('/resume'), []);
  });

  test('refuses what is no handler', async () => {
    assertRefused(await api.call('POST', '/handlers/none/pause'), 400, 'unknown_handler', { handlers: ['default', 'echo', 'http'] });
    assert.deepEqual(await post('/handlers/none/resume'), [], 'one that is gone can be resumed');
    assertRefused(await api.call('POST', '/handlers/*/resume'), 400, 'invalid_parameter', { parameter: 'handler' });
  });
});

for (const [store, formerStores] of someOf(/** @type {[StoreName, StoreName[]][]} */ ([['sharded-d1', []], ['sharded-objects', []], ['d1', ['kv']], ['kv', ['d1']]]))) {
  test(`every part knows of a pause with ${[store, ...formerStores].join(' and ')}`, async () => {
    const api = await startApi({ store, formerStores });
    try {
      await api.call('POST', '/pause');
      await api.worker.sweep();
      const taskIds = await Promise.all(Array.from({ length: 12 }, () => api.submit()));
      await api.worker.deliver(...taskIds.map((taskId) => ({ body: { taskId, run: 1 } })));
      for (const taskId of taskIds) assert.equal((await api.task(taskId)).status, 'pending');
      assert.deepEqual((await api.call('POST', '/resume')).body.pauses, []);
      await api.worker.deliver(...taskIds.map((taskId) => ({ body: { taskId, run: 1 } })));
      for (const taskId of taskIds) assert.equal((await api.task(taskId)).status, 'completed');
    } finally {
      await api.stop();
    }
  });
}
