import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { Invocation } from '../../worker/joint.js';
import { D1Store } from '../../worker/stores/d1.js';
import { deliveryOf, newTask } from './store_under_test.js';
import { startWorker } from './worker_under_test.js';

/** @import { WorkerUnderTest } from './worker_under_test.js' */

/**
 * Asks for an item, of so many bytes, through a joint that is the isolate's; that takes `hold` ms in which the request does I/O.
 * `bad` items fail a whole batch, as a statement would; `away` ones as a platform does that is down. `/batches` tells what was asked
 * together since the last such look.
 */
const FACE = `(() => {
  let batches = [];
  class Away extends Error {}
  const joint = new Joint(
    { items: 5, bytes: 1_000, answer_bytes: 1_000 }, ({ bytes }) => ({ bytes, answer_bytes: bytes }), (error) => error instanceof Away, true,
  );
  return {
    async fetch(request, env, ctx) {
      const url = new URL(request.url);
      const { hold, items, keep, carried } = Object.fromEntries(url.searchParams);
      if (url.pathname === '/batches') return Response.json(batches.splice(0));
      const invocation = new Invocation(keep ? (work) => ctx.waitUntil(work) : undefined);
      if (carried) invocation.carried_left = Number(carried);
      const send = async (all) => {
        batches.push(all.map(({ name }) => name).join(' '));
        const key = crypto.randomUUID();
        await env.KV.put(key, JSON.stringify(all.map(({ name }) => name)));
        await scheduler.wait(Number(hold ?? 0));
        const found = await env.KV.get(key, 'json');
        if (found.includes('bad')) throw new TypeError('a bad item');
        if (found.includes('away')) throw new Away('away');
        return found.map((name) => name + '!');
      };
      const wanted = items.split(' ').map((name) => ({ name, bytes: Number(/\\d+$/.exec(name)?.[0] ?? 1) }));
      try {
        return Response.json(await joint.ask(wanted, send, invocation));
      } catch (error) {
        return Response.json(String(error), { status: 500 });
      }
    },
  };
})()`;

describe('requests of an isolate', { timeout: 60_000 }, () => {
  /** @type {WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker({ store: 'kv', face: FACE }); });
  after(() => worker.stop());
  beforeEach(() => batches());

  /**
   * @param {string} items
   * @param {Record<string, number | string>} [settings]
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async function ask(items, settings = {}, signal) {
    const query = new URLSearchParams({ items, ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])) });
    const reply = await worker.fetch(`/?${query}`, /** @type {any} */ (signal ? { signal } : {}));
    return reply.json();
  }

  /** @returns {Promise<any>} */
  async function batches() {
    return (await worker.fetch('/batches')).json();
  }

  /** Asks while another request, which asks for `first`, is under way.
   *
   * @param {() => Promise<any>[]} others
   * @param {Record<string, number | string>} [settings]
   */
  async function behind(others, settings) {
    const first = ask('first', { hold: 300, ...settings });
    await setTimeout(100);
    return Promise.all([first, ...others()]);
  }

  test('a lone one is asked at once, and those that come meanwhile go together, each with its own answers', async () => {
    const answers = await behind(() => [ask('a b'), ask('c'), ask('d e')]);
    assert.deepEqual(answers, [['first!'], ['a!', 'b!'], ['c!'], ['d!', 'e!']]);
    const [first, ...rest] = await batches();
    assert.equal(first, 'first');
    assert.equal(rest.length, 1);
    assert.deepEqual(rest[0].split(' ').sort(), ['a', 'b', 'c', 'd', 'e']);
    assert.match(rest[0], /a b/);
    assert.match(rest[0], /d e/);
    assert.deepEqual(await ask('later'), ['later!']);
  });

  test('many at the same time all get their answers, in few batches within the bound', async () => {
    const names = Array.from({ length: 64 }, (_, index) => `n${index}x`);
    assert.deepEqual(await Promise.all(names.map((name) => ask(name))), names.map((name) => [`${name}!`]));
    const asked = await batches();
    assert.ok(asked.every((/** @type {string} */ batch) => batch.split(' ').length <= 5));
    assert.deepEqual(asked.flatMap((/** @type {string} */ batch) => batch.split(' ')).sort(), [...names].sort());
    assert.ok(asked.length <= 32, `${asked.length} batches`);
  });

  test('what is too much for one batch goes in the next, and one caller\'s items are never parted', async () => {
    await behind(() => [ask('a600'), ask('b600')]);
    assert.equal((await batches()).length, 3);
    const all = 'a b c d e f g';
    const answers = await behind(() => [ask(all)]);
    assert.equal(answers[1].length, 7);
    assert.deepEqual(await batches(), ['first', all]);
    await behind(() => [ask('a', { carried: 2 }), ask('b', { carried: 2 }), ask('c', { carried: 2 })]);
    assert.deepEqual((await batches()).map((/** @type {string} */ batch) => batch.split(' ').length), [1, 2, 1], 'an invocation asks for few others');
  });

  test('a batch that fails is repeated one by one; a passing error is everybody\'s own', async () => {
    const [, one, bad, other] = await behind(() => [ask('a'), ask('bad'), ask('b')]);
    assert.deepEqual([one, bad, other], [['a!'], 'TypeError: a bad item', ['b!']]);
    const [, ...told] = await behind(() => [ask('a'), ask('away'), ask('b')]);
    assert.deepEqual(told, ['Error: away', 'Error: away', 'Error: away']);
    assert.deepEqual((await ask('after')), ['after!']);
  });

  test('a request whose client hangs up is carried on where it may be, and holds up nobody for long where not', async () => {
    for (const keep of [1, '']) {
      for (const hangsUp of ['leader', 'next', 'carried']) {
        const start_ms = Date.now();
        const controller = new AbortController();
        const signal = (/** @type {string} */ name) => (name === hangsUp ? controller.signal : undefined);
        const gone = (/** @type {string} */ name, /** @type {number} */ hold) => ask(name, { keep, hold }, signal(name)).catch((error) => `${error.name}`);
        const leader = gone('leader', 1_500);
        await setTimeout(100);
        const next = gone('next', 500);
        await setTimeout(50);
        const carried = gone('carried', 0);
        await setTimeout(50);
        controller.abort();
        const told = { leader: await leader, next: await next, carried: await carried };
        const expected = { leader: ['leader!'], next: ['next!'], carried: ['carried!'] };
        assert.deepEqual(told, { ...expected, [hangsUp]: 'AbortError' }, `${keep} ${hangsUp}`);
        assert.ok(Date.now() - start_ms < 6_000);
        if (keep) assert.deepEqual((await batches()).map((/** @type {string} */ batch) => batch.split(' ').length), [1, 2], hangsUp);
        assert.deepEqual(await ask('after'), ['after!']);
        await batches();
      }
    }
  });
});

describe('a store', () => {
  /** @type {WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker(); });
  after(() => worker.stop());

  /** A database whose round trips are counted, each of which takes a moment. */
  async function counted() {
    const real = await worker.database;
    /** @type {number[]} */
    const trips = [];
    const trip = async (/** @type {number} */ statements, /** @type {() => Promise<any>} */ run) => {
      trips.push(statements);
      await setTimeout(20);
      return run();
    };
    const database = {
      prepare: (/** @type {string} */ sql) => ({
        bind: (/** @type {unknown[]} */ ...values) => {
          const real_statement = real.prepare(sql).bind(...values);
          return { real_statement, all: () => trip(1, () => real_statement.all()) };
        },
      }),
      batch: (/** @type {{real_statement: D1PreparedStatement}[]} */ statements) => (
        trip(statements.length, () => real.batch(/** @type {any} */ (statements.map(({ real_statement }) => real_statement))))
      ),
    };
    return { trips, storeOf: () => new D1Store({ DB: /** @type {any} */ (database), MAX_RETRIES: '5' }, 2, new Invocation()) };
  }

  test('joins all that concurrent requests do with tasks', async () => {
    const { trips, storeOf } = await counted();
    const tasks = Array.from({ length: 20 }, () => newTask());
    await Promise.all(tasks.map((task) => storeOf().insert([task])));
    assert.deepEqual(trips.splice(0), [1, 19]);
    const claims = await Promise.all(tasks.map(async ({ taskId }) => (await storeOf().claim([deliveryOf(taskId)])).get(taskId)));
    assert.deepEqual(trips.splice(0), [1, 3, 3, 3, 3, 3, 3, 1], 'claims have room for their payloads');
    const attempts = claims.map((answer) => (answer?.kind === 'claimed' ? answer.task : assert.fail('not claimed')));
    const reports = attempts.map(({ taskId, run, attempts: count, crashes, claim }) => ({ taskId, run, attempts: count, crashes, claim, progress: null }));
    await Promise.all(reports.map((report) => storeOf().report([report])));
    assert.deepEqual(trips.splice(0), [1, 19]);
    await Promise.all(reports.map((report) => storeOf().settle([{ ...report, status: 'completed', result: '1', ended_ms: 1 }])));
    const found = await Promise.all(tasks.map(({ taskId }) => storeOf().find(taskId)));
    assert.deepEqual(new Set(found.map((task) => task?.status)), new Set(['completed']));
    await Promise.all(tasks.map(() => storeOf().list({ status: null, handler: null, limit: 5, cursor: null })));
    assert.deepEqual(trips.splice(0), [1, 19, 1, 19, 2, 32, 6]);
  });

  test('a statement at fault fails alone', async () => {
    const { storeOf } = await counted();
    const good = newTask();
    const other = newTask();
    const results = await Promise.allSettled([
      storeOf().insert([good]), storeOf().insert([newTask({ payload: /** @type {any} */ (Symbol('no value')) })]), storeOf().insert([other]),
    ]);
    assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
    assert.deepEqual((await worker.rows('SELECT taskId FROM tasks WHERE taskId IN (?, ?)', good.taskId, other.taskId)).length, 2);
  });
});

