/** Tasks that start after others: in every store that can hold tasks, with shards and without, by either engine, and whatever is lost. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { lookAtWaiting } from '../../worker/dependencies.js';
import { D1Store } from '../../worker/stores/d1.js';
import { newTaskId } from '../../worker/task_id.js';
import { looks } from '../looks.js';
import { assertRefused, startApi } from './api_under_test.js';
import { fakeD1 } from './fakes/d1.js';
import { FakeSqlite } from './fakes/sqlite.js';
import { deliveryOf, ERROR, newTask } from './store_under_test.js';
import { readMigrations, someOf } from './worker_under_test.js';

/** @import { StoreName } from './worker_under_test.js' */

const PATIENCE_MS = 10_000;
const MIGRATIONS = await readMigrations();

/** Tells what was handed over; while it is told to lose, no task that waits is told of an end, or none is remembered. */
const FACE = `(() => {
  const sent = [];
  let loses = null;
  class SeenEngine extends QueueEngine {
    submit(runs) { sent.push(...runs); return super.submit(runs); }
  }
  class LosingStore extends Store {
    awaitEnds(links) { if (loses === 'registration') throw new StoreUnavailable('lost'); return super.awaitEnds(links); }
    dependents(awaited) { if (loses === 'end') throw new StoreUnavailable('lost'); return super.dependents(awaited); }
  }
  const runner = taskRunner({ Store: LosingStore, Engine: SeenEngine, Consumer: SeenEngine, handlers, sweep, Validator });
  return {
    ...runner,
    fetch(request, env, context) {
      const url = new URL(request.url);
      if (url.pathname !== '/seen') return runner.fetch(request, env, context);
      loses = url.searchParams.get('lose');
      return Response.json({ sent });
    },
  };
})()`;

const HANDLERS = { work: "export default (payload) => { if (payload === 'fail') throw new RangeError('no luck'); return { did: payload }; };" };

/** @param {() => Promise<boolean>} isDone */
async function until(isDone) {
  for await (const _ of looks(PATIENCE_MS)) if (await isDone()) return;
  assert.fail('it did not come about');
}

for (const store of someOf(/** @type {StoreName[]} */ (['d1', 'durable-object', 'sharded-d1', 'sharded-objects']))) describe(`tasks after others with ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, handlers: HANDLERS, face: FACE }); });
  after(() => api.stop());

  const submit = (/** @type {string} */ query = '', body = 'work') => api.submit(`?handler=work&maxRetries=0${query}`, { body });
  const isReleased = async (/** @type {string} */ taskId) => (await api.task(taskId)).after.waitsFor.length === 0;

  test('it starts when all have completed, and is handed over then', async () => {
    const parents = await Promise.all(Array.from({ length: 6 }, () => submit()));
    const taskId = await submit(`&after=${parents}`);
    const { status, nextAttemptAt, expiresAt, after: waiting } = await api.task(taskId);
    assert.deepEqual({ status, nextAttemptAt, expiresAt, waiting }, {
      status: 'pending', nextAttemptAt: null, expiresAt: null, waiting: { taskIds: parents, startWhen: 'completed', waitsFor: parents },
    });
    for (const [index, parent] of parents.entries()) {
      assert.equal(await api.timesSent(taskId), 0);
      await api.attempt(taskId); // a message that strayed
      assert.equal((await api.task(taskId)).status, 'pending');
      await api.attempt(parent);
      await until(async () => (await api.task(taskId)).after.waitsFor.length === parents.length - index - 1);
    }
    await until(async () => await api.timesSent(taskId) === 1);
    const released = await api.task(taskId);
    assert.ok(released.nextAttemptAt && Date.parse(released.expiresAt) - Date.now() > 86_000_000);
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).status, 'completed');
  });

  test('one that has failed or was cancelled cancels what waits on it, and what waits on that', async () => {
    const [failed, cancelled] = [await submit('', 'fail'), await submit()];
    const [first, other] = [await submit(`&after=${failed}`), await submit(`&after=${cancelled}`)];
    const second = await submit(`&after=${first}`);
    const third = await submit(`&after=${[second, other]}&startWhen=ended`);
    await api.attempt(failed);
    await api.call('POST', `/task/${cancelled}/cancel`);
    await until(async () => await isReleased(third));
    for (const [taskId, because, how] of /** @type {const} */ ([[first, failed, 'failed'], [second, first, 'was cancelled'], [other, cancelled, 'was cancelled']])) {
      const { status, error, after: { waitsFor }, expiresAt } = await api.task(taskId);
      assert.deepEqual({ status, error, waitsFor }, {
        status: 'cancelled', waitsFor: [],
        error: { name: 'DependencyFailed', message: `task ${because} ${how}, and this one was to start when it had completed` },
      });
      assert.ok(Date.parse(expiresAt) - Date.now() < 86_500_000);
    }
    await api.attempt(third);
    assert.equal((await api.task(third)).status, 'completed', 'it asked for any end');
  });

  test('ends before the submission count at once', async () => {
    const [completed, failed] = [await submit(), await submit('', 'fail')];
    for (const taskId of [completed, failed]) await api.attempt(taskId);
    const started = await submit(`&after=${completed}&delaySeconds=0`);
    assert.deepEqual((await api.task(started)).after, { taskIds: [completed], startWhen: 'completed', waitsFor: [] });
    await until(async () => await api.timesSent(started) === 1);
    assert.notEqual((await api.task(started)).expiresAt, null, 'it was never held');
    const any = await submit(`&after=${completed},${failed}&startWhen=ended`);
    await until(async () => await api.timesSent(any) === 1);
    const never = await submit(`&after=${completed},${failed}`);
    await until(async () => (await api.task(never)).status === 'cancelled');
    assert.equal(await api.timesSent(never), 0);
  });

  test('a delay counts from the release', async () => {
    const parent = await submit();
    const taskId = await submit(`&after=${parent}&delaySeconds=600`);
    await api.attempt(parent);
    await until(async () => await api.timesSent(taskId) === 1);
    assert.equal((await api.seen()).sent.find((run) => run.taskId === taskId)?.delay_seconds, 600);
    assert.ok(Math.abs(Date.parse((await api.task(taskId)).nextAttemptAt) - Date.now() - 600_000) < 30_000);
  });

  test('whatever is lost, the sweeper makes good', async () => {
    for (const lost of ['registration', 'end']) {
      const [parent, failing] = [await submit(), await submit('', 'fail')];
      await api.call('GET', `/seen?lose=${lost}`);
      const [taskId, never] = [await submit(`&after=${parent}`), await submit(`&after=${failing}`)];
      if (lost === 'end') await setTimeout(300); // until they are remembered
      await api.attempt(parent);
      await api.attempt(failing);
      await api.call('GET', '/seen');
      assert.equal(await isReleased(taskId), false, lost);
      await api.worker.sweep();
      await until(async () => await isReleased(taskId));
      assert.equal((await api.task(never)).status, 'cancelled');
      await api.attempt(taskId);
      assert.equal((await api.task(taskId)).status, 'completed');
    }
  });

  test('a task that waits can be cancelled, and run by hand without waiting', async () => {
    const parent = await submit();
    const taskId = await submit(`&after=${parent}`);
    assert.equal((await api.call('POST', `/task/${taskId}/cancel`)).body.status, 'cancelled');
    await api.attempt(parent);
    assert.equal((await api.task(taskId)).status, 'cancelled');
    await api.call('POST', `/task/${taskId}/retry`);
    await api.attempt(taskId, 2);
    assert.equal((await api.task(taskId)).status, 'completed');
  });

  test('a submission that comes again finds the one that waits', async () => {
    const parent = await submit();
    const key = { headers: { 'Idempotency-Key': `key-${parent}` }, body: 'work' };
    const first = await api.call('POST', `/task?handler=work&after=${parent}`, key);
    const second = await api.call('POST', `/task?handler=work&after=${parent}`, key);
    assert.deepEqual([second.body, second.headers.get('Idempotent-Replayed')], [first.body, 'true']);
    assertRefused(await api.call('POST', '/task?handler=work', key), 409, 'idempotency_conflict', { taskId: first.body.taskId });
    await api.attempt(parent);
    await until(async () => await api.timesSent(first.body.taskId) === 1);
  });

  test('a bad one is refused, of a batch alone', async () => {
    const parent = await submit();
    const unknown = newTaskId(Date.now());
    for (const [query, parameter, fault] of /** @type {const} */ ([
      [`after=${unknown}`, 'after', /expected after to name tasks that are there, got "[-0-9a-f]+": it was never submitted/],
      ['after=work', 'after', /expected after to be ids of tasks, got "work"/],
      ['after=', 'after', /expected after to be ids of tasks, got ""/],
      [`after=${parent},${parent}`, 'after', /expected after to be 1 to 100 ids of tasks, each once, got 2/],
      ['startWhen=ended', 'startWhen', /expected startWhen to come with after/],
      [`after=${parent}&startWhen=soon`, 'startWhen', /expected startWhen to be completed or ended, got "soon"/],
    ])) {
      const reply = await api.call('POST', `/task?handler=work&${query}`, { body: 'work' });
      assertRefused(reply, 400, 'invalid_parameter', { parameter });
      assert.match(reply.body.error, fault);
    }
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [
      { handler: 'work', after: [unknown] }, { handler: 'work', after: [parent], startWhen: 'ended' }, { handler: 'work', after: 7 }, { handler: 'work' },
      { handler: 'work', after: Array.from({ length: 101 }, () => newTaskId(Date.now())) },
    ] } });
    assert.deepEqual(body.tasks.map((/** @type {any} */ each) => each.httpStatus), [400, 200, 400, 200, 400]);
    assert.deepEqual((await api.task(body.tasks[1].taskId)).after, { taskIds: [parent], startWhen: 'ended', waitsFor: [parent] });
    const schedule = await api.call('PUT', '/schedules/waits', { body: { everySeconds: 60, after: [parent] } });
    assertRefused(schedule, 400, 'invalid_parameter', { parameter: 'after' });
  });
});

test('with kv it is refused in a sentence', async () => {
  const api = await startApi({ store: 'kv', handlers: HANDLERS });
  try {
    const parent = await api.submit('?handler=work');
    const reply = await api.call('POST', `/task?handler=work&after=${parent}`);
    assertRefused(reply, 400, 'invalid_parameter', { parameter: 'after' });
    assert.match(reply.body.error, /^expected no after with the state store kv: it has no compare-and-set/);
  } finally {
    await api.stop();
  }
});

for (const store of someOf(/** @type {StoreName[]} */ (['d1', 'durable-object']))) test(`tasks after others by a workflow with ${store}`, async () => {
  const api = await startApi({ store, engine: 'workflow', handlers: HANDLERS, face: 'runner' });
  try {
    const parents = [await api.submit('?handler=work&delaySeconds=1'), await api.submit('?handler=work')];
    const taskId = await api.submit(`?handler=work&after=${parents}`);
    const failing = await api.submit('?handler=work&maxRetries=0&delaySeconds=1', { body: 'fail' });
    const never = await api.submit(`?handler=work&after=${failing}`);
    await until(async () => (await api.task(taskId)).status === 'completed' && (await api.task(never)).status === 'cancelled');
  } finally {
    await api.stop();
  }
});

test('a task that waits on one in a store that was left is released by the sweeper', async () => {
  const api = await startApi({ store: 'd1', formerStores: ['kv'], handlers: HANDLERS, face: `(() => ({
    ...runner,
    async fetch(request, env, context) {
      if (new URL(request.url).pathname !== '/former') return runner.fetch(request, env, context);
      await new KvStore(env)[request.headers.get('method')](...await request.json());
      return new Response('done');
    },
  }))()` });
  try {
    const parent = newTask({ handler: 'work' });
    await api.call('POST', '/former', { headers: { method: 'insert' }, body: [[parent]] });
    const taskId = await api.submit(`?handler=work&after=${parent.taskId}`);
    await api.attempt(parent.taskId);
    assert.equal((await api.task(parent.taskId)).status, 'completed');
    await api.worker.sweep();
    assert.deepEqual((await api.task(taskId)).after.waitsFor, []);
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).status, 'completed');
  } finally {
    await api.stop();
  }
});

describe('in a table', () => {
  /** @type {FakeSqlite} */
  let sqlite;
  /** @type {D1Store} */
  let store;
  beforeEach(() => {
    mock.timers.enable({ apis: ['Date'], now: 1_900_000_000_000 });
    sqlite = new FakeSqlite();
    for (const migration of MIGRATIONS) sqlite.exec(migration);
    store = new D1Store(/** @type {any} */ ({ DB: fakeD1(sqlite), MAX_RETRIES: '5' }));
  });
  afterEach(() => { mock.timers.reset(); });

  /** @param {string[]} awaits @param {'completed' | 'ended'} [startWhen] */
  async function insertWaiting(awaits, startWhen = 'completed') {
    const task = newTask({ isHeld: true, after: { taskIds: awaits, startWhen }, awaits });
    await store.insert([task]);
    return task.taskId;
  }

  test('one whose time to live is over counts as one that has not completed', async () => {
    const parent = newTask({ ttl_seconds: 60 });
    await store.insert([parent]);
    const [strict, any] = [await insertWaiting([parent.taskId]), await insertWaiting([parent.taskId], 'ended')];
    mock.timers.tick(3_600_000);
    await store.expire(() => false);
    const { runs } = await lookAtWaiting(store, store);
    assert.deepEqual(runs.map(({ taskId }) => taskId), [any]);
    const { status, error } = await store.find(strict) ?? assert.fail('it is gone');
    assert.deepEqual([status, error?.name], ['cancelled', 'DependencyGone']);
  });

  test('the sweeper goes through all of them, some at a time', async () => {
    const open = newTask();
    const ended = newTask();
    await store.insert([open, ended]);
    await store.cancel(ended.taskId);
    const waiting = [];
    const filler = Array.from({ length: 99 }, () => newTaskId(Date.now()));
    await store.insert(filler.map((taskId) => newTask({ taskId })));
    for (let count = 0; count < 25; count++) {
      mock.timers.tick(1);
      waiting.push(await insertWaiting([...filler, count === 24 ? ended.taskId : open.taskId], 'ended'));
    }
    const seen = [];
    for (let sweep = 0; sweep < 3; sweep++) seen.push(...new Set((await store.waiting()).map(({ taskId }) => taskId)));
    assert.deepEqual(seen, waiting);
    assert.equal((await store.waiting())[0]?.taskId, waiting[0], 'a new round');
  });

  test('an end that is told twice, or after a retry by hand, releases once', async () => {
    const parent = newTask();
    await store.insert([parent]);
    const taskId = await insertWaiting([parent.taskId], 'ended');
    const link = { taskId, awaited: parent.taskId };
    const links = [link];
    for (let time = 0; time < 2; time++) assert.deepEqual([...await store.awaitEnds(links)], [[parent.taskId, 'pending']]);
    const followUp = await store.abandon([{ taskId: parent.taskId, run: 1, attempts: 0 }], ERROR);
    assert.deepEqual(followUp.ended, [{ taskId: parent.taskId, status: 'failed' }]);
    assert.deepEqual((await Array.fromAsync(store.dependents([parent.taskId]))).flat().map((each) => ({ ...each })), links);
    const ends = [{ ...link, status: /** @type {const} */ ('failed') }];
    assert.equal((await store.tell(ends)).runs.length, 1);
    assert.equal((await store.tell(ends)).runs.length, 0);
    await store.retry(parent.taskId, 1);
    const claimed = (await store.claim([deliveryOf(parent.taskId, { run: 2 })])).get(parent.taskId);
    assert.ok(claimed?.kind === 'claimed');
    const { run, attempts, crashes, claim } = claimed.task;
    const settled = await store.settle([{ taskId: parent.taskId, run, attempts, crashes, claim, progress: null, ended_ms: 1, status: 'completed', result: '1' }]);
    assert.deepEqual(settled.followUp.ended, [{ taskId: parent.taskId, status: 'completed' }]);
    assert.equal((await store.tell([{ ...link, status: 'completed' }])).runs.length, 0);
    mock.timers.tick(3 * 86_400_000);
    await store.expire(() => false);
    assert.deepEqual(sqlite.all('SELECT * FROM dependents', []), [], 'they go with the task that was waited for');
  });

  test('very many that wait for one are told in pages', async () => {
    const parent = newTask();
    await store.insert([parent]);
    const tasks = Array.from({ length: 450 }, () => newTask({ isHeld: true, after: { taskIds: [parent.taskId], startWhen: 'ended' }, awaits: [parent.taskId] }));
    await store.insert(tasks);
    await store.awaitEnds(tasks.map(({ taskId }) => ({ taskId, awaited: parent.taskId })));
    const pages = await Array.fromAsync(store.dependents([parent.taskId]));
    assert.deepEqual(pages.map(({ length }) => length), [200, 200, 50]);
    assert.equal((await store.tell(pages.flat().map((link) => ({ ...link, status: /** @type {const} */ ('completed') })))).runs.length, 450);
  });
});
