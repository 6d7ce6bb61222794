/** Schedules: when they tick, what a tick makes, in every store, and how they are put. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { dueTicks, nextTick, runSchedule, tickTaskId } from '../../worker/schedules.js';
import { shardOf } from '../../worker/shards.js';
import { creationTime, TASK_ID } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

/** @import { Schedule } from '../../worker/schedules.js' */

const MINUTE_MS = 60_000;

/**
 * @param {string} cron
 * @param {string} from
 * @param {number} count
 */
function ticks(cron, from, count, timezone = 'Europe/Berlin') {
  const found = [];
  for (let at = Date.parse(from); found.length < count;) {
    at = nextTick({ cron, timezone, every_seconds: null }, at) ?? assert.fail('no tick');
    found.push(new Date(at).toISOString().slice(5, 16));
  }
  return found;
}

/** @param {Partial<Schedule>} [parts] @returns {Schedule} */
function schedule(parts) {
  return {
    cron: null, timezone: 'UTC', every_seconds: 60, overlap: 'allow', missed: 'last', paused: false, next_ms: 0, runs: [],
    task: { handler: 'default', parameters: {}, payload: 'work', is_base64: false, delay_seconds: 0, ttl_seconds: null, max_retries: null, callback: null },
    ...parts,
  };
}

describe('ticks', () => {
  test('the hour that spring leaves out: a time in it comes at its end, once', () => {
    assert.deepEqual(ticks('30 2 * * *', '2026-03-28T00:00:00Z', 3), ['03-28T01:30', '03-29T01:00', '03-30T00:30']);
    assert.deepEqual(ticks('*/30 * * * *', '2026-03-29T00:10:00Z', 3), ['03-29T00:30', '03-29T01:00', '03-29T01:30']);
  });

  test('the hour that comes twice in autumn: a time in it comes once, and what comes each half hour goes on', () => {
    assert.deepEqual(ticks('30 2 * * *', '2026-10-24T00:00:00Z', 3), ['10-24T00:30', '10-25T00:30', '10-26T01:30']);
    assert.deepEqual(ticks('*/30 * * * *', '2026-10-24T23:50:00Z', 5), ['10-25T00:00', '10-25T00:30', '10-25T01:00', '10-25T01:30', '10-25T02:00']);
  });

  test('an interval ticks at its multiples, whenever it was made', () => {
    const timing = { cron: null, timezone: 'UTC', every_seconds: 90 };
    assert.equal(nextTick(timing, 0), 90_000);
    assert.equal(nextTick(timing, 89_999), 90_000);
    assert.equal(nextTick(timing, 90_000), 180_000);
  });

  test('the id of a task is of its tick and its schedule alone, and in the first shard', async () => {
    const [id, again, other, later] = await Promise.all([tickTaskId('a', 1e12), tickTaskId('a', 1e12), tickTaskId('b', 1e12), tickTaskId('a', 1e12 + 1)]);
    assert.match(id, TASK_ID);
    assert.equal(id, again);
    assert.equal(new Set([id, other, later]).size, 3);
    assert.equal(creationTime(id), 1e12);
    for (const count of [1, 2, 3, 4, 7, 16]) assert.equal(shardOf(id, count), 0);
  });

  test('what is done about missed ticks', () => {
    const hour = 60 * MINUTE_MS;
    const due = (/** @type {Partial<Schedule>} */ parts, /** @type {number} */ now_ms) => dueTicks(schedule({ next_ms: hour, ...parts }), now_ms);
    assert.deepEqual(due({}, hour + 1), [hour]);
    assert.deepEqual(due({ missed: 'skip' }, hour + 2 * MINUTE_MS), [hour, hour + MINUTE_MS, hour + 2 * MINUTE_MS], 'all are on time');
    assert.deepEqual(due({ every_seconds: 3600, missed: 'skip' }, hour + 3 * MINUTE_MS), []);
    assert.deepEqual(due({ every_seconds: 3600 }, 3 * hour + 3 * MINUTE_MS), [3 * hour]);
    assert.deepEqual(due({ every_seconds: 3600 }, 3 * hour + MINUTE_MS), [3 * hour], 'one that is on time stands for those that were missed');
    assert.deepEqual(due({ every_seconds: 3600, missed: 'all' }, 3 * hour + MINUTE_MS), [hour, 2 * hour, 3 * hour]);
    assert.equal(due({ missed: 'all' }, 100 * 24 * hour).length, 103);
    assert.deepEqual(due({ overlap: 'skip' }, hour + 2 * MINUTE_MS), [hour + 2 * MINUTE_MS]);
  });
});

test('a sweep that is cut off after it made the task is done again, and makes no second one', async () => {
  /** @type {string[]} */
  const inserted = [];
  const kept = { name: 'cut', schedule: JSON.stringify(schedule({ next_ms: MINUTE_MS })) };
  let isCut = true;
  /** @type {any} */
  const store = {
    insert: async (/** @type {any[]} */ tasks) => { inserted.push(...tasks.map(({ taskId }) => taskId)); return tasks; },
    changeSchedule: async () => { if (isCut) throw new Error('cut off'); return true; },
  };
  /** @type {any} */
  const engine = { submit: async () => {} };
  await assert.rejects(runSchedule(store, engine, kept, MINUTE_MS + 1), /cut off/);
  isCut = false;
  await runSchedule(store, engine, kept, MINUTE_MS + 2_000);
  assert.deepEqual(inserted, Array(2).fill(await tickTaskId('cut', MINUTE_MS)));
});

/** The task runner, whose schedules can be made due. */
const FACE = `{
  ...runner,
  async fetch(request, env, context) {
    const [, name, ms] = /^\\/rewind\\/(.+)\\/(.+)/.exec(new URL(request.url).pathname) ?? [];
    if (!name) return runner.fetch(request, env, context);
    const store = new Store(env);
    const { schedule } = (await store.schedules()).find((kept) => kept.name === name);
    return Response.json(await store.changeSchedule(name, schedule, JSON.stringify({ ...JSON.parse(schedule), next_ms: Number(ms) })));
  },
}`;

for (const store of STORES) describe(`schedules with ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, face: FACE, settings: { HTTP_ALLOWED_HOSTS: 'hook.example' } }); });
  after(() => api.stop());

  /**
   * @param {string} name
   * @param {object} body
   */
  async function put(name, body) {
    const { status, body: reply } = await api.call('PUT', `/schedules/${name}`, { body });
    assert.equal(status, 200, JSON.stringify(reply));
    return reply;
  }
  const show = async (/** @type {string} */ name) => (await api.call('GET', `/schedules/${name}`)).body;
  const rewind = async (/** @type {string} */ name, /** @type {number} */ tick_ms) => assert.equal((await api.call('GET', `/rewind/${name}/${tick_ms}`)).body, true);
  const lastTick = () => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;

  test('a tick makes one task, however many sweeps there are, and however they overlap', async () => {
    const made = await put('minutely', { everySeconds: 60, handler: 'echo', payload: { n: 1 }, parameters: { tone: 'calm' }, maxRetries: 1, callbackUrl: 'https://hook.example/secret' });
    assert.deepEqual(made.lastRuns, []);
    assert.equal(made.nextRuns.length, 3);
    assert.equal(made.callbackUrl, 'https://hook.example');
    await api.worker.sweep();
    assert.deepEqual((await show('minutely')).lastRuns, [], 'nothing is due');
    const tick_ms = lastTick();
    await rewind('minutely', tick_ms);
    await Promise.all([api.worker.sweep(), api.worker.sweep(), api.worker.sweep()]);
    await api.worker.sweep();
    const taskId = await tickTaskId('minutely', tick_ms);
    const { lastRuns, nextRuns } = await show('minutely');
    assert.deepEqual(lastRuns.slice(-1), [{ taskId, scheduledAt: new Date(tick_ms).toISOString() }]);
    assert.ok(Date.parse(nextRuns[0]) > tick_ms);
    const { status, maxRetries, callback } = await api.task(taskId);
    assert.deepEqual([status, maxRetries, callback.url], ['pending', 1, 'https://hook.example']);
    await api.attempt(taskId);
    assert.deepEqual((await api.task(taskId)).result, { payload: '{"n":1}', parameters: { tone: 'calm' } });
    await rewind('minutely', tick_ms);
    await api.worker.sweep();
    assert.equal((await api.task(taskId)).status, 'completed', 'a tick that is done again does not touch its task');
  });

  test('a tick is left out while the last task has not ended, unless tasks may overlap', async () => {
    for (const [overlap, runs] of /** @type {const} */ ([['skip', 1], ['allow', 2]])) {
      await put(overlap, { everySeconds: 60, overlap });
      const tick_ms = lastTick() - MINUTE_MS;
      await rewind(overlap, tick_ms);
      await api.worker.sweep();
      const { lastRuns: [{ taskId: first }] } = await show(overlap);
      await rewind(overlap, lastTick() + MINUTE_MS > Date.now() ? lastTick() + 1 : lastTick());
      await api.worker.sweep();
      assert.ok((await show(overlap)).lastRuns.length >= runs);
      if (overlap === 'skip') assert.equal((await show(overlap)).lastRuns[0].taskId, first);
    }
  });

  test('a paused schedule makes none, and a resumed one makes up for none', async () => {
    await put('paused', { cron: '* * * * *' });
    const { body } = await api.call('POST', '/schedules/paused/pause');
    assert.deepEqual([body.paused, body.nextRuns], [true, []]);
    await rewind('paused', lastTick());
    await api.worker.sweep();
    assert.deepEqual((await show('paused')).lastRuns, []);
    const resumed = (await api.call('POST', '/schedules/paused/resume')).body;
    assert.equal(resumed.paused, false);
    assert.ok(Date.parse(resumed.nextRuns[0]) > Date.now());
  });

  test('an edit makes no task at once, keeps what has run, and a pause', async () => {
    await put('edited', { everySeconds: 60 });
    await api.call('POST', '/schedules/edited/pause');
    const edited = await put('edited', { cron: '0 9 * * 1-5', timezone: 'Europe/Berlin', handler: 'echo' });
    assert.deepEqual([edited.cron, edited.timezone, edited.everySeconds, edited.paused, edited.handler], ['0 9 * * 1-5', 'Europe/Berlin', null, true, 'echo']);
    await api.worker.sweep();
    assert.deepEqual((await show('edited')).lastRuns, []);
  });

  test('lists and deletes', async () => {
    await put('gone', { everySeconds: 3600 });
    assert.ok((await api.call('GET', '/schedules')).body.schedules.some((/** @type {any} */ each) => each.name === 'gone'));
    assert.equal((await api.call('DELETE', '/schedules/gone')).status, 200);
    assertRefused(await api.call('GET', '/schedules/gone'), 404, 'schedule_not_found');
    assertRefused(await api.call('DELETE', '/schedules/gone'), 404, 'schedule_not_found');
    assertRefused(await api.call('POST', '/schedules/gone/pause'), 404, 'schedule_not_found');
  });

  test('refuses what is none', async () => {
    for (const [body, parameter, fault] of /** @type {[any, string, RegExp][]} */ ([
      [{}, 'cron', /expected either cron, such as "0 9 \* \* 1-5", or everySeconds, got neither/],
      [{ cron: '* * * * *', everySeconds: 60 }, 'cron', /got both/],
      [{ cron: '* * * * * *' }, 'cron', /five fields/],
      [{ cron: '61 * * * *' }, 'cron', /five fields/],
      [{ cron: '0 0 30 2 *' }, 'cron', /one that ticks at some time/],
      [{ cron: '@daily' }, 'cron', /five fields/],
      [{ cron: '* * * * *', timezone: 'Mars/Base' }, 'timezone', /IANA time zone such as Europe\/Berlin, got "Mars\/Base"/],
      [{ everySeconds: 59 }, 'everySeconds', /a whole number from 60/],
      [{ everySeconds: 60, timezone: 'Europe/Berlin' }, 'timezone', /left out with everySeconds/],
      [{ everySeconds: 60, overlap: 'never' }, 'overlap', /one of skip, allow/],
      [{ everySeconds: 60, missed: 'all' }, 'overlap', /expected overlap allow with missed all/],
      [{ everySeconds: 60, idempotencyKey: 'key' }, 'idempotencyKey', /unknown field/],
      [{ everySeconds: 60, callbackUrl: 'https://other.example/' }, 'callbackUrl', /http_allowed_hosts/],
    ])) {
      const reply = await api.call('PUT', '/schedules/bad', { body });
      assertRefused(reply, 400, 'invalid_parameter', { parameter });
      assert.match(reply.body.error, fault);
    }
    assertRefused(await api.call('PUT', '/schedules/Bad', { body: { everySeconds: 60 } }), 400, 'invalid_parameter', { parameter: 'the name of a schedule' });
    assertRefused(await api.call('PUT', '/schedules/bad', { body: { everySeconds: 60, handler: 'none' } }), 400, 'unknown_handler', { handlers: ['default', 'echo', 'http'] });
  });
});
