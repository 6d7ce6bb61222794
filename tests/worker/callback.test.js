/** Callbacks: made with the end of a task, in every store and by either engine; signed as Standard Webhooks says. */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { callbackTaskId } from '../../worker/callback.js';
import { shardOf } from '../../worker/shards.js';
import { webhookHeaders } from '../../worker/signature.js';
import { TaskTable } from '../../worker/stores/task_table.js';
import { newTaskId, TASK_ID } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { startTarget } from './http_target.js';
import { ERROR, newTask, startStore } from './store_under_test.js';
import { STORES } from './worker_under_test.js';

const SECRETS = [`whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`, `whsec_${Buffer.from('the secret that was before').toString('base64')}`];

/** Tells what was handed over; while it is told to lose, nothing is. */
const FACE = `(() => {
  const sent = [];
  let loses = false;
  class SeenEngine extends QueueEngine {
    submit(runs) {
      if (loses) throw new HandoverRefused('lost');
      sent.push(...runs);
      return super.submit(runs);
    }
  }
  const runner = taskRunner({ Store, Engine: SeenEngine, Consumer: SeenEngine, handlers, sweep, Validator });
  return {
    ...runner,
    fetch(request, env, context) {
      const url = new URL(request.url);
      if (url.pathname !== '/seen') return runner.fetch(request, env, context);
      loses = url.searchParams.has('lose');
      return Response.json({ sent });
    },
  };
})()`;

const HANDLERS = {
  work: "export default (payload) => { if (payload === 'fail') throw new RangeError('no luck'); return { did: payload }; };",
};

/**
 * As the specification says, in code of our own.
 *
 * @param {string} secret
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {string} body
 */
function signatureBySpec(secret, headers, body) {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64')}`;
}

test('a signature is that of the published example', async () => {
  const headers = await webhookHeaders(JSON.stringify(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']), {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, payload: '{"test": 2432232314}',
  });
  assert.deepEqual(headers, {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('a receiver in JavaScript verifies as the docs say', async () => {
  const docs = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'callbacks.md'), 'utf8');
  const [, source = ''] = /^```js\n(.*?)^```/ms.exec(docs) ?? [];
  const { verify } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  const [secret = ''] = SECRETS;
  const headers = await webhookHeaders(JSON.stringify([SECRETS[1], secret]), { id: 'an-id', timestamp: Math.floor(Date.now() / 1000), payload: 'body' });
  verify(secret, headers, 'body');
  assert.throws(() => verify(secret, headers, 'another'), /not signed/);
  assert.throws(() => verify(secret, { ...headers, 'webhook-timestamp': '1' }, 'body'), /too old/);
});

test('the id of a callback is that of a task, of its own, in the shard of its parent, and another one for each run', () => {
  for (let round = 0; round < 200; round++) {
    const taskId = newTaskId(Date.now());
    const ids = [1, 2, 3, 4096].map((run) => callbackTaskId({ taskId, run, finished_ms: Date.now() + run }));
    assert.equal(new Set([taskId, ...ids]).size, 5);
    for (const id of ids) assert.match(id, TASK_ID);
    for (const count of [2, 3, 4, 16]) assert.deepEqual(new Set([taskId, ...ids].map((id) => shardOf(id, count))).size, 1);
  }
});

test('a task that has none costs no further statement', async () => {
  /** @type {number[]} */
  const counts = [];
  const table = new TaskTable(async (statements) => { counts.push(statements.length); return statements.map(() => []); }, { MAX_RETRIES: '2' });
  const outcome = /** @type {const} */ ({
    taskId: 'task', run: 1, attempts: 1, crashes: 0, claim: 'claim', progress: null, ended_ms: 1, status: 'completed', result: '1',
  });
  await table.settle([outcome]);
  await table.settle([{ ...outcome, callback: { url: 'https://hook.example/', on: ['failed'] } }]);
  await table.settle([{ ...outcome, callback: { url: 'https://hook.example/', on: ['completed'] } }]);
  assert.deepEqual(counts, [1, 1, 2]);
});

for (const name of /** @type {const} */ ([...STORES, 'sharded-d1', 'sharded-objects'])) describe(`callbacks in ${name}`, () => {
  /** @type {import('./store_under_test.js').StoreUnderTest} */
  let store;
  before(async () => { store = await startStore(name); });
  after(() => store.stop());

  const callback = { url: 'https://hook.example/path?secret=1', on: ['completed', 'failed', 'cancelled'] };

  /** @param {string} taskId */
  async function callbackOf(taskId) {
    const parent = await store.call('find', taskId);
    return { parent, called: parent.callback.taskId && await store.call('claim', [
      { taskId: parent.callback.taskId, run: 1, redrive: false, holder: 'message', delivery: 1, claim: 'claim', ended: [] },
    ]).then((answers) => answers[parent.callback.taskId].task) };
  }

  test('a task that completes has one, whose body is told in full', async () => {
    const taskId = await store.insert(newTask({ callback: /** @type {any} */ (callback) }));
    assert.deepEqual((await store.call('find', taskId)).callback, { ...callback, taskId: null, status: null });
    const task = await store.claim(taskId);
    assert.deepEqual(task.callback, callback);
    const ended_ms = Date.now();
    const result = `${'['.repeat(1_500)}"ä"${']'.repeat(1_500)}`;
    assert.equal(await store.settle(task, { status: 'completed', result, ended_ms, callback: task.callback }), 'ours');
    const { parent, called } = await callbackOf(taskId);
    assert.equal(parent.callback.taskId, callbackTaskId({ taskId, run: 1, finished_ms: ended_ms }));
    assert.deepEqual({ handler: called.handler, parameters: called.parameters, parent: called.parent, callback: called.callback }, {
      handler: 'http', parameters: { url: callback.url }, parent: taskId, callback: null,
    });
    assert.equal(called.payload, `{"type":"task.completed","timestamp":"${new Date(ended_ms).toISOString()}","data":{"taskId":"${taskId}",`
      + `"status":"completed","handler":"default","run":1,"attempts":1,"result":${result},"error":null}}`);
    assert.equal((await store.call('find', taskId)).callback.status, 'processing');
  });

  test('a repeated outcome makes no second one, and does not touch the first', async () => {
    const taskId = await store.insert(newTask({ callback: /** @type {any} */ (callback) }));
    const task = await store.claim(taskId);
    const outcome = { status: 'completed', result: '1', ended_ms: Date.now(), callback: task.callback };
    await store.settle(task, outcome);
    await callbackOf(taskId); // takes it
    assert.equal(await store.settle(task, outcome), 'ours');
    assert.equal((await store.call('find', taskId)).callback.status, 'processing');
    const { tasks } = await store.call('list', { status: null, handler: 'http', limit: 100, cursor: null });
    assert.equal(tasks.filter((/** @type {any} */ each) => each.taskId === callbackTaskId({ taskId, run: 1, finished_ms: outcome.ended_ms })).length, 1);
  });

  test('an end that is not told has none', async () => {
    const taskId = await store.insert(newTask({ callback: { url: callback.url, on: ['failed'] } }));
    const task = await store.claim(taskId);
    await store.settle(task, { status: 'completed', result: '1', callback: task.callback });
    assert.deepEqual((await store.call('find', taskId)).callback, { url: callback.url, on: ['failed'], taskId: null, status: null });
  });

  test('a task that is cancelled has one, and one that is given up, and each of its runs', async () => {
    const cancelled = await store.insert(newTask({ callback: /** @type {any} */ (callback) }));
    assert.equal(await store.cancel(cancelled), true);
    assert.equal((await store.call('find', cancelled)).callback.status, 'pending');
    assert.equal(await store.cancel(cancelled), false);
    assert.match((await callbackOf(cancelled)).called.payload, /^{"type":"task.cancelled",/);

    const lost = await store.insert(newTask({ callback: /** @type {any} */ (callback) }));
    const { runs } = await store.call('abandon', [{ taskId: lost, run: 1, attempts: 0 }], ERROR);
    const first = await callbackOf(lost);
    assert.deepEqual(runs, [{ taskId: first.parent.callback.taskId, run: 1, delay_seconds: 0, max_retries: null }]);
    assert.match(first.called.payload, /"result":null,"error":{"name":"Error","message":"no luck"}}}$/);

    assert.equal(await store.call('retry', lost, 1), 2);
    assert.equal((await store.call('find', lost)).callback.taskId, null);
    const task = await store.claim(lost, { run: 2 });
    await store.settle(task, { status: 'failed', error: ERROR, ended_ms: Date.now() + 5, callback: task.callback });
    const second = await callbackOf(lost);
    assert.notEqual(second.parent.callback.taskId, first.parent.callback.taskId);
    assert.match(second.called.payload, /"status":"failed","handler":"default","run":2,/);
    assert.equal((await store.call('find', second.called.taskId)).parent, lost);
  });

  test('a task that has none makes none', async () => {
    const taskId = await store.insert();
    await store.call('abandon', [{ taskId, run: 1, attempts: 0 }], ERROR);
    assert.deepEqual(await store.call('find', taskId).then(({ callback: none, parent }) => [none, parent]), [null, null]);
  });
});

test('with KV a message that comes again makes the callback that was left undone', async () => {
  const store = await startStore('kv');
  try {
    const taskId = await store.insert(newTask({ callback: { url: 'https://hook.example/', on: ['completed'] } }));
    const task = await store.claim(taskId);
    await store.settle(task, { status: 'completed', result: '1', callback: task.callback });
    const { callback } = await store.call('find', taskId);
    await (await store.worker.miniflare.getKVNamespace('KV', 'task-runner')).delete(callback.taskId);
    assert.equal((await store.call('find', taskId)).callback.status, null);
    assert.equal((await store.ask(taskId)).kind, 'over');
    assert.equal((await store.call('find', taskId)).callback.status, 'pending');
  } finally {
    await store.stop();
  }
});

for (const store of STORES) describe(`callbacks over a queue with ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  /** @type {Awaited<ReturnType<typeof startTarget>>} */
  let target;
  before(async () => {
    target = await startTarget();
    api = await startApi({ store, handlers: HANDLERS, face: FACE, settings: { HTTP_ALLOWED_HOSTS: target.host, CALLBACK_SECRETS: JSON.stringify(SECRETS) } });
  });
  after(async () => {
    await api.stop();
    target.stop();
  });

  const url = () => encodeURIComponent(`http://${target.host}/hook?secret=1`);
  const sent = async () => (await api.seen()).sent.map(({ taskId }) => taskId);

  test('a task that has ended is told, signed with each secret', async () => {
    const taskId = await api.submit(`?handler=work&callback_url=${url()}`);
    assert.deepEqual((await api.task(taskId)).callback, { taskId: null, url: `http://${target.host}`, on: ['completed', 'failed', 'cancelled'], status: null });
    await api.attempt(taskId);
    const { callback } = await api.task(taskId);
    assert.ok((await sent()).includes(callback.taskId));
    await api.attempt(callback.taskId);
    assert.equal((await api.task(taskId)).callback.status, 'completed');
    assert.equal((await api.task(callback.taskId)).parent, taskId);
    const { headers, body, url: path } = target.received.at(-1) ?? assert.fail('nothing came');
    assert.equal(path, '/hook?secret=1');
    assert.equal(headers['webhook-id'], callback.taskId);
    assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 10);
    assert.equal(headers['webhook-signature'], SECRETS.map((secret) => signatureBySpec(secret, headers, body)).join(' '));
    assert.equal(JSON.parse(body).type, 'task.completed');
    assert.deepEqual(JSON.parse(body).data, { taskId, status: 'completed', handler: 'work', run: 1, attempts: 1, result: { did: 'work' }, error: null });
  });

  test('a task that fails for good and one that is cancelled are told; a callback has none itself', async () => {
    const failed = await api.submit(`?handler=work&max_retries=0&callback_url=${url()}&on=failed`, { body: 'fail' });
    await api.attempt(failed);
    const cancelled = await api.submit(`?handler=work&callback_url=${url()}&on=failed,cancelled`);
    await api.call('DELETE', `/task/${cancelled}`);
    const ids = await Promise.all([failed, cancelled].map(async (taskId) => (await api.task(taskId)).callback.taskId));
    for (const id of ids) {
      assert.ok((await sent()).includes(id));
      assert.equal((await api.task(id)).callback, null);
    }
  });

  test('a request that is not signed is any other task of the handler', async () => {
    const taskId = await api.submit(`?handler=http&url=${url()}`);
    await api.attempt(taskId);
    assert.equal(target.received.at(-1)?.headers['webhook-id'], undefined);
  });

  test('a bad one is refused', async () => {
    for (const [query, fault] of /** @type {const} */ ([
      ['callback_url=https://elsewhere.example/', /expected callbackUrl to name a host that may be delivered to, got "elsewhere.example": the setting http_allowed_hosts/],
      ['callback_url=hook', /expected callbackUrl to be a URL/],
      [`callback_url=${url()}&on=done`, /expected on to be some of completed, failed, cancelled, each once, got \["done"\]/],
      ['on=failed', /expected on to come with callbackUrl/],
    ])) {
      const reply = await api.call('POST', `/task?handler=work&${query}`, { body: 'work' });
      assertRefused(reply, 400, 'invalid_parameter', { parameter: query.includes('on=') ? 'on' : 'callbackUrl' });
      assert.match(reply.body.error, fault);
    }
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [
      { handler: 'work', callbackUrl: 'https://elsewhere.example/' }, { handler: 'work', callbackUrl: decodeURIComponent(url()), on: ['completed'] },
    ] } });
    assert.deepEqual(body.tasks.map((/** @type {any} */ each) => each.httpStatus), [400, 200]);
    assert.deepEqual((await api.task(body.tasks[1].taskId)).callback.on, ['completed']);
  });

  test('a callback that was not handed over is found by the sweeper', { skip: store !== 'd1' }, async () => {
    const taskId = await api.submit(`?handler=work&callback_url=${url()}`);
    await api.call('GET', '/seen?lose');
    await api.attempt(taskId);
    await api.call('GET', '/seen');
    const { callback } = await api.task(taskId);
    assert.equal(callback.status, 'pending');
    assert.ok(!(await sent()).includes(callback.taskId));
    await api.worker.rows('UPDATE tasks SET due_at = due_at - 1200000 WHERE taskId = ? RETURNING taskId', callback.taskId);
    await api.worker.sweep();
    assert.ok((await sent()).includes(callback.taskId));
  });
});

for (const store of STORES) test(`callbacks by a workflow with ${store}`, async () => {
  const target = await startTarget();
  const api = await startApi({ store, engine: 'workflow', handlers: HANDLERS, face: 'runner', settings: { HTTP_ALLOWED_HOSTS: target.host } });
  try {
    const query = `?handler=work&max_retries=0&callback_url=${encodeURIComponent(`http://${target.host}/hook`)}`;
    const [done, failed] = [await api.submit(query), await api.submit(query, { body: 'fail' })];
    for (const end = Date.now() + 15_000; target.received.length < 2 && Date.now() < end;) await setTimeout(50);
    const told = target.received.map(({ body, headers }) => {
      assert.equal(headers['webhook-signature'], undefined, 'there is no secret');
      const { type, data } = JSON.parse(body);
      return [data.taskId, type];
    });
    assert.deepEqual(told.sort(), [[done, 'task.completed'], [failed, 'task.failed']].sort());
  } finally {
    await api.stop();
    target.stop();
  }
});

describe('default callbacks', () => {
  const HANDLER = "export const callback = { url: 'https://handler.example/', on: ['failed'] };\nexport default () => 1;";
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => {
    api = await startApi({
      handlers: { told: HANDLER, elsewhere: HANDLER.replace('handler.example', 'other.example'), plain: 'export default () => 1;' },
      settings: { HTTP_ALLOWED_HOSTS: 'handler.example stack.example own.example', CALLBACK_URL: 'https://stack.example/', CALLBACK_ON: 'failed cancelled' },
    });
  });
  after(() => api.stop());

  test("the submission's own goes before the handler's, and that before the stack's; an empty one is none", async () => {
    for (const [query, expected] of /** @type {const} */ ([
      ['handler=plain', ['https://stack.example', ['failed', 'cancelled']]],
      ['handler=told', ['https://handler.example', ['failed']]],
      ['handler=told&on=completed', ['https://handler.example', ['completed']]],
      ['handler=told&callback_url=https://own.example/', ['https://own.example', ['failed']]],
    ])) {
      const { callback } = await api.task(await api.submit(`?${query}`));
      assert.deepEqual([callback.url, callback.on], expected);
    }
    assert.equal((await api.task(await api.submit('?handler=told&callback_url='))).callback, null);
  });

  test("a handler's that may not be delivered to is the handler's fault", async () => {
    assertRefused(await api.call('POST', '/task?handler=elsewhere', { body: '' }), 500, 'handler_check_failed');
  });
});
