/** Groups: how many of their tasks run at once and start in a period, in every store that has them, and with either engine. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { endingOf } from '../../worker/group.js';
import { requireHandlers } from '../../worker/handler.js';
import { tickTaskId } from '../../worker/schedules.js';
import { shardOf } from '../../worker/shards.js';
import { TaskTable } from '../../worker/stores/task_table.js';
import { looks } from '../looks.js';
import { assertRefused, startApi } from './api_under_test.js';
import { someOf } from './worker_under_test.js';

const STORES = someOf(/** @type {const} */ (['d1', 'sharded-d1', 'durable-object', 'sharded-objects']));

/** Tells what was handed over and not yet asked for; while it is told to lose, nothing is. */
const FACE = `(() => {
  let sent = [];
  let loses = false;
  class SeenEngine extends QueueEngine {
    submit(runs) {
      if (loses) throw new HandoverRefused('lost');
      sent.push(...runs);
      return Promise.resolve();
    }
  }
  const runner = taskRunner({ Store, Engine: SeenEngine, Consumer: SeenEngine, handlers, sweep, Validator });
  return {
    ...runner,
    async fetch(request, env, context) {
      const url = new URL(request.url);
      if (url.pathname === '/due') {
        const store = new Store(env);
        const name = url.searchParams.get('schedule');
        const { schedule } = (await store.schedules()).find((kept) => kept.name === name);
        return Response.json(await store.changeSchedule(name, schedule, JSON.stringify({ ...JSON.parse(schedule), next_ms: Number(url.searchParams.get('ms')) })));
      }
      if (url.pathname === '/limits') {
        Object.assign(handlers[url.searchParams.get('handler')].limits, JSON.parse(url.searchParams.get('limits')));
        return Response.json({});
      }
      if (url.pathname !== '/seen') return runner.fetch(request, env, context);
      loses = url.searchParams.has('lose');
      const seen = sent;
      sent = [];
      return Response.json({ sent: seen });
    },
  };
})()`;

/** Each task tells how many of its group ran with it at most, and when it started. */
const COUNTING = `
  const running = new Map();
  export default async (payload, context) => {
    const start = Date.now();
    const { group, ms = 20, fail = 0 } = JSON.parse(payload);
    const now = (running.get(group) ?? 0) + 1;
    running.set(group, now);
    let most = now;
    const look = setInterval(() => { most = Math.max(most, running.get(group)); }, 2);
    try {
      await scheduler.wait(ms);
      if (context.attempt <= fail) throw new Error('not yet');
      return { most, start };
    } finally {
      clearInterval(look);
      running.set(group, running.get(group) - 1);
    }
  };
  export const group = (payload) => JSON.parse(payload).group ?? null;`;

const HANDLERS = {
  two: `export const limits = { concurrency: 2 }; ${COUNTING}`,
  one: `export const limits = { concurrency: 1 }; ${COUNTING}`,
  tuned: `export const limits = { concurrency: 1 }; ${COUNTING}`,
  whole: "export const limits = { concurrency: 1 }; export default () => 1;",
  rated: `export const limits = { rate: { limit: 3, seconds: 2 } }; ${COUNTING}`,
  both: `export const limits = { concurrency: 2, rate: { limit: 3, seconds: 1 } }; ${COUNTING}`,
  stepped: `export const limits = { concurrency: 1 }; export const steps = true;
    export default async (payload, context) => { await context.sleep('nap', 1); return (await context.waitForEvent('go')).payload; };`,
  free: 'export default () => 1;',
  thrower: "export const limits = { concurrency: 1 }; export const group = () => { throw new Error('a secret'); }; export default () => 1;",
  odd: "export const limits = { concurrency: 1 }; export const group = (payload) => JSON.parse(payload); export default () => 1;",
};

for (const store of STORES) describe(`groups in ${store}`, { timeout: 240_000 }, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, handlers: HANDLERS, face: FACE, settings: { GROUP_CONCURRENCY: '1' } }); });
  after(() => api.stop());

  /** @param {string} [query] */
  const sent = async (query = '') => /** @type {import('../../worker/engines/engine.js').Submission[]} */ ((await api.call('GET', `/seen${query}`)).body.sent);

  /** @param {{taskId: string, run: number}[]} runs */
  const deliver = (...runs) => api.worker.deliver(...runs.map(({ taskId, run }) => ({ body: { taskId, run } })));

  /**
   * @param {string} handler
   * @param {object} payload
   * @param {string} [query]
   */
  const submit = (handler, payload, query = '') => api.submit(`?handler=${handler}${query}`, { body: JSON.stringify(payload) });

  /** Works off what is handed over, each message at its time, until the tasks have ended. @param {string[]} taskIds */
  async function workOff(taskIds) {
    /** @type {Set<Promise<unknown>>} */
    const onTheWay = new Set();
    const tasks = [];
    for (const end_ms = Date.now() + 60_000; tasks.length < taskIds.length;) {
      assert.ok(Date.now() < end_ms, `only ${tasks.length} of ${taskIds.length} tasks have ended`);
      for (const run of await sent()) {
        const delivered = setTimeout(run.delay_seconds * 1000).then(() => deliver(run)).finally(() => onTheWay.delete(delivered));
        onTheWay.add(delivered);
      }
      if (onTheWay.size > 0) {
        await Promise.race([...onTheWay, setTimeout(100)]); // it is by a delivery's end that a task ends and the next one is sent
        continue;
      }
      const task = await api.task(String(taskIds[tasks.length]));
      if (task.finishedAt) tasks.push(task);
      else await setTimeout(20);
    }
    return tasks;
  }

  /** @param {string[]} taskIds */
  const states = async (...taskIds) => Promise.all(taskIds.map(async (taskId) => {
    const { status, waitingFor } = await api.task(taskId);
    return waitingFor === null ? status : `${status} for ${waitingFor}`;
  }));

  test('no more than so many run at once, in the order in which they came, and none needs more than one message', async () => {
    const { body: { tasks } } = await api.call('POST', '/tasks', { body: { tasks: Array.from({ length: 12 }, () => ({ handler: 'two', payload: { group: 'load' } })) } });
    const taskIds = tasks.map((/** @type {any} */ { taskId }) => taskId);
    assert.equal((await states(...taskIds)).filter((state) => state === 'pending for group').length, 10);
    for (let count = 0; count < 8; count++) taskIds.push(await submit('two', { group: 'load' }));
    const { group, waitingFor, nextAttemptAt, expiresAt } = await api.task(taskIds.at(-1));
    assert.deepEqual({ group, waitingFor, nextAttemptAt, expiresAt }, { group: 'load', waitingFor: 'group', nextAttemptAt: null, expiresAt: null });
    const ended = await workOff(taskIds);
    assert.ok(ended.every(({ result, status }) => status === 'completed' && result.most <= 2), JSON.stringify(ended.map(({ result }) => result)));
    const starts = ended.map(({ result }) => result.start);
    for (const [index, start] of starts.entries()) assert.ok(start + 15 >= Math.max(...starts.slice(0, Math.max(0, index - 1)), 0), 'in order');
    assert.deepEqual([...new Set(taskIds.map((/** @type {string} */ id) => shardOf(id, 16)))].length, 1);
    assert.ok(ended.every(({ attempts, waitingFor: waits, expiresAt: expires }) => attempts === 1 && waits === null && expires !== null));
  });

  test('groups do not hinder each other, nor does a group of another handler with the same key', async () => {
    const taskIds = [await submit('one', { group: 'a' }), await submit('one', { group: 'b' }), await submit('tuned', { group: 'a' }), await submit('one', { group: 'a' })];
    assert.deepEqual(await states(...taskIds), ['pending', 'pending', 'pending', 'pending for group']);
    await workOff(taskIds);
  });

  test("the stack's limits are of the handlers that have none, and a submission's own key comes first", async () => {
    const taskIds = [await submit('free', {}, '&group=s'), await submit('free', {}, '&group=s'), await submit('free', {})];
    taskIds.push(await submit('one', { group: 'mine' }, '&group=theirs'), await submit('one', { group: 'mine' }));
    assert.deepEqual(await states(...taskIds), ['pending', 'pending for group', 'pending', 'pending', 'pending']);
    assert.deepEqual(await Promise.all(taskIds.map(async (taskId) => (await api.task(taskId)).group)), ['s', 's', null, 'theirs', 'mine']);
    await workOff(taskIds);
  });

  test('all tasks of a handler with limits are one group where nothing names another one', async () => {
    const taskIds = [await submit('whole', {}), await submit('whole', {})];
    assert.deepEqual(await states(...taskIds), ['pending', 'pending for group']);
    assert.equal((await workOff(taskIds))[1].group, '*');
  });

  test('whichever way a turn ends, the next one begins; a task that waits to be tried again keeps its turn', async () => {
    /** @type {string[]} */
    const ids = [];
    ids[0] = await submit('one', { group: 'ends', fail: 1 }, '&maxRetries=1');
    for (let index = 1; index < 5; index++) ids[index] = await submit('one', { group: 'ends', fail: index === 3 ? 9 : 0 }, '&maxRetries=0');
    const [a, b, c, d, e] = /** @type {[string, string, string, string, string]} */ (/** @type {unknown} */ (ids));
    await deliver({ taskId: a, run: 1 });
    assert.deepEqual(await states(a, b), ['pending', 'pending for group'], 'its backoff');
    await sent();
    await deliver({ taskId: a, run: 1 });
    assert.deepEqual(await states(a, b, c), ['completed', 'pending', 'pending for group']);
    assert.deepEqual((await sent()).map(({ taskId }) => taskId), [b]);
    assert.equal((await api.call('POST', `/task/${c}/cancel`)).status, 200);
    assert.deepEqual(await sent(), [], 'one that waited had no turn');
    assert.equal((await api.call('POST', `/task/${b}/cancel`)).status, 200);
    assert.deepEqual((await sent()).map(({ taskId }) => taskId), [d]);
    await deliver({ taskId: d, run: 1 });
    assert.deepEqual(await states(c, d, e), ['cancelled', 'failed', 'pending']);
    assert.deepEqual((await sent()).map(({ taskId }) => taskId), [e]);
    await deliver({ taskId: e, run: 1 });
    assert.deepEqual(await states(e), ['completed']);
  });

  test('a message for one that waits is let go, and starts nothing', async () => {
    const [first, second] = [await submit('one', { group: 'early' }), await submit('one', { group: 'early' })];
    assert.deepEqual(await deliver({ taskId: second, run: 1 }), ['ack']);
    assert.deepEqual(await states(first, second), ['pending', 'pending for group']);
    await workOff([first, second]);
  });

  test('after its delay, and as a run by hand, a task comes to the end of the line; a dead letter that is redriven, too', async () => {
    const delayed = await submit('one', { group: 'late' }, '&delaySeconds=1');
    const busy = await submit('one', { group: 'late', fail: 9 }, '&maxRetries=0');
    assert.deepEqual(await states(delayed, busy), ['pending', 'pending'], 'a delay takes no turn');
    await setTimeout(1_100);
    assert.deepEqual(await deliver({ taskId: delayed, run: 1 }), ['ack']);
    assert.deepEqual(await states(delayed, busy), ['pending for group', 'pending']);
    await sent();
    await deliver({ taskId: busy, run: 1 });
    assert.deepEqual((await sent()).map(({ taskId, run }) => [taskId, run]), [[delayed, 1]]);
    assert.equal((await api.call('POST', `/task/${busy}/retry`)).status, 200);
    assert.deepEqual(await deliver({ taskId: busy, run: 2 }), ['ack']);
    assert.deepEqual(await states(delayed, busy), ['pending', 'pending for group']);
    await deliver({ taskId: delayed, run: 1 });
    await sent();
    await deliver({ taskId: busy, run: 2 });
    assert.deepEqual(await states(delayed, busy), ['completed', 'failed']);
    const other = await submit('one', { group: 'late' });
    await api.worker.deliver({ body: { taskId: busy, run: 2, redrive: true } });
    await api.worker.deliver({ body: { taskId: busy, run: 2 } });
    assert.deepEqual(await states(other), ['pending']);
    await workOff([other]);
  });

  test('a task whose steps wait gives its turn to the next one, and comes back to the line', async () => {
    const [first, second] = [await submit('stepped', {}), await submit('stepped', {})];
    await deliver({ taskId: first, run: 1 });
    assert.deepEqual(await states(first, second), ['pending', 'pending']);
    await setTimeout(1_100);
    await deliver({ taskId: first, run: 1 });
    assert.deepEqual(await states(first, second), ['pending for group', 'pending']);
    await deliver({ taskId: second, run: 1 });
    assert.deepEqual(await states(first, second), ['pending', 'pending']);
    await setTimeout(1_100);
    await deliver({ taskId: second, run: 1 }); // it waits behind the first
    assert.deepEqual(await states(second), ['pending for group']);
    await deliver({ taskId: first, run: 1 });
    for (const taskId of [first, second]) {
      assert.equal((await api.call('POST', `/task/${taskId}/events/go`, { body: '"gone"' })).status, 200);
      await deliver({ taskId, run: 1 });
      await deliver({ taskId, run: 1 });
    }
    await setTimeout(50);
    const [one, two] = await workOff([first, second]);
    assert.deepEqual([one.result, two.result], ['gone', 'gone']);
  });

  test('no more than so many start in any period of that length', async () => {
    const { body: { tasks } } = await api.call('POST', '/tasks', { body: { tasks: Array.from({ length: 9 }, () => ({ handler: 'rated', payload: { group: 'r', ms: 1 } })) } });
    const taskIds = tasks.map((/** @type {any} */ { taskId }) => taskId);
    const first = await sent();
    assert.deepEqual(first.map(({ delay_seconds }) => delay_seconds), [0, 0, 0]);
    await setTimeout(700);
    await deliver(/** @type {any} */ (first[0])); // two come late: the period counts from when they start
    await setTimeout(700);
    await deliver(/** @type {any} */ (first[1]), /** @type {any} */ (first[2]));
    const next = await sent();
    assert.deepEqual(next.map(({ delay_seconds }) => delay_seconds), [3, 3, 3], '2.05 s after each, in whole seconds');
    await deliver(...next); // early
    for (const run of next) void setTimeout(run.delay_seconds * 1000 + 50).then(() => deliver(run));
    const ended = await workOff(taskIds);
    const starts = ended.map(({ result }) => result.start).sort((one, other) => one - other);
    for (let index = 3; index < starts.length; index++) assert.ok(starts[index] - starts[index - 3] >= 2_000, JSON.stringify(starts.map((start) => start - starts[0])));
  });

  test('both limits hold together, and a start that was cancelled is free for the next one', async () => {
    const taskIds = [];
    for (let count = 0; count < 8; count++) taskIds.push(await submit('both', { group: 'x', ms: 300 }));
    assert.equal((await states(...taskIds)).filter((state) => state === 'pending').length, 2);
    await api.call('POST', `/task/${taskIds[0]}/cancel`);
    const ended = await workOff(taskIds);
    const starts = ended.slice(1).map(({ result }) => result.start).sort((one, other) => one - other);
    for (let index = 3; index < starts.length; index++) assert.ok(starts[index] - starts[index - 3] >= 1_000);
    assert.ok(ended.slice(1).every(({ result }) => result.most <= 2));
  });

  test('a limit that a deployment has raised holds from the next sweep on, and one that it has lowered at once', async () => {
    const limit = (/** @type {object} */ limits) => api.call('GET', `/limits?handler=tuned&limits=${encodeURIComponent(JSON.stringify(limits))}`);
    const taskIds = [];
    for (let count = 0; count < 7; count++) taskIds.push(await submit('tuned', { group: 'deploy' }));
    await limit({ concurrency: 3 });
    await api.worker.sweep();
    assert.equal((await states(...taskIds)).filter((state) => state === 'pending').length, 3);
    await limit({ concurrency: 1 });
    await api.worker.sweep();
    for (const taskId of taskIds.slice(0, 2)) await deliver({ taskId, run: 1 });
    assert.deepEqual(await states(...taskIds.slice(2, 4)), ['pending', 'pending for group'], 'fewer than one is not free yet');
    await deliver({ taskId: String(taskIds[2]), run: 1 });
    assert.deepEqual(await states(...taskIds.slice(3, 5)), ['pending', 'pending for group']);
    await sent();
    for (const taskId of taskIds.slice(3)) await deliver({ taskId, run: 1 });
    assert.deepEqual(new Set(await states(...taskIds)), new Set(['completed']));
  });

  test('an idempotency key counts within its group, and a debounced task keeps its place', async () => {
    const post = (/** @type {string} */ group, /** @type {number} */ ms, query = '') => api.call('POST', `/task?handler=one${query}`, { body: JSON.stringify({ group, ms }), headers: { 'Idempotency-Key': 'k' } });
    const busy = await submit('one', { group: 'k1' });
    const { body: { taskId } } = await post('k1', 1);
    assert.equal((await post('k1', 1)).body.taskId, taskId);
    assertRefused(await post('k1', 2), 409, 'idempotency_conflict', { taskId });
    const { body: other } = await post('k2', 1);
    assert.notEqual(other.taskId, taskId);
    assert.deepEqual((await post('k1', 3, '&replace=pending')).body, { taskId, status: 'pending', replaced: true });
    assert.deepEqual(await states(taskId), ['pending for group']);
    await workOff([busy, taskId, other.taskId]);
  });

  test('a schedule makes its tasks in the shard of their group', async () => {
    assert.equal((await api.call('PUT', '/schedules/grouped', { body: { everySeconds: 60, handler: 'one', payload: { group: 'ticks' } } })).body.group, 'ticks');
    // A group whose tasks are elsewhere than the schedule: the first object or database makes them there.
    const endings = await Promise.all(Array.from({ length: 20 }, async (_, number) => ({ key: `ticks-${number}`, ending: await endingOf(`one/ticks-${number}`) })));
    const { key, ending } = endings.find((each) => [2, 3, 4].every((count) => shardOf(each.ending, count) !== 0)) ?? assert.fail('no such group');
    const busy = await submit('one', { group: key });
    await api.call('PUT', '/schedules/grouped', { body: { everySeconds: 60, handler: 'one', payload: { group: key } } });
    const tick_ms = Math.floor(Date.now() / 60_000) * 60_000;
    assert.equal((await api.call('GET', `/due?schedule=grouped&ms=${tick_ms}`)).body, true);
    await sent();
    await api.worker.sweep();
    await api.worker.sweep();
    const taskId = await tickTaskId('grouped', tick_ms, `one/${key}`);
    assert.equal(taskId.slice(-2), ending);
    const { lastRuns } = (await api.call('GET', '/schedules/grouped')).body;
    assert.deepEqual([lastRuns.map((/** @type {any} */ run) => run.taskId), await states(taskId)], [[taskId], ['pending for group']], 'it has its limits there');
    await deliver({ taskId: busy, run: 1 });
    assert.deepEqual((await sent()).map((run) => run.taskId).filter((id) => id === taskId), [taskId], 'the end of the other one gives it its turn');
    await deliver({ taskId, run: 1 });
    assert.deepEqual(await states(taskId), ['completed']);
    assert.equal((await api.call('DELETE', '/schedules/grouped')).status, 200);
  });

  test('what is no group is refused with a sentence', async () => {
    for (const [query, fault] of /** @type {const} */ ([
      ['?group=', /expected group to be 1 to 128 visible ASCII characters, got ""/], [`?group=${'x'.repeat(129)}`, /1 to 128/], ['?group=a%20b', /visible/],
    ])) {
      const reply = await api.call('POST', `/task${query}`, { body: '{}' });
      assertRefused(reply, 400, 'invalid_parameter', { parameter: 'group' });
      assert.match(reply.body.error, fault);
    }
    for (const [handler, payload, fault] of /** @type {const} */ ([
      ['thrower', '{}', /expected group of handler thrower to give a key; it threw Error: the log says more/],
      ['odd', '7', /expected group of handler odd to give 1 to 128 visible ASCII characters, or null, got number/], ['odd', '"two words"', /got "two words"/],
    ])) {
      const reply = await api.call('POST', `/task?handler=${handler}`, { body: payload });
      assertRefused(reply, 500, 'handler_check_failed');
      assert.match(reply.body.error, fault);
    }
    assert.equal((await api.task(await api.submit('?handler=odd', { body: 'null' }))).group, null);
  });
});

for (const store of someOf(/** @type {const} */ (['d1', 'sharded-d1', 'durable-object']))) describe(`groups by workflows with state in ${store}`, { timeout: 120_000 }, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, engine: 'workflow', handlers: HANDLERS, face: 'runner' }); });
  after(() => api.stop());

  /** @param {string[]} taskIds */
  async function ended(taskIds) {
    for await (const _ of looks(60_000)) {
      const tasks = await Promise.all(taskIds.map((taskId) => api.task(taskId)));
      if (tasks.every(({ finishedAt }) => finishedAt)) return tasks;
    }
    return assert.fail(JSON.stringify(await Promise.all(taskIds.map((taskId) => api.task(taskId)))));
  }

  /** @param {string} handler @param {object} payload @param {string} [query] */
  const submit = (handler, payload, query = '') => api.submit(`?handler=${handler}${query}`, { body: JSON.stringify(payload) });

  test('no more than so many run at once, also of those that were tried again, delayed or run by hand', async () => {
    const taskIds = [];
    for (let count = 0; count < 6; count++) taskIds.push(await submit('two', { group: 'w', ms: 150, fail: count % 3 === 0 ? 1 : 0 }));
    taskIds.push(await submit('two', { group: 'w', ms: 150 }, '&delaySeconds=1'));
    const last = await submit('two', { group: 'w', ms: 10 }, '&delaySeconds=60');
    assert.equal((await api.call('POST', `/task/${last}/cancel`)).status, 200);
    assert.equal((await api.call('POST', `/task/${last}/retry`)).status, 200);
    const tasks = await ended([...taskIds, last]);
    assert.ok(tasks.every(({ status, result }) => status === 'completed' && result.most <= 2), JSON.stringify(tasks));
    assert.equal(tasks.at(-1).run, 2);
  });

  test('a task whose steps wait gives its turn to the next one, and has its turn again', async () => {
    const [first, second] = [await submit('stepped', {}), await submit('stepped', {})];
    const both = [String(first), String(second)];
    for (const taskId of both) assert.equal((await api.call('POST', `/task/${taskId}/events/go`, { body: '"gone"' })).status, 200);
    assert.deepEqual((await ended(both)).map(({ result }) => result), ['gone', 'gone']);
  });

  test('no more than so many start in any period of that length', async () => {
    const taskIds = [];
    for (let count = 0; count < 7; count++) taskIds.push(await submit('rated', { group: 'r', ms: 1 }));
    const starts = (await ended(taskIds)).map(({ result }) => result.start).sort((one, other) => one - other);
    for (let index = 3; index < starts.length; index++) assert.ok(starts[index] - starts[index - 3] >= 2_000, JSON.stringify(starts.map((start) => start - starts[0])));
  });
});

for (const store of someOf(/** @type {const} */ (['d1', 'sharded-d1']))) test(`what was cut off is done by the sweep with ${store}`, { timeout: 60_000 }, async () => {
  const api = await startApi({ store, handlers: HANDLERS, face: FACE, settings: { GROUP_CONCURRENCY: '1' } });
  try {
    const sent = async (query = '') => /** @type {any[]} */ ((await api.call('GET', `/seen${query}`)).body.sent).map(({ taskId }) => taskId);
    const database = async (/** @type {string} */ sql) => {
      for (const name of ['DB', ...(store === 'd1' ? [] : ['DB_1', 'DB_2'])]) await (await api.worker.miniflare.getD1Database(name, 'task-runner')).prepare(sql).run();
    };
    const submit = (/** @type {string} */ handler) => api.submit(`?handler=${handler}&group=cut`, { body: '{}' });
    const [first, second, third] = [await submit('free'), await submit('free'), await submit('free')];
    await sent('?lose');
    await api.attempt(first);
    assert.deepEqual(await sent(), [], 'the message of the second is lost');
    assert.equal((await api.task(second)).waitingFor, null);
    await database("UPDATE tasks SET due_at = due_at - 1200000 WHERE status = 'pending' AND group_turn = 0");
    await api.worker.sweep();
    assert.ok((await sent()).includes(second));
    await api.attempt(second);
    // A turn that ended by a statement that gave it to nobody, as the code of before does, or an expiry.
    await sent();
    await database("UPDATE tasks SET status = 'cancelled', finished_at = 1 WHERE status = 'pending' AND group_turn = 0");
    const fourth = await submit('free');
    assert.deepEqual(await sent(), [fourth], 'a submission gives the turn, too');
    await database("DELETE FROM tasks WHERE status = 'pending' AND group_turn = 0");
    const ids = [await submit('free'), await submit('free')];
    await sent();
    await database("DELETE FROM tasks WHERE status = 'pending' AND group_turn = 0");
    assert.equal((await api.task(String(ids[1]))).waitingFor, 'group');
    await api.worker.sweep();
    assert.equal((await api.task(String(ids[1]))).waitingFor, null);
    assert.deepEqual(await sent(), [ids[1]]);
    assert.equal((await api.task(third)).status, 'cancelled');
    await database('DELETE FROM tasks');
    await database('UPDATE groups SET forget_at = 1');
    await api.worker.sweep();
    if (store === 'd1') assert.deepEqual(await api.worker.rows('SELECT * FROM groups'), []);
  } finally {
    await api.stop();
  }
});

test('a list shows the tasks of a key, whichever handler they are of', async () => {
  const api = await startApi({ handlers: HANDLERS, face: FACE, settings: { GROUP_CONCURRENCY: '1' } });
  try {
    const taskIds = [await api.submit('?handler=whole&group=k'), await api.submit('?handler=free&group=k')];
    await api.submit('?handler=free');
    const { body: { tasks } } = await api.call('GET', '/tasks?group=k');
    assert.deepEqual(tasks.map((/** @type {any} */ { taskId }) => taskId), taskIds.toReversed());
    assert.deepEqual((await api.call('GET', '/tasks?group=other')).body, { tasks: [], cursor: null });
    assertRefused(await api.call('GET', '/tasks?group='), 400, 'invalid_parameter', { parameter: 'group' });
  } finally {
    await api.stop();
  }
});

test('where the stack and the handler have no limits, a group is refused', async () => {
  const api = await startApi({ handlers: HANDLERS, face: FACE });
  try {
    const reply = await api.call('POST', '/task?handler=free&group=x', { body: '' });
    assertRefused(reply, 400, 'invalid_parameter', { parameter: 'group' });
    assert.match(reply.body.error, /expected a group where there are limits: give handler free some \(export const limits\), or the stack/);
  } finally {
    await api.stop();
  }
});

test('KV has no groups', async () => {
  const api = await startApi({ store: 'kv', handlers: HANDLERS, face: FACE, settings: { GROUP_CONCURRENCY: '1' } });
  try {
    const reply = await api.call('POST', '/task?handler=free&group=x', { body: '' });
    assertRefused(reply, 400, 'invalid_parameter', { parameter: 'group' });
    assert.match(reply.body.error, /state store kv/);
    assertRefused(await api.call('POST', '/task?handler=whole', { body: '' }), 500, 'handler_check_failed');
    assert.equal((await api.call('POST', '/task?handler=free', { body: '' })).status, 200);
    await api.worker.sweep();
  } finally {
    await api.stop();
  }
});

test('limits that are none are told while the Worker starts', () => {
  const handle = () => 1;
  for (const [limits, fault] of /** @type {[any, RegExp][]} */ ([
    [null, /expected limits to be/], [[], /expected limits to be/], [{}, /got neither/], [{ concurrency: 0 }, /limits.concurrency to be a whole number from 1 to 1000, got 0/],
    [{ concurrency: 1.5 }, /got 1.5/], [{ concurrency: 1001 }, /got 1001/], [{ concurrency: '2' }, /got 2/], [{ rate: {} }, /rate.limit .* got undefined/],
    [{ rate: null }, /rate.limit/], [{ rate: { limit: 1 } }, /rate.seconds .* got undefined/], [{ rate: { limit: 1, seconds: 86_401 } }, /got 86401/], [{ concurency: 1 }, /got concurency too/],
  ])) assert.throws(() => requireHandlers({ bad: { default: handle, limits } }), (/** @type {Error} */ error) => /^handler bad: /.test(error.message) && fault.test(error.message), JSON.stringify(limits));
  assert.throws(() => requireHandlers({ bad: { default: handle, group: /** @type {any} */ ('key') } }), /expected group to be a function, got string/);
  requireHandlers({ good: { default: handle, group: () => 'key', limits: { concurrency: 1, rate: { limit: 1000, seconds: 86_400 } } } });
});

test('a task without a group costs no further statement', async () => {
  /** @type {number[]} */
  const counts = [];
  const table = new TaskTable(async (statements) => { counts.push(statements.length); return statements.map(() => []); }, { MAX_RETRIES: '2' });
  const outcome = /** @type {const} */ ({
    taskId: 'task', run: 1, attempts: 1, crashes: 0, claim: 'claim', progress: null, ended_ms: 1, status: 'completed', result: '1',
  });
  await table.settle([outcome]);
  await table.settle([{ ...outcome, group: '/key' }]);
  assert.deepEqual(counts, [1, 2]);
});
