import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

const NONE = { expired: 0, resent: 0, returned: 0, failed: 0 };
const FRESH_MS = 5_000;
const MINUTE_MS = 60_000;

/** What the test that must not see a minute pass needs at most. */
const NEEDED_MS = 10_000;

for (const store of STORES) describe(`GET /stats with state in ${store}`, () => {
  test('tells what there is, what waits and how fast it goes', async () => {
    const api = await startApi({ store });
    try {
      for (const outcome of ['completed', 'completed', 'failed', 'cancelled', 'pending']) {
        const taskId = await api.submit('?handler=echo&max_retries=0', { body: outcome === 'failed' ? 'fail' : 'work' });
        if (outcome === 'cancelled') await api.call('DELETE', `/task/${taskId}`);
        else if (outcome !== 'pending') await api.attempt(taskId);
      }
      const { status, body, headers } = await api.call('GET', '/stats');
      assert.equal(status, 200);
      assert.equal(headers.get('Cache-Control'), 'no-store');
      assert.ok(Math.abs(Date.parse(body.generatedAt) - Date.now()) < 10_000);
      assert.deepEqual(body.counts, { pending: 1, processing: 0, completed: 2, failed: 1, cancelled: 1 });
      assert.deepEqual({ ...body.counted, since: null }, { tasks: 5, since: null, complete: true });
      assert.ok(Date.parse(body.counted.since) > Date.now() - 30_000);
      assert.deepEqual(body.sweeper, NONE);

      const { minutes, perMinute, latencyMs } = body.recent;
      assert.deepEqual([minutes, perMinute.length], [15, 15]);
      const starts = perMinute.map((/** @type {any} */ { minute }) => Date.parse(minute));
      assert.deepEqual(starts, Array.from({ length: 15 }, (_, index) => starts[0] + index * MINUTE_MS));
      assert.equal(starts[14], Math.floor(Date.parse(body.generatedAt) / MINUTE_MS) * MINUTE_MS);
      const sum = (/** @type {string} */ key) => perMinute.reduce((/** @type {number} */ total, /** @type {any} */ each) => total + each[key], 0);
      assert.deepEqual(['submitted', 'completed', 'failed', 'cancelled'].map(sum), [5, 2, 1, 1]);
      assert.equal(latencyMs.samples, 2);
      assert.ok(latencyMs.p50 >= 0 && latencyMs.p50 <= latencyMs.p95 && latencyMs.p95 <= latencyMs.p99, JSON.stringify(latencyMs));
    } finally {
      await api.stop();
    }
  });

  test('tells an hour, a day and a week where it is asked to, in buckets', async () => {
    const api = await startApi({ store });
    try {
      for (const outcome of ['completed', 'completed', 'failed', 'cancelled', 'pending']) {
        const taskId = await api.submit('?handler=echo&maxRetries=0', { body: outcome === 'failed' ? 'fail' : 'work' });
        if (outcome === 'cancelled') await api.call('DELETE', `/task/${taskId}`);
        else if (outcome !== 'pending') await api.attempt(taskId);
      }
      for (const [range, seconds, count] of /** @type {const} */ ([['hour', 300, 12], ['day', 1_800, 48], ['week', 10_800, 56]])) {
        const { status, body: { history, generatedAt, ...rest } } = await api.call('GET', `/stats?range=${range}`);
        assert.equal(status, 200);
        assert.deepEqual(rest.counts, { pending: 1, processing: 0, completed: 2, failed: 1, cancelled: 1 });
        assert.deepEqual([history.range, history.bucketSeconds, history.buckets.length], [range, seconds, count]);
        const starts = history.buckets.map((/** @type {any} */ { start }) => Date.parse(start));
        assert.deepEqual(starts, Array.from({ length: count }, (_, index) => starts[0] + index * seconds * 1000));
        assert.equal(starts.at(-1), Math.floor(Date.parse(generatedAt) / 1000 / seconds) * seconds * 1000);
        const sum = (/** @type {string} */ key) => history.buckets.reduce((/** @type {number} */ total, /** @type {any} */ each) => total + each[key], 0);
        assert.deepEqual(['submitted', 'completed', 'failed', 'cancelled'].map(sum), [5, 2, 1, 1]);
        assert.equal(history.latencyMs.samples, 2);
        assert.equal(history.buckets.at(-1).complete, false, 'it is not over');
        assert.equal(history.buckets[0].latencyMs, null);
      }
      assert.equal('history' in (await api.call('GET', '/stats')).body, false);
      for (const wrong of ['month', '', 'Day', 'constructor']) {
        const { body, ...reply } = await api.call('GET', `/stats?range=${wrong}`);
        assertRefused({ body, ...reply }, 400, 'invalid_parameter', { parameter: 'range' });
        assert.match(body.error, /expected range to be one of hour, day, week, got/);
      }
      assertRefused(await api.call('GET', '/stats?range=day&range=week'), 400, 'invalid_parameter', { parameter: 'range' });
    } finally {
      await api.stop();
    }
  });

  test('of no tasks there is nothing to tell', async () => {
    const api = await startApi({ store });
    try {
      const { body } = await api.call('GET', '/stats');
      assert.deepEqual(body.counts, { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 });
      assert.deepEqual(body.counted, { tasks: 0, since: null, complete: true });
      assert.deepEqual([body.queue, body.deadLetters], [{ backlog: 0, oldestAgeSeconds: null, priorities: null }, { count: 0, oldestAgeSeconds: null, readable: false }]);
      assert.equal(body.recent.latencyMs, null);
    } finally {
      await api.stop();
    }
  });
});

test('percentiles and minutes of tasks whose times are known', async () => {
  const api = await startApi();
  try {
    const left_ms = MINUTE_MS - Date.now() % MINUTE_MS;
    if (left_ms < NEEDED_MS) await sleep(left_ms);
    const minute_ms = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
    const rows = Array.from({ length: 100 }, (_, index) => ({ age_minutes: 3, latency_ms: (index + 1) * 10, status: 'completed' }));
    rows.push({ age_minutes: 30, latency_ms: 1, status: 'completed' }); // before these minutes
    rows.push({ age_minutes: 20, latency_ms: 10 * 60_000, status: 'completed' }); // submitted before, completed in them
    rows.push({ age_minutes: 14, latency_ms: 60_000, status: 'failed' }); // in the first of them
    for (const [index, { age_minutes, latency_ms, status }] of rows.entries()) {
      const created_ms = minute_ms - age_minutes * MINUTE_MS + 1_000;
      const hex = created_ms.toString(16).padStart(12, '0');
      const taskId = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${String(index).padStart(12, '0')}`;
      await api.worker.rows(
        `INSERT INTO tasks (taskId, status, handler, payload, expires_at, finished_at) VALUES (?, ?, 'default', '', 4000000000, ?) RETURNING taskId`,
        taskId, status, created_ms + latency_ms,
      );
    }
    await api.worker.sweep();
    const { body: { recent, counts, counted, asOf } } = await api.call('GET', '/stats');
    assert.deepEqual(counts, { pending: 0, processing: 0, completed: 102, failed: 1, cancelled: 0 });
    assert.deepEqual([counted.tasks, counted.complete], [103, true]);
    assert.ok(Date.now() - Date.parse(asOf) < NEEDED_MS, 'the sweeper has counted, and little has changed since');
    assert.equal(recent.latencyMs.samples, 101);
    for (const [name, exact_ms] of /** @type {const} */ ([['p50', 510], ['p95', 960], ['p99', 1000]])) {
      assert.ok(Math.abs(recent.latencyMs[name] / exact_ms - 1) < 0.03, JSON.stringify(recent.latencyMs));
    }
    const busy = recent.perMinute.filter((/** @type {any} */ { submitted, completed, failed }) => submitted + completed + failed > 0);
    const minutesAgo = busy.map((/** @type {any} */ { minute, ...counted }) => [(minute_ms - Date.parse(minute)) / MINUTE_MS, counted]);
    assert.deepEqual(minutesAgo, [
      [14, { submitted: 1, completed: 0, failed: 0, cancelled: 0 }],
      [13, { submitted: 0, completed: 0, failed: 1, cancelled: 0 }],
      [10, { submitted: 0, completed: 1, failed: 0, cancelled: 0 }],
      [3, { submitted: 100, completed: 100, failed: 0, cancelled: 0 }],
    ]);
  } finally {
    await api.stop();
  }
});

test('an answer stands for five seconds', async () => {
  const api = await startApi();
  try {
    const { body: first } = await api.call('GET', '/stats');
    await api.submit();
    assert.deepEqual((await api.call('GET', '/stats')).body, first);
    await sleep(FRESH_MS);
    assert.equal((await api.call('GET', '/stats')).body.counts.pending, 1);
    assertRefused(await api.call('GET', '/stats?minutes=60'), 400, 'invalid_parameter', { parameter: 'minutes' });
  } finally {
    await api.stop();
  }
});

test('a workflow has no queue to tell of', async () => {
  const api = await startApi({ engine: 'workflow', face: undefined });
  try {
    const { body } = await api.call('GET', '/stats');
    assert.deepEqual([body.queue, body.deadLetters], [null, null]);
  } finally {
    await api.stop();
  }
});
