/** Throughput and latency of an hour, a day and a week, as they are kept from one sweep to the next. */

import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';

import { endOf, latencyOf, submissionOf } from '../../worker/stores/buckets.js';
import { D1Store } from '../../worker/stores/d1.js';
import { bucketsOf, continuedHistory, countInHistory, joinHistories, mergeHistories, newHistory, RANGE_NAMES, RANGES, toldUntil_ms } from '../../worker/stores/history.js';
import { KvStore } from '../../worker/stores/kv.js';
import { newTaskId } from '../../worker/task_id.js';
import { fakeD1 } from './fakes/d1.js';
import { FakeNamespace } from './fakes/durable_object.js';
import { FakeKv } from './fakes/kv.js';
import { FakeSqlite } from './fakes/sqlite.js';
import { newTask } from './store_under_test.js';
import { READING, readMigrations } from './worker_under_test.js';

/** @import { Deed } from '../../worker/stores/buckets.js' */
/** @import { History, Range } from '../../worker/stores/history.js' */

// What workerd has and Node has not.
registerHooks({
  resolve: (specifier, context, next) => (specifier === 'cloudflare:workers'
    ? { url: 'data:text/javascript,export class DurableObject { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }', shortCircuit: true }
    : next(specifier, context)),
});
const { DurableObjectStore, taskObject } = await import('../../worker/stores/durable_object.js');

const ENGINE = /** @type {any} */ ({ rescue: async () => ({ resent: 0, returned: 0, failed: 0 }) });

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A Monday, at midnight. */
const MONDAY_MS = Date.UTC(2026, 10, 23);

/** @param {History} history @param {Range} range @param {number} now_ms @param {Deed} [deed] */
function told(history, range, now_ms, deed = 'submitted') {
  return bucketsOf(history, range, now_ms).filter((bucket) => bucket[deed] > 0).map(({ start_ms, ...bucket }) => [new Date(start_ms).toISOString().slice(8, 16), bucket[deed]]);
}

/** @param {History} history @param {Range} range @param {number} now_ms */
function incomplete(history, range, now_ms) {
  return bucketsOf(history, range, now_ms).filter(({ isComplete }) => !isComplete).map(({ start_ms }) => new Date(start_ms).toISOString().slice(8, 16));
}

/** @param {number} created_ms @param {number} latency_ms */
const completed = (created_ms, latency_ms) => endOf({ taskId: newTaskId(created_ms), status: 'completed', finished_at: created_ms + latency_ms });

describe('buckets', () => {
  test('each thing that is done is in one bucket of each range that reaches back to it', () => {
    const history = newHistory();
    const now_ms = MONDAY_MS + 7 * DAY_MS;
    for (const age_ms of [0, 4 * MINUTE_MS, 54 * MINUTE_MS, 61 * MINUTE_MS, 23 * HOUR_MS, 25 * HOUR_MS, 6 * DAY_MS, 7 * DAY_MS - 3 * HOUR_MS, 8 * DAY_MS]) {
      countInHistory(history, submissionOf({ taskId: newTaskId(now_ms - age_ms) }), now_ms);
    }
    assert.deepEqual(told(history, 'hour', now_ms), [['29T23:05', 1], ['29T23:55', 1], ['30T00:00', 1]]);
    assert.deepEqual(told(history, 'day', now_ms), [['29T01:00', 1], ['29T22:30', 1], ['29T23:00', 1], ['29T23:30', 1], ['30T00:00', 1]]);
    assert.deepEqual(told(history, 'week', now_ms), [['23T03:00', 1], ['24T00:00', 1], ['28T21:00', 1], ['29T00:00', 1], ['29T21:00', 3], ['30T00:00', 1]]);
    for (const range of RANGE_NAMES) assert.equal(bucketsOf(history, range, now_ms).length, RANGES[range].count);
  });

  test('they pass with time, and none is left in the end', () => {
    let history = newHistory();
    countInHistory(history, submissionOf({ taskId: newTaskId(MONDAY_MS) }), MONDAY_MS);
    const counts = (/** @type {number} */ now_ms) => {
      history = continuedHistory({ as_of_ms: 0, history }, now_ms);
      return RANGE_NAMES.map((range) => told(history, range, now_ms).length);
    };
    assert.deepEqual(counts(MONDAY_MS), [1, 1, 1]);
    assert.deepEqual(counts(MONDAY_MS + HOUR_MS - 1), [1, 1, 1]);
    assert.deepEqual(counts(MONDAY_MS + HOUR_MS), [0, 1, 1]);
    assert.deepEqual(counts(MONDAY_MS + DAY_MS), [0, 0, 1]);
    assert.equal(toldUntil_ms(history), MONDAY_MS + 7 * DAY_MS);
    assert.deepEqual(counts(MONDAY_MS + 7 * DAY_MS), [0, 0, 0]);
    assert.deepEqual(history.buckets, { hour: {}, day: {}, week: {} });
    assert.equal(toldUntil_ms(undefined), 0);
  });

  test('an end counts when it was, however long ago the task was submitted; one of the future, or before its submission, counts as well', () => {
    const history = newHistory();
    const now_ms = MONDAY_MS + 12 * HOUR_MS;
    countInHistory(history, completed(now_ms - 30 * DAY_MS, 30 * DAY_MS - HOUR_MS / 2), now_ms);
    countInHistory(history, completed(now_ms, DAY_MS), now_ms);
    countInHistory(history, completed(now_ms, -5_000), now_ms);
    countInHistory(history, endOf({ taskId: newTaskId(now_ms), status: 'processing', finished_at: null }), now_ms);
    for (const status of /** @type {const} */ (['failed', 'cancelled'])) countInHistory(history, endOf({ taskId: newTaskId(now_ms), status, finished_at: now_ms }), now_ms);
    assert.deepEqual(told(history, 'hour', now_ms, 'completed'), [['23T11:30', 1], ['23T11:55', 1], ['23T12:00', 1]]);
    assert.deepEqual([told(history, 'week', now_ms, 'failed'), told(history, 'week', now_ms, 'cancelled')], [[['23T12:00', 1]], [['23T12:00', 1]]]);
    assert.deepEqual(Object.keys(history.buckets.hour).length, 3, 'none of the future');
    assert.equal(latencyOf(bucketsOf(history, 'hour', now_ms), RANGES.hour)?.samples, 3);
  });

  test('percentiles are exact to 11 percent, of whatever length', () => {
    for (const unit_ms of [1, 13, 1_000, HOUR_MS, 30 * DAY_MS]) {
      const history = newHistory();
      const now_ms = MONDAY_MS + 400 * DAY_MS * 100;
      for (let number = 1; number <= 100; number++) countInHistory(history, completed(now_ms - number * unit_ms, number * unit_ms), now_ms);
      const latency = latencyOf(bucketsOf(history, 'day', now_ms), RANGES.day);
      assert.equal(latency?.samples, 100);
      for (const [name, exact_ms] of /** @type {const} */ ([['p50', 50 * unit_ms], ['p95', 95 * unit_ms], ['p99', 99 * unit_ms]])) {
        assert.ok(Math.abs(latency[name] / exact_ms - 1) < 0.11, `${name} of ${unit_ms}: ${latency[name]}`);
      }
    }
  });

  test('what is kept is bounded, whatever the tasks and the clocks', () => {
    let history = newHistory();
    const start_ms = MONDAY_MS;
    for (let quarter = 0; quarter < 4 * 24 * 15; quarter++) {
      const now_ms = start_ms + quarter * 15 * MINUTE_MS;
      history = continuedHistory({ as_of_ms: 0, history }, now_ms);
      for (const bucket of bucketsOf(history, 'week', now_ms).slice(-1)) assert.ok(bucket.submitted < 100);
      countInHistory(history, completed(now_ms - 1, 1), now_ms);
    }
    const now_ms = start_ms + 15 * DAY_MS;
    history = continuedHistory({ as_of_ms: 0, history }, now_ms);
    for (const range of RANGE_NAMES) {
      const { width_ms, count } = RANGES[range];
      for (let each = -1; each < count; each++) {
        const time_ms = now_ms - each * width_ms;
        const latencies = {};
        for (let latency_ms = 1; latency_ms < 1_000 * DAY_MS; latency_ms *= 1.02) countInHistory(history, completed(time_ms - Math.round(latency_ms), Math.round(latency_ms)), time_ms);
        Object.assign(latencies, history.buckets[range][Math.floor(time_ms / width_ms)]?.latencies);
        for (const step of Object.keys(latencies)) Object.assign(latencies, { [step]: 1_000_000 });
        history.buckets[range][Math.floor(time_ms / width_ms)] = { submitted: 1e8, completed: 1e8, failed: 1e8, cancelled: 1e8, latencies, isPart: true };
      }
    }
    history = continuedHistory({ as_of_ms: 0, history }, now_ms);
    assert.deepEqual(RANGE_NAMES.map((range) => Object.keys(history.buckets[range]).length), [13, 49, 57]);
    const bytes = JSON.stringify(history).length;
    assert.ok(bytes > 150_000 && bytes < 256 * 1024, `${bytes}`);
  });

  test('what several parts tell is added, and complete where each is', () => {
    const now_ms = MONDAY_MS + 12 * HOUR_MS;
    const [one, other, none] = [newHistory(MONDAY_MS + 3 * HOUR_MS), newHistory(), newHistory()];
    for (const history of [one, one, other]) countInHistory(history, completed(now_ms - HOUR_MS, 100), now_ms);
    for (const history of [one, other, none]) history.until_ms = now_ms;
    other.until_ms = now_ms - 2 * HOUR_MS;
    const merged = mergeHistories([one, other, none]);
    assert.deepEqual(told(merged, 'day', now_ms, 'completed'), [['23T11:00', 3]]);
    assert.equal(latencyOf(bucketsOf(merged, 'day', now_ms), RANGES.day)?.samples, 3);
    const complete = bucketsOf(merged, 'day', now_ms).filter(({ isComplete }) => isComplete).map(({ start_ms }) => (start_ms - MONDAY_MS) / HOUR_MS);
    assert.deepEqual([complete[0], complete.at(-1)], [3, 9.5]);
    assert.deepEqual(mergeHistories([mergeHistories([one, other]), none]), merged);
  });
});

describe('a table', () => {
  /** @type {FakeSqlite} */ let sqlite;
  /** @type {D1Store} */ let store;
  beforeEach(async () => {
    mock.timers.enable({ apis: ['Date'], now: MONDAY_MS });
    sqlite = new FakeSqlite();
    for (const migration of await readMigrations()) sqlite.exec(migration);
    store = new D1Store(/** @type {any} */ ({ DB: fakeD1(sqlite), MAX_RETRIES: '5' }));
  });
  afterEach(() => { mock.timers.reset(); });

  /** @param {number} count @param {number} [age_ms] */
  function insert(count, age_ms = 0) {
    return Array.from({ length: count }, (_, number) => {
      const taskId = newTaskId(Date.now() - age_ms + number);
      sqlite.all("INSERT INTO tasks (taskId, status, handler, expires_at) VALUES (?, 'pending', 'default', ?)", [taskId, Math.floor(Date.now() / 1000) + 86_400]);
      return taskId;
    });
  }

  /** @param {string[]} taskIds @param {string} [status] */
  function end(taskIds, status = 'completed') {
    for (const taskId of taskIds) sqlite.all('UPDATE tasks SET status = ?, finished_at = ?, due_at = NULL WHERE taskId = ?', [status, Date.now(), taskId]);
  }

  /** @param {number} [time_ms] */
  async function sweep(time_ms = MINUTE_MS) {
    mock.timers.tick(time_ms);
    await store.tally();
    await store.expire(() => false);
  }

  const history = async () => (await store.statistics()).history;

  /** @param {Range} range @param {Deed} [deed] */
  const sum = async (range, deed = 'submitted') => bucketsOf(await history(), range, Date.now()).reduce((total, bucket) => total + bucket[deed], 0);

  const tally = () => String(sqlite.all('SELECT tally FROM sweep_progress', [])[0]?.['tally']);

  test('tells an hour, a day and a week of tasks that are long gone, each counted once', async () => {
    for (let hour = 0; hour < 8 * 24; hour++) {
      mock.timers.tick(30 * MINUTE_MS);
      const taskIds = insert(4);
      mock.timers.tick(2_000);
      end(taskIds.slice(0, 3));
      end(taskIds.slice(3), 'failed');
      for (let time = 0; time < 2; time++) await sweep();
      mock.timers.tick(28 * MINUTE_MS - 2_000);
    }
    assert.ok(sqlite.all('SELECT count(*) AS count FROM tasks', [])[0]?.['count'] < 110, 'they live for a day');
    const week = 55 * 3; // hours: the present bucket has only just begun
    assert.deepEqual([await sum('hour'), await sum('day'), await sum('week')], [4, 4 * 24, 4 * week]);
    assert.deepEqual([await sum('week', 'completed'), await sum('week', 'failed')], [3 * week, week]);
    const latency = latencyOf(bucketsOf(await history(), 'week', Date.now()), RANGES.week);
    assert.ok(latency && Math.abs(latency.p95 / 2_000 - 1) < 0.11, JSON.stringify(latency));
    assert.deepEqual(incomplete(await history(), 'week', Date.now()).length, 1, 'the present one alone is not over');
  });

  test('what is of this moment is told once, whether little or much has happened since the last sweep', async () => {
    const first = insert(20);
    await sweep(2 * MINUTE_MS);
    end(first.slice(0, 5));
    insert(10);
    for (const range of RANGE_NAMES) assert.deepEqual([await sum(range), await sum(range, 'completed')], [30, 5]);
    insert(100);
    assert.equal(await sum('day'), 20, 'as old as the last sweep');
    for (let time = 0; time < 3; time++) await sweep();
    for (const range of RANGE_NAMES) assert.deepEqual([await sum(range), await sum(range, 'completed')], [130, 5]);
  });

  test('sweeps that are missed leave nothing out, and until they come the time since then is not complete', async () => {
    insert(100);
    await sweep(2 * MINUTE_MS);
    mock.timers.tick(3 * HOUR_MS);
    end(insert(100));
    mock.timers.tick(2 * HOUR_MS);
    assert.deepEqual(incomplete(await history(), 'week', Date.now()), ['23T00:00', '23T03:00']);
    await sweep();
    await sweep();
    assert.deepEqual([told(await history(), 'day', Date.now()), told(await history(), 'day', Date.now(), 'completed')], [[['23T00:00', 100], ['23T03:00', 100]], [['23T03:00', 100]]]);
    assert.deepEqual(incomplete(await history(), 'week', Date.now()), ['23T03:00'], 'which is the present one');
  });

  test('of a long backlog, what was not seen yet is not complete', async () => {
    const first = insert(2_500);
    mock.timers.tick(HOUR_MS);
    insert(10);
    await sweep(2 * MINUTE_MS);
    assert.deepEqual(incomplete(await history(), 'day', Date.now()), ['23T00:00', '23T00:30', '23T01:00']);
    assert.deepEqual(await sum('day'), 2_510, 'they are counted all the same');
    end(first);
    for (let time = 0; time < 3; time++) await sweep();
    assert.deepEqual([await sum('day', 'completed'), incomplete(await history(), 'day', Date.now())], [2_500, ['23T01:00']]);
  });

  test('a tally of code of before is gone on with: its time is not complete', async () => {
    insert(10);
    await sweep(2 * MINUTE_MS);
    const former = JSON.parse(tally());
    delete former.history;
    sqlite.all('UPDATE sweep_progress SET tally = ?', [JSON.stringify(former)]);
    mock.timers.tick(2 * HOUR_MS);
    insert(10);
    for (let time = 0; time < 2; time++) await sweep(2 * HOUR_MS);
    assert.deepEqual(told(await history(), 'day', Date.now()), [['23T02:00', 10]]);
    assert.deepEqual(incomplete(await history(), 'week', Date.now()).at(-2), '23T00:00');
  });

  test('what code of before has counted meanwhile is a gap, and the rest stays', async () => {
    insert(10);
    await sweep(2 * MINUTE_MS);
    mock.timers.tick(7 * HOUR_MS);
    const former = JSON.parse(tally());
    // It copies what it does not know.
    sqlite.all('UPDATE sweep_progress SET tally = ?', [JSON.stringify({ ...former, as_of_ms: Date.now() - MINUTE_MS })]);
    assert.deepEqual(incomplete(await history(), 'week', Date.now()), ['22T21:00', '23T00:00', '23T03:00', '23T06:00'].slice(1));
    mock.timers.tick(4 * HOUR_MS);
    insert(5);
    for (let time = 0; time < 3; time++) await sweep();
    assert.deepEqual(told(await history(), 'week', Date.now()), [['23T00:00', 10], ['23T09:00', 5]]);
    assert.deepEqual(incomplete(await history(), 'week', Date.now()), ['23T00:00', '23T03:00', '23T06:00', '23T09:00']);
  });
});

describe('Durable Objects', () => {
  beforeEach(() => { mock.timers.enable({ apis: ['Date', 'setTimeout'], now: MONDAY_MS }); });
  afterEach(() => { mock.timers.reset(); });

  test('keep what they tell of the last week when their tasks are gone, and go on with it; then they are emptied', async () => {
    /** @type {Record<string, unknown>} */
    const env = { MAX_RETRIES: '5' };
    const Class = taskObject(await readMigrations(), () => ENGINE, { ...READING, storeOf: () => new DurableObjectStore(/** @type {any} */ (env)) });
    const namespace = new FakeNamespace(/** @type {any} */ (Class), () => env);
    env['TASK_DO'] = namespace;
    const store = new DurableObjectStore(/** @type {any} */ (env));
    const submit = async (/** @type {number} */ number) => {
      await store.insert(Array.from({ length: number }, (_, index) => newTask({ taskId: newTaskId(Date.now(), index.toString(16).padStart(2, '0')) })));
    };
    /** Lets time pass, and the alarms ring that are due. @param {number} time_ms */
    const sweepAfter = async (time_ms) => {
      mock.timers.tick(time_ms);
      await new Promise((resolve) => { setImmediate(resolve); });
      for (const { instance, context: { storage } } of namespace.objects.values()) {
        const alarm_ms = await storage.getAlarm();
        if (alarm_ms === null || alarm_ms > Date.now()) continue;
        await storage.deleteAlarm();
        await instance.alarm();
      }
    };
    const tables = () => [...namespace.objects.values()].map(({ sqlite }) => sqlite.all("SELECT count(*) AS count FROM sqlite_schema WHERE type = 'table'", [])[0]?.['count']);

    await submit(64);
    for (const { sqlite } of namespace.objects.values()) sqlite.all("UPDATE tasks SET status = 'completed', finished_at = ?", [MONDAY_MS + 1_000]);
    await sweepAfter(2 * MINUTE_MS);
    for (let time = 0; time < 2; time++) await sweepAfter(25 * HOUR_MS);
    for (const { sqlite, context } of namespace.objects.values()) {
      assert.equal(sqlite.all('SELECT count(*) AS count FROM tasks', [])[0]?.['count'], 0);
      assert.equal(await context.storage.getAlarm(), MONDAY_MS + 7 * DAY_MS, 'an object without a task does not sweep before it has nothing to tell');
    }
    mock.timers.tick(2 * DAY_MS);
    const { history } = await store.statistics();
    assert.deepEqual(told(history, 'week', Date.now(), 'completed'), [['23T00:00', 64]]);
    assert.deepEqual(incomplete(history, 'week', Date.now()).length, 1, 'nothing has happened since');
    await submit(64);
    await sweepAfter(2 * MINUTE_MS);
    assert.deepEqual(told((await store.statistics()).history, 'week', Date.now()).map(([, count]) => count), [64, 64]);
    await sweepAfter(8 * DAY_MS);
    await sweepAfter(MINUTE_MS);
    assert.deepEqual(tables(), [0, 0, 0, 0]);
  });
});

describe('KV', () => {
  /** @type {KvStore} */ let store;
  beforeEach(() => {
    mock.timers.enable({ apis: ['Date'], now: MONDAY_MS });
    store = new KvStore(/** @type {any} */ ({ KV: new FakeKv(), MAX_RETRIES: '5' }));
  });
  afterEach(() => { mock.timers.reset(); });

  const submit = async (/** @type {number} */ count) => {
    await store.insert(Array.from({ length: count }, () => newTask({ taskId: newTaskId(Date.now()) })));
  };

  test('keeps what was seen when somebody looked, and tells what nobody saw', async () => {
    await submit(10);
    await store.statistics();
    for (let hour = 0; hour < 40; hour += 5) {
      mock.timers.tick(5 * HOUR_MS);
      await submit(2);
      await store.statistics();
    }
    const { history } = await store.statistics();
    assert.deepEqual(told(history, 'week', Date.now()).map(([, count]) => count), [10, 2, 2, 2, 2, 2, 2, 2, 2]);
    assert.deepEqual(told(history, 'day', Date.now()).length, 5);
    assert.ok(!incomplete(history, 'week', Date.now()).includes('23T00:00'));
    mock.timers.tick(2 * DAY_MS);
    const later = (await store.statistics()).history;
    const missing = incomplete(later, 'week', Date.now()).filter((start) => start >= '23T00:00');
    assert.deepEqual([missing[0], missing.length], ['24T15:00', 10], JSON.stringify(missing));
    assert.equal(told(later, 'week', Date.now()).length, 9);
  });

  test('says of no time that it is complete while older tasks than are looked at may end', async () => {
    await submit(2_001);
    mock.timers.tick(HOUR_MS);
    const { history } = await store.statistics();
    mock.timers.tick(HOUR_MS);
    assert.equal(incomplete(history, 'hour', Date.now()).length, 12);
    assert.equal(incomplete((await store.statistics()).history, 'day', Date.now()).length, 48);
  });

  test('of two looks the larger number stands', () => {
    const now_ms = MONDAY_MS + 6 * HOUR_MS;
    const [kept, seen] = [newHistory(MONDAY_MS), newHistory(MONDAY_MS + 2 * HOUR_MS)];
    for (const history of [kept, seen, kept]) countInHistory(history, completed(now_ms - 5 * HOUR_MS, 1_000), now_ms);
    for (const history of [seen, seen, kept]) countInHistory(history, completed(now_ms - HOUR_MS, 1_000), now_ms);
    kept.until_ms = now_ms - 2 * HOUR_MS;
    seen.until_ms = now_ms;
    const joined = joinHistories(kept, seen, now_ms);
    assert.deepEqual(told(joined, 'day', now_ms, 'completed'), [['23T01:00', 2], ['23T05:00', 2]]);
    assert.equal(latencyOf(bucketsOf(joined, 'day', now_ms), RANGES.day)?.samples, 4);
    assert.deepEqual([joined.since_ms, joined.until_ms], [MONDAY_MS, now_ms]);
    assert.deepEqual(incomplete(joined, 'day', now_ms).at(-2), '22T23:30');
  });
});
