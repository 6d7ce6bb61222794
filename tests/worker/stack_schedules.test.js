/** Schedules that the stack declares: the sweep keeps them as they are declared, in every store, and the API does not change them. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { tickTaskId } from '../../worker/schedules.js';
import { assertRefused, startApi } from './api_under_test.js';
import { someOf, STORES } from './worker_under_test.js';

/** @import { StoreName } from './worker_under_test.js' */

const MINUTE_MS = 60_000;

/** The task runner, to which another version can be deployed, which declares other schedules; and whose schedules can be made due. */
const FACE = `(() => {
  let deployed = {};
  return {
    ...runner,
    scheduled: (event, env, context) => runner.scheduled(event, { ...env, ...deployed }, context),
    async fetch(request, env, context) {
      const { pathname } = new URL(request.url);
      if (pathname === '/deploy') {
        const { timestamp, schedules } = await request.json();
        deployed = { SCHEDULES: schedules && JSON.stringify(schedules), CF_VERSION_METADATA: { id: timestamp, tag: '', timestamp } };
        return Response.json(true);
      }
      if (pathname === '/places') {
        const { present, formers } = new Store(env);
        const stores = [present, ...formers.map((former) => former.store)];
        return Response.json(await Promise.all(stores.map(async (store) => (await store.schedules()).map((kept) => kept.name))));
      }
      const [, copied, later_ms] = /^\\/copy\\/(.+)\\/(.+)/.exec(pathname) ?? [];
      if (copied) {
        const { present, formers } = new Store(env);
        const { schedule } = (await present.schedules()).find((kept) => kept.name === copied);
        return Response.json(await formers[0].store.changeSchedule(copied, null, JSON.stringify({ ...JSON.parse(schedule), next_ms: Number(later_ms) })));
      }
      const [, name, ms] = /^\\/rewind\\/(.+)\\/(.+)/.exec(pathname) ?? [];
      if (!name) return runner.fetch(request, { ...env, ...deployed }, context);
      const store = new Store(env);
      const { schedule } = (await store.schedules()).find((kept) => kept.name === name);
      const due = JSON.stringify({ ...JSON.parse(schedule), next_ms: Number(ms) });
      if (!store.formers) return Response.json(await store.changeSchedule(name, schedule, due));
      await store.present.changeSchedule(name, schedule, null);
      return Response.json(await store.formers[0].store.changeSchedule(name, null, due));
    },
  };
})()`;

const HOURLY = { name: 'hourly', everySeconds: 3600, handler: 'echo', payload: { n: 1 } };
const DAILY = { name: 'daily', cron: '0 9 * * *', timezone: 'Europe/Berlin', overlap: 'allow', missed: 'all' };

/** @param {Parameters<typeof startApi>[0]} options */
async function startDeployments(options) {
  const api = await startApi({ ...options, face: FACE });
  let version = 0;
  return {
    api,
    /**
     * Deploys a version of the Worker, and lets it sweep.
     *
     * @param {object[] | undefined} schedules
     * @param {number} [number] of an earlier version
     */
    async deploy(schedules, number = ++version) {
      const timestamp = new Date(Date.UTC(2026, 0, 1) + number * MINUTE_MS).toISOString();
      await api.call('PUT', '/deploy', { body: { timestamp, schedules } });
      await api.worker.sweep();
    },
    list: async () => (await api.call('GET', '/schedules')).body,
    show: async (/** @type {string} */ name) => (await api.call('GET', `/schedules/${name}`)).body,
    rewind: async (/** @type {string} */ name, /** @type {number} */ tick_ms) => {
      assert.equal((await api.call('GET', `/rewind/${name}/${tick_ms}`)).body, true);
    },
  };
}

const lastTick = () => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;

for (const store of STORES) describe(`schedules of the stack with ${store}`, () => {
  /** @type {Awaited<ReturnType<typeof startDeployments>>} */
  let runner;
  before(async () => { runner = await startDeployments({ store }); });
  after(() => runner.api.stop());

  test('are there after a deployment, beside those of the API, and go with the setting', async () => {
    await runner.api.call('PUT', '/schedules/own', { body: { everySeconds: 60 } });
    await runner.deploy([HOURLY, DAILY]);
    const owners = async () => Object.fromEntries((await runner.list()).schedules.map((/** @type {any} */ { name, owner }) => [name, owner]));
    assert.deepEqual(await owners(), { daily: 'stack', hourly: 'stack', own: 'api' });
    const { cron, timezone, overlap, missed, lastRuns } = await runner.show('daily');
    assert.deepEqual([cron, timezone, overlap, missed, lastRuns], ['0 9 * * *', 'Europe/Berlin', 'allow', 'all', []]);
    await runner.deploy([DAILY]);
    assert.deepEqual(await owners(), { daily: 'stack', own: 'api' });
    await runner.deploy(undefined);
    if (store === 'durable-object') assert.deepEqual(await owners(), { own: 'api' }, 'the cron is gone, and the object knows the setting');
    else assert.deepEqual(await owners(), { own: 'api' });
  });

  test('are changed by the setting alone, and can be paused', async () => {
    await runner.deploy([HOURLY]);
    assertRefused(await runner.api.call('PUT', '/schedules/hourly', { body: { everySeconds: 60 } }), 409, 'schedule_of_stack');
    assertRefused(await runner.api.call('DELETE', '/schedules/hourly'), 409, 'schedule_of_stack');
    assert.equal((await runner.api.call('POST', '/schedules/hourly/pause')).body.paused, true);
    await runner.deploy([{ ...HOURLY, everySeconds: 7200 }]);
    const { paused, everySeconds } = await runner.show('hourly');
    assert.deepEqual([paused, everySeconds], [true, 7200]);
    const resumed = (await runner.api.call('POST', '/schedules/hourly/resume')).body;
    assert.ok(Date.parse(resumed.nextRuns[0]) > Date.now());
  });

  test('tick, and an edit makes no task at once', async () => {
    await runner.deploy([HOURLY]);
    await runner.rewind('hourly', lastTick());
    await runner.api.worker.sweep();
    const taskId = await tickTaskId('hourly', lastTick());
    assert.equal((await runner.show('hourly')).lastRuns[0].taskId, taskId);
    await runner.api.attempt(taskId);
    assert.deepEqual((await runner.api.task(taskId)).result.payload, '{"n":1}');
    await runner.deploy([{ ...HOURLY, everySeconds: undefined, cron: '* * * * *' }]);
    const edited = await runner.show('hourly');
    assert.equal(edited.lastRuns.length, 1, 'what has run is kept');
    assert.ok(Date.parse(edited.nextRuns[0]) > Date.now() - 1000);
    const { nextRuns } = edited;
    await runner.deploy([{ ...HOURLY, everySeconds: undefined, cron: '* * * * *', payload: 'other' }]);
    if (Date.now() < Date.parse(nextRuns[0])) assert.equal((await runner.show('hourly')).nextRuns[0], nextRuns[0], 'the same timing, the same tick');
  });

  test('that the Worker does not take are told of, and taken once they can be', async () => {
    await runner.api.call('PUT', '/schedules/taken', { body: { everySeconds: 60 } });
    await runner.deploy([{ ...HOURLY, name: 'taken' }, { ...HOURLY, name: 'unknown', handler: 'none' }, HOURLY]);
    const { refused, schedules } = await runner.list();
    assert.deepEqual(refused.map((/** @type {any} */ { name }) => name), ['taken', 'unknown']);
    assert.match(refused[0].error, /made: delete it/);
    assert.match(refused[1].error, /unknown handler "none"/);
    assert.equal(schedules.find((/** @type {any} */ { name }) => name === 'taken').owner, 'api');
    assert.ok(schedules.some((/** @type {any} */ { name }) => name === 'hourly'));
    await runner.api.call('DELETE', '/schedules/taken');
    await runner.api.worker.sweep();
    assert.equal((await runner.show('taken')).owner, 'stack');
    assert.deepEqual((await runner.list()).refused.map((/** @type {any} */ { name }) => name), ['unknown']);
  });

  test('are those of the newest version, though an older one sweeps, too', async () => {
    await runner.deploy([DAILY]);
    await runner.deploy([HOURLY], 0);
    assert.equal((await runner.show('daily')).owner, 'stack');
    assertRefused(await runner.api.call('GET', '/schedules/hourly'), 404, 'schedule_not_found');
  });
});

test('an object takes away what is not declared any more, without a cron', async () => {
  const runner = await startDeployments({ store: 'durable-object' });
  try {
    await runner.deploy([HOURLY], -1e9); // a version before the object's own, which declares none
    assert.equal((await runner.show('hourly')).owner ?? 'gone', 'gone');
  } finally {
    await runner.api.stop();
  }
});

for (const [store, formerStores] of someOf(/** @type {[StoreName, StoreName[]][]} */ ([
  ['sharded-d1', []], ['sharded-objects', []], ['d1', ['kv']], ['kv', ['d1']], ['d1', ['durable-object']], ['durable-object', ['kv']],
]))) test(`a tick makes one task with ${[store, ...formerStores].join(', whose schedule is in ')}`, async () => {
  const runner = await startDeployments({ store, formerStores });
  try {
    await runner.deploy([HOURLY]);
    const tick_ms = lastTick();
    await runner.rewind('hourly', tick_ms);
    await Promise.all([runner.api.worker.sweep(), runner.api.worker.sweep()]);
    await runner.api.worker.sweep();
    const taskId = await tickTaskId('hourly', tick_ms);
    assert.deepEqual((await runner.show('hourly')).lastRuns, [{ taskId, scheduledAt: new Date(tick_ms).toISOString() }]);
    assert.equal((await runner.api.task(taskId)).status, 'pending');
    await runner.api.attempt(taskId);
    assert.equal((await runner.api.task(taskId)).status, 'completed');
  } finally {
    await runner.api.stop();
  }
});

for (const [store, former] of someOf(/** @type {[StoreName, StoreName][]} */ ([
  ['d1', 'kv'], ['kv', 'd1'], ['d1', 'durable-object'], ['durable-object', 'd1'], ['sharded-objects', 'sharded-d1'],
]))) test(`a schedule of the API moves from ${former} to ${store}, as it is`, async () => {
  const { api, rewind, show } = await startDeployments({ store, formerStores: [former] });
  try {
    await api.call('PUT', '/schedules/report', { body: { everySeconds: 3600, payload: 'words', overlap: 'skip' } });
    const tick_ms = lastTick();
    await rewind('report', tick_ms); // puts it into the former store
    const before = await show('report');
    assert.deepEqual((await api.call('GET', '/places')).body, [[], ['report']]);
    for (let time = 0; time < 2; time++) await api.worker.sweep(); // it ticks before it moves, by the alarm of an object
    assert.deepEqual((await api.call('GET', '/places')).body, [['report'], []]);
    assert.deepEqual((await show('report')).lastRuns.map((/** @type {any} */ run) => run.scheduledAt), [new Date(tick_ms).toISOString()]);
    const { lastRuns: _runs, nextRuns: _next, ...kept } = await show('report');
    const { lastRuns: _ran, nextRuns: _planned, ...was } = before;
    assert.deepEqual(kept, was);
    // As after a sweep that was cut off between the two stores, and a tick in the former one.
    const later = new Date(lastTick() + 5 * 60 * MINUTE_MS).toISOString();
    assert.equal((await api.call('GET', `/copy/report/${Date.parse(later)}`)).body, true);
    await api.worker.sweep();
    assert.deepEqual((await api.call('GET', '/places')).body, [['report'], []]);
    assert.equal((await show('report')).nextRuns[0], later);
  } finally {
    await api.stop();
  }
});

for (const store of someOf(/** @type {const} */ (['d1', 'durable-object']))) test(`a tick that is made up for is counted with ${store}`, async () => {
  const runner = await startDeployments({ store });
  try {
    const late_ms = lastTick() - 10 * MINUTE_MS;
    await runner.deploy([{ ...HOURLY, overlap: 'allow', missed: 'all' }]);
    // Of an hour ago, so that the sweeper has counted past the tick: the tick's id is before it.
    await runner.rewind('hourly', lastTick() - 90 * MINUTE_MS);
    await runner.api.worker.sweep();
    await runner.rewind('hourly', late_ms);
    await runner.api.worker.sweep();
    const first = (await runner.show('hourly')).lastRuns.at(-1);
    await runner.api.attempt(first.taskId);
    await runner.api.worker.sweep();
    await runner.rewind('hourly', lastTick() - 95 * MINUTE_MS); // older than all that was counted
    await runner.api.worker.sweep();
    const { body: { counts } } = await runner.api.call('GET', '/stats');
    const tasks = (await runner.api.call('GET', '/tasks')).body.tasks;
    /** @type {Record<string, number>} */
    const there = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
    for (const { status } of tasks) there[status] = (there[status] ?? 0) + 1;
    assert.deepEqual(counts, there);
    assert.ok(tasks.length >= 2);
  } finally {
    await runner.api.stop();
  }
});
