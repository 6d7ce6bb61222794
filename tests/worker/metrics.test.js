import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { metricsText } from '../../worker/api/stats.js';
import { families } from '../../worker/api/stats.js';
import { addEnd, addSubmission, COUNTED_HANDLERS, LATENCY_BOUNDS_SECONDS } from '../../worker/stores/tally.js';
import { newTaskId } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { parseMetrics } from './openmetrics.js';
import { STORES } from './worker_under_test.js';

/** @import { Totals } from '../../worker/stores/tally.js' */
/** @import { Gathered } from '../../worker/api/stats.js' */
/** @import { Family } from './openmetrics.js' */

const DOCS = join(import.meta.dirname, '..', '..', 'docs');

/** Of nothing. */
const GATHERED = /** @type {Gathered} */ (/** @type {unknown} */ ({
  now_ms: 0, databases: [], backlogs: null, pauses: [], alerts: null, told: { counts: {}, isAll: true, as_of_ms: 0, parts: [] },
}));

/** The age of tasks that the sweeper counts. */
const COUNTED_AGE_MS = 90_000;

/**
 * @param {Map<string, Family>} metrics
 * @param {string} name of a sample
 * @param {Record<string, string>} labels that it has at least
 * @returns {number[]} the values of all that fit
 */
function values(metrics, name, labels = {}) {
  const samples = [...metrics.values()].flatMap((family) => family.samples).filter((sample) => sample.name === name);
  return samples.filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value)).map(({ value }) => value);
}

for (const store of STORES) describe(`GET /metrics with state in ${store}`, () => {
  test('tells what there is, in the format of OpenMetrics', async () => {
    const api = await startApi({ store, settings: { LABEL: 'x' } });
    try {
      const failed = await api.submit('?handler=echo&maxRetries=0', { body: 'fail' });
      await api.attempt(failed);
      await api.submit();
      const { status, headers, body } = await api.call('GET', '/metrics');
      assert.equal(status, 200);
      assert.equal(headers.get('Content-Type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
      assert.equal(headers.get('Cache-Control'), 'no-store');
      const metrics = parseMetrics(body);
      assert.deepEqual(['pending', 'failed', 'completed'].map((each) => values(metrics, 'ephemera_tasks', { status: each })), [[1], [1], [0]]);
      assert.deepEqual(values(metrics, 'ephemera_tasks_all_counted'), [1]);
      assert.deepEqual([values(metrics, 'ephemera_queue_messages').length, values(metrics, 'ephemera_dead_letters').length], [1, 1]);
      const parts = store === 'durable-object' ? 4 : 1;
      assert.deepEqual(values(metrics, 'ephemera_sweeper_tasks_total', { action: 'resent' }), Array.from({ length: parts }, () => 0));
      assert.equal(values(metrics, 'ephemera_database_size_bytes').length, store === 'kv' ? 0 : parts);
      assertRefused(await api.call('GET', '/metrics?x=1'), 400, 'invalid_parameter', { parameter: 'x' });
    } finally {
      await api.stop();
    }
  });
});

test('what only grows is told by handler, as the sweeper has counted it', async () => {
  const api = await startApi();
  try {
    for (const [index, [handler, status]] of [['echo', 'completed'], ['echo', 'completed'], ['echo', 'failed'], ['constructor', 'cancelled'], ['echo', 'pending']].entries()) {
      const created_ms = Date.now() - COUNTED_AGE_MS;
      await api.worker.rows(
        "INSERT INTO tasks (taskId, status, handler, payload, expires_at, finished_at) VALUES (?, ?, ?, '', 4000000000, ?) RETURNING taskId",
        newTaskId(created_ms), status ?? '', handler ?? '', status === 'pending' ? null : created_ms + 2_000 * (index + 1),
      );
    }
    await api.worker.sweep();
    const metrics = parseMetrics((await api.call('GET', '/metrics')).body);
    const shard = 'DB';
    assert.deepEqual(values(metrics, 'ephemera_submitted_tasks_total', { shard, handler: 'echo' }), [4]);
    assert.deepEqual(values(metrics, 'ephemera_submitted_tasks_total', { shard, handler: 'constructor' }), [1]);
    for (const [handler, status, count] of /** @type {const} */ ([['echo', 'completed', 2], ['echo', 'failed', 1], ['constructor', 'cancelled', 1]])) {
      assert.deepEqual(values(metrics, 'ephemera_ended_tasks_total', { shard, handler, status }), [count], status);
    }
    const echo = { shard, handler: 'echo', status: 'completed' };
    const buckets = values(metrics, 'ephemera_task_latency_seconds_bucket', echo);
    assert.deepEqual(buckets, [...LATENCY_BOUNDS_SECONDS, Infinity].map((bound) => (bound < 2 ? 0 : bound < 4 ? 1 : 2)));
    assert.deepEqual(values(metrics, 'ephemera_task_latency_seconds_sum', echo), [6]);
    assert.deepEqual(values(metrics, 'ephemera_task_latency_seconds_count', { status: 'cancelled' }), []);
    const [counted = 0] = values(metrics, 'ephemera_shard_counted_timestamp_seconds', { shard });
    assert.ok(Math.abs(Date.now() / 1000 - 60 - counted) < 30);
  } finally {
    await api.stop();
  }
});

test('a workflow has no queue to tell of', async () => {
  const api = await startApi({ engine: 'workflow', face: undefined });
  try {
    const metrics = parseMetrics((await api.call('GET', '/metrics')).body);
    assert.deepEqual([metrics.get('ephemera_queue_messages')?.samples, metrics.get('ephemera_dead_letters')?.samples], [[], []]);
  } finally {
    await api.stop();
  }
});

test('what a label holds cannot break the format', () => {
  const text = metricsText([{ name: 'odd', type: 'gauge', help: 'a "quoted"\\ \n text', samples: [
    { suffix: '', labels: { one: 'a"b\\c\nd,e="f"} 1', two: '\ud800🐙' }, value: 1e21 }, { suffix: '', labels: {}, value: 0.1 },
  ] }]);
  const odd = parseMetrics(text).get('odd');
  assert.equal(odd?.help, 'a "quoted"\\ \n text');
  assert.deepEqual(odd?.samples.map(({ labels, value }) => ({ labels, value })), [{ labels: { one: 'a"b\\c\nd,e="f"} 1', two: '\ufffd🐙' }, value: 1e21 }, { labels: {}, value: 0.1 }]);
});

test('the reader refuses what is no exposition', () => {
  const good = '# TYPE a counter\n# HELP a b\na_total 1\n# EOF\n';
  assert.equal(parseMetrics(good).size, 1);
  for (const bad of [
    good.replace('# EOF\n', ''), `${good}\n`, good.replace('a_total', 'a'), good.replace('a_total 1', 'a_total{x="1",x="2"} 1'), good.replace(' 1\n', ' -1\n'),
    good.replace(' 1\n', '  1\n'), good.replace('# HELP a b', '# HELP c b'), good.replace('# HELP a b', '# UNIT a seconds'), good.replace('a_total 1', 'a_total 1\na_total 2'),
    `# TYPE a_total gauge\n${good}`, good.replace('counter', 'histogram').replace('a_total 1', 'a_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1'),
  ]) assert.throws(() => parseMetrics(bad), assert.AssertionError, bad);
});

test('more handlers than are counted on their own are counted together', () => {
  /** @type {Totals} */
  const totals = {};
  for (let number = 0; number < COUNTED_HANDLERS + 10; number++) addSubmission(totals, { handler: `handler-${number}` });
  addEnd(totals, { taskId: newTaskId(1_000_000), handler: 'handler-59', status: 'failed', finished_at: 1_000_000 + 2 * 86_400_000 });
  assert.equal(Object.keys(totals).length, COUNTED_HANDLERS + 1);
  assert.deepEqual(totals['_other'], { submitted: 10, ends: { failed: { count: 1, sum_ms: 2 * 86_400_000, latencies: { 14: 1 } } } });
});

test("Grafana's dashboard asks for metrics that there are, by labels that they have", () => {
  const dashboard = JSON.parse(readFileSync(join(DOCS, 'grafana.json'), 'utf8'));
  const suffixes = { gauge: [''], counter: ['_total'], histogram: ['_bucket', '_count', '_sum'], info: ['_info'] };
  const known = new Set(families(GATHERED, null).flatMap(({ name, type }) => suffixes[type].map((suffix) => name + suffix)));
  const texts = JSON.stringify(dashboard);
  const asked = [...texts.matchAll(/ephemera_\w+/g)].map(([name]) => name);
  assert.ok(asked.length > 10);
  assert.deepEqual(asked.filter((name) => !known.has(name)), []);
  const labels = new Set(['status', 'handler', 'priority', 'shard', 'action', 'le', 'store', 'version', 'instance', 'job']);
  const used = [...texts.matchAll(/by \(([\w, ]+)\)/g)].flatMap(([, list = '']) => list.split(', '));
  assert.deepEqual(used.filter((label) => !labels.has(label)), []);
  for (const panel of dashboard.panels) assert.ok(panel.targets.every((/** @type {any} */ { expr }) => expr.includes('ephemera_')), panel.title);
});

test('the page of the metrics lists what there is, and nothing else', () => {
  const rows = readFileSync(join(DOCS, 'metrics.md'), 'utf8').matchAll(/^\| `(ephemera_\w+)` \| (\w+) \|/gm);
  assert.deepEqual([...rows].map(([, name, type]) => [name, type]), families(GATHERED, null).map(({ name, type }) => [name, type]));
});
