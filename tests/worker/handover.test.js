import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { MAX_WAITING_RUNS } from '../../worker/api/intake.js';
import { ANSWER_LAST, assertRefused, startApi } from './api_under_test.js';

/** The task runner with an engine that takes runs, refuses them, or fails, as it is told; `/engine` tells what it has taken. */
const FACE = `(() => {
  let mode = 'take';
  let asked = 0;
  const taken = [];
  class TestEngine extends QueueEngine {
    async submit(runs) {
      asked++;
      if (mode === 'refuse') throw new HandoverRefused('too many instances', { retry_after_seconds: 4.5 });
      if (mode === 'fail') throw new TypeError('a fault of ours');
      taken.push(...runs);
    }
  }
  const runner = taskRunner({ Store, Engine: TestEngine, Consumer: QueueEngine, handlers, sweep });
  return {
    ...runner,
    fetch(request, env, ctx) {
      const url = new URL(request.url);
      if (url.pathname !== '/engine') return (${ANSWER_LAST})(runner, request, env, ctx);
      mode = url.searchParams.get('mode') ?? mode;
      return Response.json({ asked, taken });
    },
  };
})()`;

describe('handing over', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ face: FACE }); });
  after(() => api.stop());

  /**
   * @param {string} [mode] what the engine does from now on
   * @returns {Promise<{asked: number, taken: import('../../worker/engines/engine.js').Submission[]}>}
   */
  async function engine(mode) {
    return (await api.call('GET', `/engine${mode ? `?mode=${mode}` : ''}`)).body;
  }

  /** @param {string} taskId */
  async function runsOf(taskId) {
    return (await engine()).taken.filter((run) => run.taskId === taskId);
  }

  test('a task that the engine does not take is accepted, and handed over with the next one, no later than it is due', async () => {
    for (const mode of ['refuse', 'fail']) {
      await engine(mode);
      const waiting = await api.submit('?delay=60');
      assert.equal((await api.task(waiting)).status, 'pending');
      await engine('take');
      await setTimeout(1_100);
      const next = await api.submit();
      assert.equal((await runsOf(next)).length, 1);
      const [{ delay_seconds, ...run } = assert.fail('it was not handed over'), ...others] = await runsOf(waiting);
      assert.deepEqual([run, others], [{ taskId: waiting, run: 1, max_retries: null }, []]);
      assert.ok(delay_seconds >= 50 && delay_seconds < 60, String(delay_seconds));
      await api.submit();
      assert.equal((await runsOf(waiting)).length, 1);
    }
  });

  test('past a bound new tasks are refused and nothing is stored, until the engine takes what waits', async () => {
    await engine('refuse');
    const tasks = Array.from({ length: 100 }, () => ({}));
    for (let accepted = 0; accepted < MAX_WAITING_RUNS; accepted += tasks.length) {
      assert.equal((await api.call('POST', '/tasks', { body: { tasks } })).status, 200);
    }
    const stored = await api.worker.rows('SELECT count(*) AS tasks FROM tasks');
    const [{ taskId: failed } = assert.fail('nothing is stored')] = await api.worker.rows('SELECT taskId FROM tasks ORDER BY taskId LIMIT 1');
    await api.worker.rows("UPDATE tasks SET status = 'failed' WHERE taskId = ?", failed);
    const { asked } = await engine();
    for (const [path, body] of /** @type {const} */ ([['/task', 'work'], ['/tasks', { tasks: [{}] }], [`/task/${failed}/retry`, '']])) {
      const reply = await api.call('POST', path, { body });
      assertRefused(reply, 503, 'backlog_full');
      assert.equal(reply.headers.get('Retry-After'), '5');
      assert.match(reply.body.error, /1000 wait to be handed over/);
    }
    assert.equal((await api.call('GET', `/task/${failed}`)).body.status, 'failed');
    assert.deepEqual(await api.worker.rows('SELECT count(*) AS tasks FROM tasks'), stored);
    assert.ok((await engine()).asked - asked <= 1, 'one request a second asks the engine');

    const before = (await engine('take')).taken.length;
    await setTimeout(1_100);
    assert.equal((await api.call('POST', '/task', { body: 'work' })).status, 200);
    for (let round = 0; round < 20; round++) await api.submit();
    const { taken } = await engine();
    const waited = new Set(taken.slice(before).map(({ taskId }) => taskId));
    const all = await api.worker.rows("SELECT taskId FROM tasks WHERE status = 'pending'");
    const known = new Set(taken.map(({ taskId }) => taskId));
    assert.ok(waited.size >= MAX_WAITING_RUNS);
    assert.deepEqual(all.filter(({ taskId }) => !known.has(taskId)), [], 'every task that was accepted is handed over');
  });
});

describe('an answer', () => {
  /** A queue that takes as long as it is told. */
  const SLOW = `(() => {
    let hold = 0;
    const sent = [];
    const slow = (env) => ({
      ...env,
      TASK_QUEUE: SLOW_QUEUE ??= {
        send: async (body) => { await scheduler.wait(hold); sent.push([body.taskId]); },
        sendBatch: async (messages) => { await scheduler.wait(hold); sent.push(messages.map(({ body }) => body.taskId)); },
      },
    });
    let SLOW_QUEUE;
    const runner = taskRunner({ Store, Engine: QueueEngine, Consumer: QueueEngine, handlers, sweep });
    return {
      ...runner,
      fetch(request, env, ctx) {
        const url = new URL(request.url);
        if (url.pathname !== '/queue') return runner.fetch(request, slow(env), ctx);
        hold = Number(url.searchParams.get('hold') ?? hold);
        return Response.json(sent);
      },
    };
  })()`;

  test('waits for the row alone: the messages follow, those of several requests together', async () => {
    const api = await startApi({ face: SLOW });
    try {
      await api.call('GET', '/queue?hold=1000');
      const start_ms = Date.now();
      const taskIds = [await api.submit(), ...await Promise.all(Array.from({ length: 5 }, () => api.submit()))];
      assert.ok(Date.now() - start_ms < 900, `${Date.now() - start_ms}`);
      for (const taskId of taskIds) assert.equal((await api.task(taskId)).status, 'pending');
      assert.deepEqual((await api.call('GET', '/queue')).body, []);
      await setTimeout(2_600);
      const sent = /** @type {string[][]} */ ((await api.call('GET', '/queue')).body);
      assert.deepEqual(sent.map(({ length }) => length), [1, 5]);
      assert.deepEqual(sent.flat().sort(), [...taskIds].sort());
    } finally {
      await api.stop();
    }
  });
});
