/** Priorities: whatever way a task comes, it comes to the queue of its priority. */

import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';

import { QueueEngine } from '../../worker/engines/queue.js';
import { requireHandlers } from '../../worker/handler.js';
import { tickTaskId } from '../../worker/schedules.js';
import { newTaskId } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { fakeMessage, fakeQueue } from './fakes/queue.js';
import { ERROR, startStore } from './store_under_test.js';
import { someOf } from './worker_under_test.js';

/** @import { OpenTask, Probe } from '../../worker/stores/store.js' */
/** @import { StoreName } from './worker_under_test.js' */

/** Tells what was handed over and not yet asked for, by objects as well; makes a schedule due. */
const FACE = `(() => {
  let sent = [];
  async function due(store, name, next_ms) {
    const { schedule } = (await store.schedules()).find((kept) => kept.name === name);
    return Response.json(await store.changeSchedule(name, schedule, JSON.stringify({ ...JSON.parse(schedule), next_ms })));
  }
  QueueEngine.prototype.submit = async (runs) => { sent.push(...runs); };
  const runner = taskRunner({ Store, Engine: QueueEngine, Consumer: QueueEngine, handlers, sweep, Validator });
  return {
    ...runner,
    fetch(request, env, context) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === '/due') return due(new Store(env), searchParams.get('schedule'), Number(searchParams.get('ms')));
      if (pathname !== '/seen') return runner.fetch(request, env, context);
      const seen = sent;
      sent = [];
      return Response.json({ sent: seen });
    },
  };
})()`;

const HANDLERS = {
  urgent: "export const priority = 'high'; export default () => 1;",
  failing: "import { PermanentError } from '../handler.js'; export default () => { throw new PermanentError('no'); };",
  waiting: "export const steps = true; export default (payload, context) => context.waitForEvent('go');",
  parent: "export default (payload, context) => context.submit({ priority: 'low', payload: 'child' });",
  one: 'export const limits = { concurrency: 1 }; export default () => 1;',
  http: "export const parameters = { url: 'where' }; export default () => 1;",
};

for (const store of someOf(/** @type {StoreName[]} */ (['d1', 'kv', 'durable-object', 'sharded-d1', 'sharded-objects']))) describe(`priorities in ${store}`, { timeout: 240_000 }, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, handlers: HANDLERS, face: FACE, settings: { PRIORITIES: 'true', HTTP_ALLOWED_HOSTS: 'api.example' } }); });
  after(() => api.stop());

  /** @returns {Promise<Record<string, string>>} the priority with which each task was handed over last */
  async function sent() {
    const runs = /** @type {import('../../worker/engines/engine.js').Submission[]} */ ((await api.call('GET', '/seen')).body.sent);
    return Object.fromEntries(runs.map(({ taskId, priority = 'normal' }) => [taskId, priority]));
  }

  /** @param {string} taskId @param {number} [run] */
  const deliver = (taskId, run = 1) => api.worker.deliver({ body: { taskId, run } });

  test('a submission says it, in the query or a batch, else its handler does, and the task and lists show it', async () => {
    const ids = [await api.submit('?priority=high'), await api.submit('?priority=low'), await api.submit(), await api.submit('?priority=normal')];
    const urgent = await api.submit('?handler=urgent');
    const lowered = await api.submit('?handler=urgent&priority=normal');
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ priority: 'low' }, { handler: 'urgent' }, {}] } });
    const all = [...ids, urgent, lowered, ...body.tasks.map((/** @type {{taskId: string}} */ { taskId }) => taskId)];
    const expected = ['high', 'low', 'normal', 'normal', 'high', 'normal', 'low', 'high', 'normal'];
    const handedOver = await sent();
    assert.deepEqual(all.map((taskId) => handedOver[taskId]), expected);
    assert.deepEqual(await Promise.all(all.map(async (taskId) => (await api.task(taskId)).priority)), expected);
    const listed = new Map((await api.call('GET', '/tasks?limit=50')).body.tasks.map((/** @type {any} */ { taskId, priority }) => [taskId, priority]));
    assert.deepEqual(all.map((taskId) => listed.get(taskId)), expected);
  });

  test('another priority with the same idempotency key is another submission', async () => {
    const headers = { 'Idempotency-Key': `key-${store}` };
    const taskId = await api.submit('?priority=high', { headers });
    assert.equal((await api.call('POST', '/task?priority=high', { headers })).body.taskId, taskId);
    assertRefused(await api.call('POST', '/task?priority=low', { headers }), 409, 'idempotency_conflict', { taskId });
    assert.deepEqual(await sent(), { [taskId]: 'high' });
  });

  test('a task that takes the place of another one is handed over once more where its priority is another one', async () => {
    const headers = { 'Idempotency-Key': `place-${store}` };
    const replace = async (/** @type {string} */ priority) => {
      const { body } = await api.call('POST', `/task?delaySeconds=60&replace=pending&priority=${priority}`, { headers });
      return { taskId: body.taskId, sent: (await sent())[body.taskId] };
    };
    const first = await replace('low');
    assert.deepEqual([first.sent, await replace('low'), await replace('high')], ['low', { taskId: first.taskId, sent: undefined }, { taskId: first.taskId, sent: 'high' }]);
    const { priority, run } = await api.task(first.taskId);
    assert.deepEqual([priority, run], ['high', 2], 'the message that it had is of the run before');
    assert.equal((await replace('normal')).sent, 'normal');
    assert.equal((await api.task(first.taskId)).priority, 'normal');
  });

  test('a run by hand, one of an action, a wait for an event, a child and a callback', async () => {
    const callback = `callbackUrl=${encodeURIComponent('https://api.example/ended')}&on=failed`;
    const failing = await api.submit(`?handler=failing&priority=low&${callback}`);
    await sent();
    await deliver(failing);
    const { callback: { taskId: calledId } } = await api.task(failing);
    assert.deepEqual([await sent(), (await api.task(calledId)).priority], [{ [calledId]: 'low' }, 'low']);
    await api.call('POST', `/task/${failing}/retry`);
    assert.deepEqual(await sent(), { [failing]: 'low' });
    await deliver(failing, 2);
    await sent();
    await api.call('POST', '/actions', { body: { action: 'retry', filter: { ids: [failing] } } });
    for (let tries = 0, seen = await sent(); !seen[failing]; seen = await sent()) assert.ok(tries++ < 100);

    const waiting = await api.submit('?handler=waiting&priority=high');
    await deliver(waiting);
    await sent();
    await api.call('POST', `/task/${waiting}/events/go`, { body: '1' });
    assert.deepEqual(await sent(), { [waiting]: 'high' });

    const parent = await api.submit('?handler=parent');
    await sent();
    await deliver(parent);
    const { result: { taskId: child } } = await api.task(parent);
    assert.deepEqual([await sent(), (await api.task(child)).priority], [{ [child]: 'low' }, 'low']);
  });

  test('a callback of a cancelled task', async () => {
    const taskId = await api.submit(`?priority=high&callbackUrl=${encodeURIComponent('https://api.example/ended')}&on=cancelled`);
    await sent();
    await api.call('POST', `/task/${taskId}/cancel`);
    const { callback } = await api.task(taskId);
    assert.deepEqual([await sent(), (await api.task(callback.taskId)).priority], [{ [callback.taskId]: 'high' }, 'high']);
  });

  test('a tick of a schedule, which shows it', async () => {
    const name = `tick-${store}`;
    assert.equal((await api.call('PUT', `/schedules/${name}`, { body: { everySeconds: 60, priority: 'low' } })).body.priority, 'low');
    const tick_ms = Math.floor(Date.now() / 60_000) * 60_000;
    assert.equal((await api.call('GET', `/due?schedule=${name}&ms=${tick_ms}`)).body, true);
    await sent();
    await api.worker.sweep();
    const taskId = await tickTaskId(name, tick_ms);
    assert.deepEqual([(await sent())[taskId], (await api.task(taskId)).priority], ['low', 'low']);
  });

  if (store !== 'kv') test('a task that waits for others, and one for its turn in its group', async () => {
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ priority: 'low' }], then: { priority: 'high' } } });
    const [{ taskId: first }] = body.tasks;
    assert.deepEqual(await sent(), { [first]: 'low' });
    await deliver(first);
    assert.deepEqual(await sent(), { [body.batchId]: 'high' });

    const [turn, next] = [await api.submit('?handler=one&group=a&priority=low'), await api.submit('?handler=one&group=a&priority=high')];
    assert.deepEqual(await sent(), { [turn]: 'low' });
    await deliver(turn);
    assert.deepEqual(await sent(), { [next]: 'high' });
  });
});

describe('priorities are refused', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ handlers: HANDLERS }); });
  after(() => api.stop());

  test('in a stack that has none, with the setting that makes them', async () => {
    const refused = await api.call('POST', '/task?priority=high');
    assertRefused(refused, 400, 'invalid_parameter', { parameter: 'priority' });
    assert.equal(refused.body.error, 'expected priority normal, got high: this stack has one queue for all tasks. Its setting priorities: true makes queues for high and low, with engine queue');
    const ofHandler = await api.call('POST', '/task?handler=urgent');
    assertRefused(ofHandler, 500, 'handler_check_failed');
    assert.match(ofHandler.body.error, /^the priority of handler urgent is of no use: expected priority normal/);
    assertRefused(await api.call('PUT', '/schedules/late', { body: { everySeconds: 60, priority: 'low' } }), 400, 'invalid_parameter', { parameter: 'priority' });
    assert.equal((await api.task(await api.submit('?priority=normal'))).priority, 'normal');
    assert.equal((await api.task(await api.submit('?handler=urgent&priority=normal'))).priority, 'normal');
  });

  test('where it is none', async () => {
    for (const value of ['', 'HIGH', 'urgent', '1']) assertRefused(await api.call('POST', `/task?priority=${value}`), 400, 'invalid_parameter', { parameter: 'priority' });
    for (const value of [null, 1, {}, [], true, 'High']) {
      const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ priority: value }] } });
      assert.deepEqual([body.tasks[0].httpStatus, body.tasks[0].parameter], [400, 'priority']);
    }
    for (const value of [null, 1, 'urgent', {}]) {
      assert.throws(() => requireHandlers(/** @type {any} */ ({ bad: { default: () => 1, priority: value } })), /handler bad: expected priority to be one of high, normal, low/);
    }
  });
});

for (const name of someOf(/** @type {StoreName[]} */ (['d1', 'kv', 'durable-object', 'sharded-d1']))) describe(`store ${name}`, () => {
  /** @type {import('./store_under_test.js').StoreUnderTest} */
  let store;
  before(async () => { store = await startStore(name); });
  after(() => store.stop());

  test('tells the priority of a task that is claimed, found and open, also in its next run', async () => {
    const ids = [30, 20, 10].map((minutes) => newTaskId(Date.now() - minutes * 60_000));
    const settings = [{ priority: /** @type {const} */ ('high') }, { priority: /** @type {const} */ ('low'), delay_seconds: 1 }, {}];
    const taskIds = await Promise.all(ids.map((taskId, index) => store.insert({ taskId, ...settings[index] })));
    const expected = ['high', 'low', undefined];
    const open = /** @type {OpenTask[]} */ (await store.call('open', Math.ceil(Date.now() / 600_000) * 600_000)); // when KV's sweeper looks
    const byId = new Map(open.map((task) => [task.taskId, task.priority]));
    if (name !== 'durable-object') assert.deepEqual(taskIds.map((taskId) => byId.get(taskId)), expected, 'objects see to their own');
    const claimed = await store.claim(String(taskIds[0]));
    assert.equal(claimed.priority, 'high');
    await store.settle(claimed, { status: 'failed', error: ERROR });
    assert.equal(await store.call('retry', taskIds[0], 1), 2);
    assert.equal((await store.call('find', taskIds[0])).priority, 'high');
    assert.equal((await store.claim(String(taskIds[0]), { run: 2 })).priority, 'high');
  });
});

/**
 * An engine with queues that keep what they are sent.
 *
 * @param {string[]} bindings of its queues
 * @param {{handler?: () => unknown, oldest_ms?: number | null, shards?: string}} [options]
 */
function engineWith(bindings, { handler = () => 1, oldest_ms = null, shards = '1' } = {}) {
  /** @type {Record<string, any[]>} */
  const sent = Object.fromEntries(['TASK_DLQ', ...bindings].map((binding) => [binding, []]));
  const queues = Object.entries(sent).map(([binding, messages]) => (
    [binding, fakeQueue((given) => messages.push(...given.map(({ body }) => body)), () => ({ count: messages.length, oldest_ms }))]
  ));
  /** @type {Probe[]} */
  let probes = [];
  const store = {
    settling_seconds: 0,
    claim: async (/** @type {any[]} */ deliveries) => new Map(deliveries.map(({ taskId, run, claim }) => [taskId, {
      kind: 'claimed', task: { taskId, run, claim, attempts: 1, crashes: 0, handler: 'default', parameters: {}, payload: '', max_retries: 0 },
    }])),
    settle: async (/** @type {any[]} */ outcomes) => ({ standings: new Map(outcomes.map(({ taskId }) => [taskId, 'ours'])), followUp: { runs: [], ended: [] } }),
    find: async () => null,
    markSent: async () => {},
    probes: async () => probes,
    setProbes: async (/** @type {Probe[]} */ set) => { probes = set; },
  };
  const env = { ...Object.fromEntries(queues), MAX_RETRIES: '5', SHARDS: shards, RETRY_DELAY_SECONDS: '0', RETRY_BACKOFF: 'constant', RETRY_MAX_DELAY_SECONDS: '60' };
  const engine = new QueueEngine(/** @type {any} */ (env), /** @type {any} */ (store), { default: { default: /** @type {any} */ (handler) } });
  return { engine, sent, probesOf: () => probes };
}

const ALL_QUEUES = ['TASK_QUEUE', 'TASK_QUEUE_HIGH', 'TASK_QUEUE_LOW'];
const RUN = { run: 1, delay_seconds: 0, max_retries: null };

describe('the queues of priorities', () => {
  test('a run goes to the queue of its priority and its shard; to that of its shard, where there is none', async () => {
    const ids = ['00', '01'].map((ending) => newTaskId(Date.now(), ending));
    const runs = ids.flatMap((taskId) => [{ ...RUN, taskId }, { ...RUN, taskId, priority: /** @type {const} */ ('high') }, { ...RUN, taskId, priority: /** @type {const} */ ('low') }]);
    const { engine, sent } = engineWith([...ALL_QUEUES, 'TASK_QUEUE_1', 'TASK_QUEUE_HIGH_1', 'TASK_QUEUE_LOW_1'], { shards: '2' });
    await engine.submit(runs);
    assert.deepEqual(Object.entries(sent).map(([binding, bodies]) => [binding, bodies.map(({ taskId, priority }) => [ids.indexOf(taskId), priority])]), [
      ['TASK_DLQ', []],
      ['TASK_QUEUE', [[0, undefined]]], ['TASK_QUEUE_HIGH', [[0, 'high']]], ['TASK_QUEUE_LOW', [[0, 'low']]],
      ['TASK_QUEUE_1', [[1, undefined]]], ['TASK_QUEUE_HIGH_1', [[1, 'high']]], ['TASK_QUEUE_LOW_1', [[1, 'low']]],
    ]);
    const without = engineWith(['TASK_QUEUE', 'TASK_QUEUE_1'], { shards: '2' });
    await without.engine.submit(runs);
    assert.deepEqual([without.sent['TASK_QUEUE']?.length, without.sent['TASK_QUEUE_1']?.length], [3, 3]);
  });

  test('what takes the place of a message goes to its queue, and its dead letter has its priority', async () => {
    mock.method(console, 'error', () => {});
    const { engine, sent } = engineWith(ALL_QUEUES, { handler: () => { throw new Error('no'); } });
    const taskId = newTaskId(Date.now());
    const consume = (/** @type {object} */ body, attempts = 1) => engine.consume(/** @type {any} */ ({ messages: [fakeMessage({ id: 'message', body, attempts }, () => {})] }));
    await consume({ taskId, run: 1, priority: 'high' }, 6);
    assert.deepEqual(sent['TASK_QUEUE_HIGH']?.map(({ taskId: id, priority }) => [id, priority]), [[taskId, 'high']], 'near its last delivery it is sent anew');
    await consume({ taskId, run: 1, priority: 'low' });
    await consume({ taskId, run: 2, priority: 'middle' });
    assert.deepEqual(sent['TASK_DLQ'], [{ taskId, run: 1, priority: 'low' }, { taskId, run: 2 }]);
    assert.deepEqual([sent['TASK_QUEUE'], sent['TASK_QUEUE_LOW']], [[], []]);
    mock.restoreAll();
  });

  test('backlogs are told together and of each', async () => {
    const { engine, sent } = engineWith(ALL_QUEUES, { oldest_ms: 5 });
    sent['TASK_QUEUE_HIGH']?.push({}, {});
    sent['TASK_QUEUE_LOW']?.push({});
    const none = { count: 0, oldest_ms: null };
    assert.deepEqual(await engine.backlogs(), {
      backlog: { count: 3, oldest_ms: 5 }, deadLetters: none,
      priorities: { high: { count: 2, oldest_ms: 5 }, normal: none, low: { count: 1, oldest_ms: 5 } },
    });
    assert.deepEqual(await engineWith(['TASK_QUEUE']).engine.backlogs(), { backlog: none, deadLetters: none });
  });

  /** @param {number} age_ms @param {'high' | 'low'} [priority] @returns {OpenTask} */
  const open = (age_ms, priority) => ({
    taskId: newTaskId(Date.now() - age_ms), run: 1, attempts: 0, max_retries: null, due_ms: Date.now() - age_ms, sent_at_ms: null, isHeld: false, ...(priority && { priority }),
  });

  test('the sweeper judges each queue by itself, and sends what is lost to its own', async () => {
    const { engine, sent, probesOf } = engineWith(ALL_QUEUES, { oldest_ms: Date.now() - 600_000 });
    sent['TASK_QUEUE_LOW']?.push({}); // a backlog, in which its task may be
    const [high, normal, low] = [open(120_000, 'high'), open(120_000), open(120_000, 'low')];
    await engine.rescue([high, normal, low, open(110_000, 'low')]);
    assert.deepEqual(sent['TASK_QUEUE_HIGH']?.map(({ taskId }) => taskId), [high.taskId]);
    assert.deepEqual(sent['TASK_QUEUE']?.map(({ taskId }) => taskId), [normal.taskId]);
    assert.deepEqual(sent['TASK_QUEUE_LOW']?.slice(1), [{ taskId: low.taskId, run: 1, priority: 'low' }], 'as a probe');
    assert.deepEqual(probesOf().map(({ queue, taskId }) => [queue, taskId]), [['TASK_QUEUE_LOW', low.taskId]]);
  });

  test('once the setting is off, what was in the removed queues is sent to the one that is left, however much waits in it', async () => {
    const tasks = [open(120_000, 'high'), open(16 * 60_000, 'low')];
    const empty = engineWith(['TASK_QUEUE']);
    assert.deepEqual(await empty.engine.rescue(tasks), { resent: 2, returned: 0, failed: 0 });
    assert.deepEqual(empty.sent['TASK_QUEUE']?.map(({ taskId }) => taskId), tasks.map(({ taskId }) => taskId));
    const behind = engineWith(['TASK_QUEUE'], { oldest_ms: Date.now() - 3_600_000 });
    behind.sent['TASK_QUEUE']?.push({});
    await behind.engine.rescue([...tasks, open(16 * 60_000, 'high')]);
    assert.equal(behind.sent['TASK_QUEUE']?.length, 4, 'the younger one as a probe; those of a quarter of an hour are given up for lost');
  });
});
