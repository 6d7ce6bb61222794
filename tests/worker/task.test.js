import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

const UNKNOWN_ID = '01a2051c-0000-7000-8000-000000000000';

for (const store of STORES) describe(`/task/:id with state in ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store }); });
  after(() => api.stop());

  /** @returns {Promise<string>} the id of a task that has failed */
  async function failed() {
    const taskId = await api.submit('?handler=echo&max_retries=0', { body: 'fail' });
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).status, 'failed');
    return taskId;
  }

  test('a completed task tells its story', async () => {
    const taskId = await api.submit('?handler=echo', { body: 'work' });
    await api.attempt(taskId);
    const { createdAt, startedAt, finishedAt, expiresAt, ...task } = await api.task(taskId);
    assert.deepEqual(task, {
      taskId, status: 'completed', handler: 'echo', run: 1, attempts: 1, crashes: 0, maxRetries: 2, progress: null,
      result: { payload: 'work', parameters: {} }, error: null, callback: null, parent: null, after: null, nextAttemptAt: null, group: null, priority: 'normal', waitingFor: null, tags: {},
    });
    assert.ok(createdAt <= startedAt && startedAt <= finishedAt && finishedAt < expiresAt, JSON.stringify([createdAt, startedAt, finishedAt, expiresAt]));
    for (const time of [createdAt, startedAt, finishedAt, expiresAt]) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('HEAD is GET without a body, and does not stream', async () => {
    const taskId = await api.submit();
    for (const Accept of ['*/*', 'text/event-stream']) {
      const { status, body, headers } = await api.call('HEAD', `/task/${taskId}`, { headers: { Accept } });
      assert.deepEqual([status, body, headers.get('Content-Type')], [200, '', 'application/json']);
    }
    assert.equal((await api.call('HEAD', `/task/${UNKNOWN_ID}`)).status, 404);
  });

  test('what is not there is not found, with whatever is asked of it', async () => {
    const ids = [UNKNOWN_ID, 'unknown', '%E0%A4%A', '%00', 'x'.repeat(5_000), UNKNOWN_ID.toUpperCase(), encodeURIComponent('../task')];
    for (const id of ids) {
      for (const [method, path] of /** @type {const} */ ([
        ['GET', ''], ['GET', '?wait=60'], ['DELETE', ''], ['POST', '/cancel'], ['POST', '/retry'],
      ])) {
        const reply = await api.call(method, `/task/${id}${path}`);
        assertRefused(reply, 404, 'task_not_found');
        assert.match(reply.body.error, id === UNKNOWN_ID ? /^there is no task .*: it was never submitted, or its time to live is over$/ : /^expected the id of a task, .*, got "/);
      }
    }
    assertRefused(await api.call('GET', `/task/${UNKNOWN_ID}`, { headers: { Accept: 'text/event-stream' } }), 404, 'task_not_found');
  });

  test('wait answers when the task has ended', async () => {
    const taskId = await api.submit();
    const started_ms = Date.now();
    const waiting = api.call('GET', `/task/${taskId}?wait=30`);
    await sleep(300);
    await api.attempt(taskId);
    assert.equal((await waiting).body.status, 'completed');
    assert.ok(Date.now() - started_ms < 10_000);
    assert.equal((await api.call('GET', `/task/${taskId}?wait=60`)).body.status, 'completed');
  });

  test('wait answers when the time is up', async () => {
    const taskId = await api.submit();
    const started_ms = Date.now();
    const { status, body } = await api.call('GET', `/task/${taskId}?wait=1`);
    assert.deepEqual([status, body.status], [200, 'pending']);
    const waited_ms = Date.now() - started_ms;
    assert.ok(waited_ms >= 950 && waited_ms < 5_000, String(waited_ms));
  });

  test('a stream tells of each change, and ends with the task', async () => {
    const taskId = await api.submit('?handler=echo');
    const reply = await api.worker.fetch(`/task/${taskId}`, { headers: { Accept: 'text/event-stream' } });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('Content-Type'), 'text/event-stream');
    assert.equal(reply.headers.get('Cache-Control'), 'no-store');
    setTimeout(() => api.attempt(taskId), 400);
    const text = await reply.text();
    const [first, ...blocks] = text.split('\n\n').filter((block) => block !== '' && block !== ':');
    assert.equal(first, 'retry: 1000');
    const tasks = blocks.map((block) => {
      const [, id, json] = /^id: (\S+)\nevent: task\ndata: (.*)$/.exec(block) ?? [];
      const task = JSON.parse(json ?? '');
      assert.equal(id, `1-${task.status}`);
      return task;
    });
    assert.deepEqual([tasks[0].status, tasks.at(-1).status], ['pending', 'completed']);
    assert.deepEqual(tasks.at(-1), await api.task(taskId));
    const again = await api.call('GET', `/task/${taskId}`, { headers: { Accept: 'text/event-stream', 'Last-Event-ID': '1-completed' } });
    assert.deepEqual([again.status, again.body], [204, '']);
  });

  test('a task can be asked for with other types too', async () => {
    const taskId = await api.submit();
    for (const Accept of ['application/json', '*/*', 'text/html,application/xhtml+xml']) {
      assert.equal((await api.call('GET', `/task/${taskId}`, { headers: { Accept } })).headers.get('Content-Type'), 'application/json');
    }
  });

  test('POST cancels as DELETE does', async () => {
    const taskId = await api.submit('?delaySeconds=600');
    for (const method of ['POST', 'DELETE', 'POST']) {
      const { status, body } = await api.call(method, `/task/${taskId}${method === 'POST' ? '/cancel' : ''}`);
      assert.deepEqual([status, body.status], [200, 'cancelled']);
    }
  });

  test('DELETE cancels a pending task, and says so again', async () => {
    const taskId = await api.submit('?delay=600');
    for (let times = 0; times < 2; times++) {
      const { status, body } = await api.call('DELETE', `/task/${taskId}`);
      assert.equal(status, 200);
      assert.deepEqual(body, await api.task(taskId));
      assert.equal(body.status, 'cancelled');
      assert.ok(body.finishedAt >= body.createdAt);
    }
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).status, 'cancelled');
  });

  test('what has completed or failed cannot be cancelled', async () => {
    const completed = await api.submit();
    await api.attempt(completed);
    for (const [taskId, status] of [[completed, 'completed'], [await failed(), 'failed']]) {
      const reply = await api.call('DELETE', `/task/${taskId}`);
      assertRefused(reply, 409, 'wrong_status', { status });
      assert.equal(reply.body.error, `expected a pending or processing task, got a ${status} one`);
    }
  });

  test('a failed or cancelled task runs again', async () => {
    const cancelled = await api.submit('?handler=echo&max_retries=3', { body: 'work' });
    await api.call('DELETE', `/task/${cancelled}`);
    for (const [taskId, max_retries] of /** @type {[string, number][]} */ ([[await failed(), 0], [cancelled, 3]])) {
      const { status, body } = await api.call('POST', `/task/${taskId}/retry`);
      assert.deepEqual({ status, body }, { status: 200, body: { taskId, status: 'pending' } });
      assert.deepEqual((await api.seen()).sent.at(-1), { taskId, run: 2, delay_seconds: 0, max_retries });
      const task = await api.task(taskId);
      assert.deepEqual([task.run, task.attempts, task.error, task.startedAt, task.finishedAt], [2, 0, null, null, null]);
      await api.attempt(taskId, 2);
    }
    assert.equal((await api.task(cancelled)).status, 'completed');
  });

  test('no other task runs again', async () => {
    const taskId = await api.submit();
    assertRefused(await api.call('POST', `/task/${taskId}/retry`), 409, 'wrong_status', { status: 'pending' });
    await api.attempt(taskId);
    assertRefused(await api.call('POST', `/task/${taskId}/retry`), 409, 'wrong_status', { status: 'completed' });
    assert.equal(await api.timesSent(taskId), 1);
  });
});

describe('/task/:id', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi(); });
  after(() => api.stop());

  test('wait is a whole number of up to 60 seconds', async () => {
    const taskId = await api.submit();
    for (const wait of ['61', '-1', '1.5', 'long', '']) {
      assertRefused(await api.call('GET', `/task/${taskId}?wait=${wait}`), 400, 'invalid_parameter', { parameter: 'wait' });
    }
    for (const [method, path] of /** @type {const} */ ([['GET', '?waits=1'], ['DELETE', '?waits=1'], ['POST', '/retry?waits=1']])) {
      assertRefused(await api.call(method, `/task/${taskId}${path}`), 400, 'invalid_parameter', { parameter: 'waits' });
    }
  });

  test('a minute of waiting takes at most 64 looks, by the intervals of its beginning', async () => {
    const taskId = await api.submit();
    const earlier = (await api.seen()).looks;
    await api.call('GET', `/task/${taskId}?wait=6`);
    const looks = (await api.seen()).looks - earlier;
    assert.ok(looks >= 5 && looks <= 11, String(looks)); // 10 in 6 seconds are 64 in 60
  });

  test('nobody looks on for a stream whose client has gone', async () => {
    const taskId = await api.submit();
    const reply = await fetch(new URL(`/task/${taskId}`, await api.worker.miniflare.ready), { headers: { Accept: 'text/event-stream' } });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (reply.body).getReader();
    await reader.read();
    await reader.cancel();
    await sleep(2_000);
    const { looks } = await api.seen();
    await sleep(2_000);
    assert.equal((await api.seen()).looks, looks);
  });

  test('a task without its time to live is not found', async () => {
    const taskId = await api.submit('?ttl=60');
    await api.worker.rows('UPDATE tasks SET expires_at = 1 WHERE taskId = ? RETURNING taskId', taskId);
    assertRefused(await api.call('GET', `/task/${taskId}`), 404, 'task_not_found');
    assertRefused(await api.call('DELETE', `/task/${taskId}`), 404, 'task_not_found');
    assertRefused(await api.call('POST', `/task/${taskId}/retry`), 404, 'task_not_found');
  });
});

describe('who waits for a task hears of a change', () => {
  for (const store of STORES) {
    test(`made in the same isolate at once, with state in ${store}`, async () => {
      const api = await startApi({ store });
      try {
        for (const Accept of ['application/json', 'text/event-stream']) {
          const taskId = await api.submit('?delay=600');
          const waiting = api.call('GET', `/task/${taskId}?wait=30`, { headers: { Accept } });
          await sleep(1_700); // the next look is after 2.5 seconds
          const start_ms = Date.now();
          await api.call('DELETE', `/task/${taskId}`);
          assert.match(JSON.stringify((await waiting).body), /cancelled/);
          assert.ok(Date.now() - start_ms < 600, `${Date.now() - start_ms} ms`);
        }
      } finally {
        await api.stop();
      }
    });
  }

  test('made elsewhere within a second, the stream no later than the poll', async () => {
    const api = await startApi();
    try {
      const taskId = await api.submit('?delay=600');
      const ended_ms = ['application/json', 'text/event-stream'].map(async (Accept) => {
        await api.call('GET', `/task/${taskId}?wait=30`, { headers: { Accept } });
        return Date.now();
      });
      await sleep(8_000);
      const start_ms = Date.now();
      await api.worker.rows("UPDATE tasks SET status = 'cancelled', finished_at = 1 WHERE taskId = ? RETURNING 1", taskId);
      for (const end_ms of await Promise.all(ended_ms)) assert.ok(end_ms - start_ms < 1_500, `${end_ms - start_ms} ms`);
    } finally {
      await api.stop();
    }
  });

  test('made elsewhere at once, where its object tells', async () => {
    const api = await startApi({ store: 'durable-object' });
    try {
      const taskId = await api.submit('?delay=600');
      const waiting = ['application/json', 'text/event-stream'].map((Accept) => api.call('GET', `/task/${taskId}?wait=30`, { headers: { Accept } }));
      await sleep(1_700); // the next look is after 3.1 seconds
      const objects = /** @type {any} */ (await api.worker.miniflare.getDurableObjectNamespace('TASK_DO', 'task-runner'));
      const start_ms = Date.now();
      for (const number of [0, 1, 2, 3]) {
        const statement = { sql: "UPDATE tasks SET status = 'cancelled', finished_at = 1 WHERE taskId = ?", parameters: [taskId] };
        await objects.get(objects.idFromName(`tasks-${number}`)).run([statement]);
      }
      for (const { body } of await Promise.all(waiting)) assert.match(JSON.stringify(body), /cancelled/);
      assert.ok(Date.now() - start_ms < 1_000, `${Date.now() - start_ms} ms`);
      assert.ok((await api.seen()).looks < 20);
    } finally {
      await api.stop();
    }
  });
});
