/** Alerts: what is measured, when one fires and is resolved, and that both are told, whatever fails between any two calls. */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { afterEach, describe, mock, test } from 'node:test';

import { alertSettings, checkAlerts, stepped, valuesOf } from '../../worker/alerts.js';
import { quietBucket } from '../../worker/stores/buckets.js';
import { noCounts } from '../../worker/stores/tally.js';
import { StoreUnavailable } from '../../worker/stores/store_error.js';
import { assertRefused, startApi } from './api_under_test.js';
import { startTarget } from './http_target.js';
import { STORES } from './worker_under_test.js';

/** @import { AlertName, AlertSettings, KeptAlerts } from '../../worker/alerts.js' */

const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`;
const MINUTE_MS = 60_000;

/** @type {AlertSettings} */
const SETTINGS = {
  worker: 'task-runner-test', url: 'https://hook.example/alerts?key=1', limits: { dead_letters: 10 }, failure_minutes: 15, failure_min_tasks: 5, hold_seconds: 120, resolve_percent: 80,
  remind_seconds: 0,
};

/** @type {KeptAlerts} */
const NOTHING = { episodes: {}, posts: [] };

afterEach(() => mock.restoreAll());

/** @param {number} count @param {Partial<AlertSettings>} [settings] */
function follow(count, settings = {}) {
  let kept = NOTHING;
  let now_ms = 1_000_000;
  return (/** @type {number | null} */ value, after_ms = MINUTE_MS) => {
    now_ms += after_ms;
    kept = stepped({ ...kept, posts: [] }, { ...SETTINGS, limits: { dead_letters: count }, ...settings }, new Map([['dead_letters', value]]), now_ms);
    return kept.posts.map(({ state, value: told }) => `${state} ${told}`);
  };
}

describe('an alert', () => {
  test('fires when it has been at its limit for long enough, once, and is resolved far enough below, once', () => {
    const see = follow(10);
    const seen = [9, 10, 15, 11, 30, 10, 9, 8, 7.9, 7.9, 3, 0].map((value) => see(value).join());
    assert.deepEqual(seen, ['', '', '', 'firing 11', '', '', '', '', 'resolved 7.9', '', '', '']);
  });

  test('that falls below its limit in time does not fire, and begins anew', () => {
    const see = follow(10);
    assert.deepEqual([10, 10, 9, 10, 10, 9, 10, 10, 10].map((value) => see(value).join()), ['', '', '', '', '', '', '', '', 'firing 10']);
  });

  test('with a limit of one is resolved when there are none', () => {
    const see = follow(1, { hold_seconds: 0 });
    assert.deepEqual([0, 1, 2, 1, 0, 1].map((value) => see(value).join()), ['', 'firing 1', '', '', 'resolved 0', 'firing 1']);
  });

  test('stays as it is while nothing is known', () => {
    const see = follow(10);
    assert.deepEqual([10, null, null, null, 10, null, null, 0].map((value) => see(value).join()), ['', '', '', '', 'firing 10', '', '', 'resolved 0']);
  });

  test('is told again after a while only where that is asked for, each time by an id of its own', () => {
    assert.deepEqual([1, 1, 1, 1].map((value) => follow(1, { hold_seconds: 0 })(value).length), [1, 1, 1, 1]);
    let kept = NOTHING;
    const ids = [];
    for (let minute = 0; minute < 8; minute++) {
      kept = stepped({ ...kept, posts: [] }, { ...SETTINGS, limits: { dead_letters: 1 }, hold_seconds: 0, remind_seconds: 180 }, new Map([['dead_letters', 1]]), minute * MINUTE_MS);
      ids.push(...kept.posts.map(({ id }) => id));
    }
    assert.equal(new Set(ids).size, 3);
    assert.match(String(ids[0]), /^alert-[0-9a-f-]{36}-firing$/);
    assert.deepEqual(ids.slice(1), [`${ids[0]}-1`, `${ids[0]}-2`]);
  });

  test('that is not set any more is resolved, where it fired', () => {
    const firing = stepped(NOTHING, { ...SETTINGS, hold_seconds: 0 }, new Map([['dead_letters', 10]]), 0);
    const gone = stepped({ ...firing, posts: [] }, { ...SETTINGS, limits: { failure_percent: 10 } }, new Map([['failure_percent', 0]]), MINUTE_MS);
    assert.deepEqual([gone.episodes, gone.posts.map(({ state, value, limit }) => [state, value, limit])], [{}, [['resolved', null, null]]]);
    const pending = stepped(NOTHING, SETTINGS, new Map([['dead_letters', 10]]), 0);
    assert.deepEqual(stepped(pending, { ...SETTINGS, limits: { failure_percent: 10 } }, new Map([['failure_percent', 0]]), MINUTE_MS), NOTHING);
  });

  test('what nobody takes is given up after a day, and past twenty', () => {
    const error = mock.method(console, 'error', () => {});
    const post = { id: 'old', state: /** @type {const} */ ('firing'), alert: 'dead_letters', value: 1, limit: 1, since_ms: 0, at_ms: 0 };
    const kept = { episodes: {}, posts: [post, ...Array.from({ length: 25 }, (_, index) => ({ ...post, id: `new-${index}`, at_ms: 86_400_000 - 1 }))] };
    const left = stepped(kept, SETTINGS, new Map([['dead_letters', 0]]), 86_400_000).posts.map(({ id }) => id);
    assert.deepEqual(left, Array.from({ length: 20 }, (_, index) => `new-${index + 5}`));
    assert.equal(error.mock.callCount(), 1);
  });
});

describe('what is measured', () => {
  /** @type {AlertSettings} */
  const settings = { ...SETTINGS, limits: { backlog_age_seconds: 60, dead_letters: 1, failure_percent: 10, database_percent: 80 } };
  const now_ms = 100 * MINUTE_MS + 30_000;
  const told = /** @type {any} */ ({
    counts: { ...noCounts(), failed: 7 },
    minutes: { 100: { ...quietBucket(), completed: 2, failed: 1 }, 86: { ...quietBucket(), completed: 3, failed: 2, cancelled: 9 }, 85: { ...quietBucket(), failed: 100 } },
  });
  const backlogs = { backlog: { count: 3, oldest_ms: now_ms - 90_500 }, deadLetters: { count: 2, oldest_ms: 1 } };
  const databases = [{ name: 'DB', bytes: 100, limit_bytes: 1_000 }, { name: 'DB_1', bytes: 905, limit_bytes: 1_000 }];

  test('with queues', () => {
    assert.deepEqual(Object.fromEntries(valuesOf(settings, { told, backlogs, databases }, true, now_ms)), {
      backlog_age_seconds: 90, dead_letters: 2, failure_percent: 37.5, database_percent: 90.5,
    });
    const none = { backlog: { count: 0, oldest_ms: null }, deadLetters: { count: 0, oldest_ms: null } };
    assert.deepEqual(Object.fromEntries(valuesOf(settings, { told: { ...told, minutes: {} }, backlogs: none, databases: [] }, true, now_ms)), {
      backlog_age_seconds: 0, dead_letters: 0, failure_percent: 0, database_percent: 0,
    });
  });

  test('without queues failed tasks stand for dead letters', () => {
    assert.equal(valuesOf(settings, { told, backlogs: null, databases }, false, now_ms).get('dead_letters'), 7);
  });

  test('failures of some of the last minutes, where enough runs have ended', () => {
    assert.equal(valuesOf({ ...settings, failure_minutes: 1, failure_min_tasks: 3 }, { told, backlogs, databases }, true, now_ms).get('failure_percent'), 33.3);
    assert.equal(valuesOf({ ...settings, failure_minutes: 1, failure_min_tasks: 4 }, { told, backlogs, databases }, true, now_ms).get('failure_percent'), 0);
  });

  test('nothing of what does not answer', () => {
    assert.deepEqual([...valuesOf(settings, { told: null, backlogs: null, databases: null }, true, now_ms).values()], [null, null, null, null]);
    assert.deepEqual([...valuesOf(SETTINGS, { told, backlogs, databases }, true, now_ms).keys()], ['dead_letters']);
  });
});

/**
 * A store with a note, and an engine with dead letters; the call with the number `fault` fails, before or after it was done. The receiver takes
 * what is posted, and is one of the calls.
 *
 * @param {{fault?: number, isDone?: boolean, settings?: Partial<AlertSettings>, env?: Record<string, string>}} [options]
 */
function world({ fault = Infinity, isDone = false, settings = {}, env = {} } = {}) {
  /** @type {string | null} */
  let note = null;
  let calls = 0;
  const it = {
    deadLetters: 0, received: /** @type {{id: string, type: string}[]} */ ([]), status: 200,
    get note() { return note; },
    get calls() { return calls; },
    check: () => checkAlerts(store, engine, { ALERTS: JSON.stringify({ ...SETTINGS, hold_seconds: 0, ...settings }), HTTP_ALLOWED_HOSTS: 'hook.example', ...env }),
  };
  /** @param {() => any} act */
  const faulty = async (act) => {
    const isLost = calls++ === fault;
    if (isLost && !isDone) throw new StoreUnavailable('lost');
    const answer = act();
    if (isLost) throw new StoreUnavailable('the reply was lost');
    return answer;
  };
  const store = /** @type {any} */ ({
    note: () => faulty(() => note),
    changeNote: (/** @type {string} */ _, /** @type {string | null} */ before, /** @type {string | null} */ after) => faulty(() => (note === before ? ((note = after), true) : false)),
  });
  const engine = /** @type {any} */ ({ hasQueues: true, backlogs: () => faulty(() => ({ backlog: { count: 0, oldest_ms: null }, deadLetters: { count: it.deadLetters, oldest_ms: null } })) });
  mock.method(globalThis, 'fetch', (/** @type {URL} */ url, /** @type {any} */ { headers, body }) => faulty(() => {
    assert.equal(String(url), SETTINGS.url);
    if (it.status === 200) it.received.push({ id: headers['webhook-id'], ...JSON.parse(body) });
    return new Response('', { status: it.status });
  }));
  return it;
}

test('both are told, in their order, and each by one id, whichever call of a check fails before or after it was done', async () => {
  mock.method(console, 'error', () => {});
  mock.method(console, 'warn', () => {});
  const whole = world();
  whole.deadLetters = 10;
  await whole.check();
  whole.deadLetters = 0;
  await whole.check();
  const { calls } = whole;
  assert.ok(calls >= 10, `${calls}`);
  mock.restoreAll();
  for (let fault = 0; fault < calls; fault++) for (const isDone of [false, true]) {
    mock.method(console, 'error', () => {});
    mock.method(console, 'warn', () => {});
    const it = world({ fault, isDone });
    it.deadLetters = 10;
    for (let sweep = 0; sweep < 3; sweep++) await it.check().catch((error) => assert.ok(error instanceof StoreUnavailable, String(error)));
    it.deadLetters = 0;
    for (let sweep = 0; sweep < 3; sweep++) await it.check().catch((error) => assert.ok(error instanceof StoreUnavailable, String(error)));
    const where = `call ${fault}, ${isDone ? 'done' : 'not done'}: ${JSON.stringify(it.received)}`;
    const types = [...new Map(it.received.map(({ id, type }) => [id, type])).values()];
    assert.deepEqual(types, ['alert.firing', 'alert.resolved'], where);
    assert.ok(it.received.length <= 3, where);
    assert.equal(it.note, null, where);
    mock.restoreAll();
  }
});

test('what is not taken is logged, tried again by the same id, and comes before what is later', async () => {
  const error = mock.method(console, 'error', () => {});
  const it = world();
  it.status = 503;
  it.deadLetters = 10;
  await it.check();
  it.deadLetters = 0;
  await it.check();
  await it.check();
  assert.deepEqual([it.received.length, JSON.parse(String(it.note)).posts.length, error.mock.callCount()], [0, 2, 3]);
  assert.deepEqual(error.mock.calls[0]?.arguments[1], { alert: 'dead_letters', state: 'firing', id: error.mock.calls[1]?.arguments[1].id, error: 'Error: expected a status of 2xx from hook.example, got 503' });
  it.status = 200;
  await it.check();
  assert.deepEqual(it.received.map(({ type }) => type), ['alert.firing', 'alert.resolved']);
  assert.equal(it.note, null);
});

test('nothing is sent to a host that may not be delivered to', async () => {
  const error = mock.method(console, 'error', () => {});
  const it = world({ env: { HTTP_ALLOWED_HOSTS: 'other.example' } });
  it.deadLetters = 10;
  await it.check();
  assert.deepEqual([it.received, it.calls], [[], 3], 'no call but those of the store and the engine');
  assert.match(error.mock.calls[0]?.arguments[1].error, /expected the url of alerts to name a host that may be delivered to, got "hook.example"/);
});

test('a stack without alerts reads nothing and writes nothing; one whose numbers are good writes nothing', async () => {
  await checkAlerts(/** @type {any} */ ({}), /** @type {any} */ ({}), {});
  const it = world();
  it.deadLetters = 9;
  await it.check();
  assert.deepEqual([it.calls, it.note], [2, null]);
});

test('a part that does not answer hides no other one', async () => {
  const warn = mock.method(console, 'warn', () => {});
  const it = world({ settings: { limits: { dead_letters: 10, database_percent: 80, failure_percent: 10 } } });
  it.deadLetters = 10;
  await it.check(); // the store of this world has neither sizes nor counts
  assert.deepEqual(it.received.map(({ type }) => type), ['alert.firing']);
  assert.deepEqual(warn.mock.calls.map(({ arguments: [, { what }] }) => what).sort(), ['counts', 'sizes']);
});

for (const engine of /** @type {const} */ (['queue', 'workflow'])) for (const store of engine === 'queue' ? STORES : STORES.slice(0, 1)) describe(`alerts with ${store} and ${engine}`, () => {
  test('fire, are shown and told with a signature, and are resolved', async () => {
    const target = await startTarget();
    /** @type {Omit<AlertSettings, 'limits'> & {limits: Partial<Record<AlertName, number>>}} */
    const settings = {
      ...SETTINGS, url: `http://${target.host}/empty?key=1`, hold_seconds: 0, failure_min_tasks: 1,
      limits: { ...(engine === 'queue' && { backlog_age_seconds: 3_600 }), dead_letters: engine === 'queue' ? 1_000 : 1, failure_percent: 50, ...(store !== 'kv' && { database_percent: 80 }) },
    };
    const api = await startApi({ store, engine, settings: { ALERTS: JSON.stringify(settings), HTTP_ALLOWED_HOSTS: target.host, CALLBACK_SECRETS: JSON.stringify([SECRET]) }, face: 'runner' });
    try {
      const show = async () => {
        await new Promise((resolve) => { setTimeout(resolve, 5_100); }); // an isolate answers again from the same figures
        const { status, body } = await api.call('GET', '/alerts');
        assert.equal(status, 200, JSON.stringify(body));
        return body;
      };
      await api.worker.sweep();
      const { body: quiet } = await api.call('GET', '/alerts');
      assert.deepEqual([quiet.url, quiet.untold], [`http://${target.host}`, 0]);
      assert.deepEqual(quiet.alerts.map((/** @type {any} */ { name, state, limit }) => [name, state, limit]), Object.entries(settings.limits).map(([name, limit]) => [name, 'ok', limit]));
      assert.deepEqual(target.received, []);

      const isDone = async (/** @type {string} */ taskId) => ['failed', 'completed'].includes(String(await api.worker.status(taskId)));
      const work = async (/** @type {string} */ payload) => {
        const taskId = await api.submit('?handler=echo&maxRetries=0', { body: payload });
        if (engine === 'queue') return api.attempt(taskId);
        while (!await isDone(taskId)) await new Promise((resolve) => { setTimeout(resolve, 50); });
        return undefined;
      };
      const forgetStatistics = async () => { // those of KV stand for a quarter of an hour
        if (store === 'kv') await (await api.worker.miniflare.getKVNamespace('KV', 'task-runner')).delete('statistics');
      };
      await work('fail');
      await forgetStatistics();
      await api.worker.sweep();
      await api.worker.sweep();
      const expected = engine === 'queue' ? ['failure_percent'] : ['dead_letters', 'failure_percent'];
      const bodies = target.received.map(({ body }) => JSON.parse(body));
      assert.deepEqual(bodies.map(({ type, data }) => [type, data.alert]).sort(), expected.map((alert) => ['alert.firing', alert]));
      const of = bodies.find(({ data }) => data.alert === 'failure_percent');
      assert.deepEqual({ ...of.data, since: null }, {
        worker: 'task-runner-test', alert: 'failure_percent', state: 'firing', value: 100, limit: 50, since: null,
        message: 'task-runner-test: failure_percent fires: 100 percent of the tasks that have ended in the last minutes have failed',
      });
      for (const { headers, body, method, url } of target.received) {
        assert.deepEqual([method, url, headers['content-type']], ['POST', '/empty?key=1', 'application/json']);
        const key = Buffer.from(SECRET.replace('whsec_', ''), 'base64');
        assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', key).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64')}`);
      }
      const fired = await show();
      assert.deepEqual(fired.alerts.filter((/** @type {any} */ { state }) => state === 'firing').map((/** @type {any} */ { name }) => name), expected);
      const { value, since, firedAt } = fired.alerts.find((/** @type {any} */ { name }) => name === 'failure_percent');
      assert.ok(value === 100 && since !== null && firedAt >= since, JSON.stringify(fired));
      assert.deepEqual((await api.call('GET', '/stats')).body.firing, expected);
      assert.match((await api.call('GET', '/metrics')).body, /^ephemera_alert_firing\{alert="failure_percent"\} 1$/m);

      for (let number = 0; number < 3; number++) await work('work');
      if (engine === 'workflow') await api.call('POST', '/actions', { body: { action: 'delete', filter: { status: 'failed' } } });
      await forgetStatistics();
      for (let time = 0; time < 50 && target.received.length < 2 * expected.length; time++) {
        await api.worker.sweep();
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
      const told = target.received.slice(expected.length).map(({ body }) => JSON.parse(body));
      assert.deepEqual(told.map(({ type, data }) => [type, data.alert]).sort(), expected.map((alert) => ['alert.resolved', alert]));
      assert.deepEqual((await show()).alerts.filter((/** @type {any} */ { state }) => state !== 'ok'), []);
      assertRefused(await api.call('GET', '/alerts?x=1'), 400, 'invalid_parameter', { parameter: 'x' });
    } finally {
      target.stop();
      await api.stop();
    }
  });
});

test('a stack without alerts says so, and GET /stats what is paused', async () => {
  const api = await startApi();
  try {
    assert.deepEqual((await api.call('GET', '/alerts')).body, { url: null, alerts: [], untold: 0 });
    await api.call('POST', '/handlers/echo/pause');
    await api.call('POST', '/pause');
    const { body } = await api.call('GET', '/stats');
    assert.deepEqual([body.paused.map((/** @type {any} */ { handler }) => handler), body.firing], [[null, 'echo'], []]);
    assert.match((await api.call('GET', '/metrics')).body, /^ephemera_handler_paused\{handler="\*"\} 1$/m);
  } finally {
    await api.stop();
  }
});

test('an object that is emptied keeps what fires', async () => {
  const target = await startTarget();
  const settings = { ...SETTINGS, url: `http://${target.host}/empty`, hold_seconds: 0, failure_min_tasks: 1, limits: { failure_percent: 50 } };
  const api = await startApi({ store: 'durable-object', settings: { ALERTS: JSON.stringify(settings), HTTP_ALLOWED_HOSTS: target.host }, face: 'runner' });
  try {
    const taskId = await api.submit('?handler=echo&maxRetries=0', { body: 'fail' });
    await api.attempt(taskId);
    await api.worker.sweep();
    const { body: action } = await api.call('POST', '/actions', { body: { action: 'delete', filter: { ids: [taskId] } } });
    for (let state = action.state; state === 'running';) ({ state } = (await api.call('GET', `/actions/${action.id}`)).body);
    for (let time = 0; time < 3; time++) await api.worker.sweep();
    const types = target.received.map(({ body }) => JSON.parse(body).type);
    assert.deepEqual(types.slice(0, 1), ['alert.firing']);
    assert.deepEqual(types.slice(1), types.length > 1 ? ['alert.resolved'] : [], 'it is not told anew');
  } finally {
    target.stop();
    await api.stop();
  }
});

test('settings are read from the binding', () => {
  assert.equal(alertSettings({}), null);
  assert.deepEqual(alertSettings({ ALERTS: JSON.stringify(SETTINGS) }), SETTINGS);
});
