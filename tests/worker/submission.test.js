import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { apiTokens, assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const MAX_PAYLOAD_BYTES = 1024 * 1024;
const DAY_MS = 86_400_000;

for (const store of STORES) describe(`POST /task with state in ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store }); });
  after(() => api.stop());

  test('stores a pending task, hands it over and answers with its id', async () => {
    const { status, body, headers } = await api.call('POST', '/task', { body: '{"work": "demo"}' });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['taskId', 'status']);
    assert.match(body.taskId, UUID_V7);
    assert.equal(body.status, 'pending');
    assert.equal(headers.get('Cache-Control'), 'no-store');
    assert.equal(headers.get('Idempotent-Replayed'), null);
    const { sent } = await api.seen();
    assert.deepEqual(sent.at(-1), { taskId: body.taskId, run: 1, delay_seconds: 0, max_retries: null });
  });

  test('a task has its defaults', async () => {
    const before_ms = Date.now();
    const { createdAt, expiresAt, ...task } = await api.task(await api.submit());
    assert.deepEqual(task, {
      taskId: task.taskId, status: 'pending', handler: 'default', run: 1, attempts: 0, crashes: 0, maxRetries: 2, progress: null,
      result: null, error: null, callback: null, parent: null, after: null, startedAt: null, finishedAt: null, nextAttemptAt: null, group: null, priority: 'normal', waitingFor: null, tags: {},
    });
    assert.ok(Math.abs(Date.parse(createdAt) - before_ms) < 10_000);
    assert.ok(Math.abs(Date.parse(expiresAt) - before_ms - DAY_MS) < 10_000);
  });

  test('the former names of settings are still read', async () => {
    const before_ms = Date.now();
    const taskId = await api.submit('?delay=3600&ttl=600&max_retries=7', { body: 'four' });
    const { maxRetries, nextAttemptAt, expiresAt } = await api.task(taskId);
    assert.equal(maxRetries, 7);
    assert.ok(Math.abs(Date.parse(nextAttemptAt) - before_ms - 3_600_000) < 10_000, nextAttemptAt);
    assert.ok(Math.abs(Date.parse(expiresAt) - before_ms - 4_200_000) < 10_000, expiresAt);
    assert.deepEqual((await api.seen()).sent.at(-1), { taskId, run: 1, delay_seconds: 3600, max_retries: 7 });
  });

  test('the payload is the body, untouched', async () => {
    for (const body of ['not json', '\uFEFF{"byte": "order mark"}', ' {"white": "space"} \n', '𝒳 𝓎', 'a\0b']) {
      const taskId = await api.submit('?handler=echo', { body, headers: { 'Content-Type': 'text/plain' } });
      await api.attempt(taskId);
      assert.equal((await api.task(taskId)).result.payload, body);
    }
  });

  test('a payload may be bytes that are no text', async () => {
    const taskId = await api.submit('?handler=echo', { body: Uint8Array.of(0xff, 0x00, 0xfe, 0x80) });
    await api.attempt(taskId);
    assert.deepEqual((await api.task(taskId)).result.payload, [0xff, 0x00, 0xfe, 0x80]);
  });

  test('an empty body is an empty JSON object', async () => {
    const taskId = await api.submit('?handler=echo', {});
    await api.attempt(taskId);
    assert.deepEqual((await api.task(taskId)).result, { payload: '{}', parameters: {} });
  });

  test("a handler gets its own parameters, and only those", async () => {
    const taskId = await api.submit('?handler=echo&tone=soft&volume=&delay=0');
    await api.attempt(taskId);
    assert.deepEqual((await api.task(taskId)).result.parameters, { tone: 'soft', volume: '' });
  });

  test('a parameter may be named as a setting is or was: its prefix tells them apart', async () => {
    const taskId = await api.submit('?handler=echo&param.tone=soft&volume=low&param.delaySeconds=9&param.ttl=8&maxRetries=4&ttl=600');
    await api.attempt(taskId);
    const { result, maxRetries } = await api.task(taskId);
    assert.deepEqual({ ...result.parameters }, { tone: 'soft', volume: 'low', delaySeconds: '9', ttl: '8' });
    assert.equal(maxRetries, 4);
  });

  test('the names of settings in a query are those of a body and of a reply', async () => {
    const before_ms = Date.now();
    const taskId = await api.submit('?delaySeconds=3600&ttlSeconds=600&maxRetries=7');
    const { maxRetries, nextAttemptAt, expiresAt } = await api.task(taskId);
    assert.equal(maxRetries, 7);
    assert.ok(Math.abs(Date.parse(nextAttemptAt) - before_ms - 3_600_000) < 10_000, nextAttemptAt);
    assert.ok(Math.abs(Date.parse(expiresAt) - before_ms - 4_200_000) < 10_000, expiresAt);
  });

  test('a payload may be as long as the limit', async () => {
    const taskId = await api.submit('', { body: 'x'.repeat(MAX_PAYLOAD_BYTES) });
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).result.bytes, MAX_PAYLOAD_BYTES);
  });

  test('the same key and the same task give the first task again, which is not sent again', async () => {
    const message = { body: '{"once": true}', headers: { 'Idempotency-Key': 'order-66' } };
    const taskId = await api.submit('?ttl=600', message);
    await api.attempt(taskId);
    const { status, body, headers } = await api.call('POST', '/task?ttl=600', message);
    assert.deepEqual({ status, body }, { status: 200, body: { taskId, status: 'completed' } });
    assert.equal(headers.get('Idempotent-Replayed'), 'true');
    assert.equal(await api.timesSent(taskId), 1);
  });

  test('the same key with another task conflicts', async () => {
    const headers = { 'Idempotency-Key': '!~key_of_another' };
    const taskId = await api.submit('?handler=echo&delay=5&tone=low', { body: 'first', headers });
    for (const [query, body] of /** @type {const} */ ([
      ['?handler=echo&delay=5&tone=low', 'second'], ['?delay=5', 'first'], ['?handler=echo&tone=low', 'first'],
      ['?handler=echo&delay=5&tone=high', 'first'], ['?handler=echo&delay=5&tone=low&ttl=600', 'first'],
      ['?handler=echo&delay=5&tone=low&max_retries=2', 'first'],
    ])) {
      assertRefused(await api.call('POST', `/task${query}`, { body, headers }), 409, 'idempotency_conflict', { taskId });
    }
    assert.equal(await api.timesSent(taskId), 1);
  });

  test('the same key hands its task over again while that is pending: its message may be lost', async () => {
    const message = { body: 'lost', headers: { 'Idempotency-Key': 'lost' } };
    const taskId = await api.submit('?delay=3600&max_retries=7', message);
    await setTimeout(1_100);
    const { body, headers } = await api.call('POST', '/task?delay=3600&max_retries=7', message);
    assert.deepEqual([body, headers.get('Idempotent-Replayed')], [{ taskId, status: 'pending' }, 'true']);
    const runs = (await api.seen()).sent.filter((run) => run.taskId === taskId);
    assert.equal(runs.length, 2);
    const { delay_seconds, ...rest } = runs[1] ?? assert.fail();
    assert.deepEqual(rest, { taskId, run: 1, max_retries: 7 });
    assert.ok(delay_seconds < 3_600 && delay_seconds > 3_590, 'no later than it would have come');
    assertRefused(await api.call('POST', '/task?delay=3600', message), 409, 'idempotency_conflict', { taskId });
    assert.equal(await api.timesSent(taskId), 2);
  });

  test('a run by hand that is pending is handed over again as what it is', async () => {
    const message = { body: 'fail', headers: { 'Idempotency-Key': 'by-hand' } };
    const taskId = await api.submit('?handler=echo&delay=1&max_retries=0', message);
    await setTimeout(1_000);
    await api.attempt(taskId);
    assert.equal((await api.call('POST', `/task/${taskId}/retry`)).status, 200);
    assert.deepEqual((await api.call('POST', '/task?handler=echo&delay=1&max_retries=0', message)).body, { taskId, status: 'pending' });
    assert.deepEqual((await api.seen()).sent.filter((run) => run.taskId === taskId).map(({ run, delay_seconds }) => [run, delay_seconds]), [[1, 1], [2, 0], [2, 0]]);
  });

  test('two submissions at once with the same key are one task', { skip: store === 'kv' && 'KV has no compare-and-set' }, async () => {
    const message = { body: 'raced', headers: { 'Idempotency-Key': 'race' } };
    const replies = await Promise.all(Array.from({ length: 5 }, () => api.call('POST', '/task', message)));
    assert.deepEqual(new Set(replies.map(({ body }) => body.taskId)).size, 1);
    assert.equal(replies.filter(({ headers }) => headers.get('Idempotent-Replayed') === 'true').length, 4);
  });
});

const TOKEN = 'secret-of-the-worker-that-nobody-is-told';

describe('POST /task refuses', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ settings: { API_TOKENS: apiTokens({ me: TOKEN }) } }); });
  after(() => api.stop());

  /**
   * @param {string} query
   * @param {{headers?: Record<string, string>, body?: unknown}} [message]
   */
  function post(query, { headers, body = 'work' } = {}) {
    return api.call('POST', `/task${query}`, { body, headers: { ...headers, Authorization: `Bearer ${TOKEN}` } });
  }

  test('settings out of range', async () => {
    for (const [parameter, values] of /** @type {const} */ ([
      ['delaySeconds', ['-1', '86401', 'soon']],
      ['ttlSeconds', ['59', '604801']],
      ['maxRetries', ['-1', '101']],
      ['delay', ['-1', '86401', '1.5', '1e3', '', ' 1', '+1', 'soon', '99999999999999999999']],
      ['ttl', ['0', '59', '604801', 'day']],
      ['max_retries', ['-1', '101', 'many']],
    ])) {
      for (const value of values) {
        assertRefused(await post(`?${parameter}=${encodeURIComponent(value)}`), 400, 'invalid_parameter', { parameter });
      }
    }
    const { body } = await post('?delay=soon');
    assert.equal(body.error, 'expected delay to be a whole number from 0 to 86400, got "soon"');
  });

  test('a parameter that nobody knows, or that comes twice', async () => {
    const unknown = await post('?dealy=5');
    assertRefused(unknown, 400, 'invalid_parameter', { parameter: 'dealy' });
    assert.equal(unknown.body.error, 'unknown query parameter "dealy": known are handler, delaySeconds, ttlSeconds, maxRetries, callbackUrl, on, replace, after, startWhen, group, tag, priority');
    const ofAnother = await post('?tone=soft');
    assertRefused(ofAnother, 400, 'invalid_parameter', { parameter: 'tone' });
    const own = await post('?handler=echo&pitch=high');
    const twice = await post('?delay=1&delaySeconds=2');
    assertRefused(twice, 400, 'invalid_parameter', { parameter: 'delaySeconds' });
    assert.equal(twice.body.error, 'expected delaySeconds to be given once, not as delay too, got ["2","1"]');
    assertRefused(await post('?handler=echo&tone=soft&param.tone=loud'), 400, 'invalid_parameter', { parameter: 'param.tone' });
    assert.equal(own.body.error, 'unknown query parameter "pitch": known are handler, delaySeconds, ttlSeconds, maxRetries, callbackUrl, on, replace, after, startWhen, group, tag, priority, param.tone, param.volume, param.delaySeconds, param.ttl');
    assertRefused(await post('?delay=1&delay=2'), 400, 'invalid_parameter', { parameter: 'delay' });
    assertRefused(await post('?handler=echo&handler=default'), 400, 'invalid_parameter', { parameter: 'handler' });
  });

  test('a handler that is not there', async () => {
    for (const name of ['resize', '', 'constructor', '__proto__', 'x'.repeat(2000)]) {
      const { status, body } = await post(`?handler=${name}`);
      assert.deepEqual([status, body.code], [400, 'unknown_handler'], name);
      assert.ok(body.handlers.includes('default') && body.handlers.includes('echo'));
      assert.ok(body.error.length < 300);
    }
  });

  test("what the handler's check finds fault with, which does not see the tokens", async () => {
    const { status, body } = await post('?handler=echo&tone=rude');
    assert.deepEqual({ status, body }, { status: 400, body: { error: 'expected tone to be polite, got rude', code: 'invalid_parameter' } });
    const seen = (await post('?handler=echo&tone=bindings')).body.error;
    assert.match(seen, /\bMAX_RETRIES\b/);
    assert.doesNotMatch(seen, /API_TOKENS/);
  });

  test('a task whose check finds no fault, though it says nothing or changes what it was shown', async () => {
    for (const tone of ['undefined', 'meddle']) {
      const { status, body: { taskId } } = await post(`?handler=echo&tone=${tone}`);
      assert.equal(status, 200);
      await api.attempt(taskId);
      const { body } = await api.call('GET', `/task/${taskId}`, { headers: { Authorization: 'Bearer secret-of-the-worker-that-nobody-is-told' } });
      assert.deepEqual(body.result.parameters, { tone });
    }
  });

  test("what the handler's check fails at, as a fault of the handler's", async () => {
    for (const [tone, sentence] of /** @type {const} */ ([
      ['throw', 'expected check of handler echo to say what is wrong with the parameters, if anything; it threw TypeError: the log says more'],
      ['throw-odd', 'expected check of handler echo to say what is wrong with the parameters, if anything; it threw Error: the log says more'],
      ['recurse', 'expected check of handler echo to say what is wrong with the parameters, if anything; it threw RangeError: the log says more'],
      ['object', 'expected check of handler echo to return null or a sentence, got a value of type object'],
      ['false', 'expected check of handler echo to return null or a sentence, got a value of type boolean'],
      ['empty', 'expected check of handler echo to return null or a sentence, got an empty text'],
      ['promise', 'expected check of handler echo to return null or a sentence, got a promise, which nobody waits for'],
    ])) {
      const reply = await post(`?handler=echo&tone=${tone}`);
      assertRefused(reply, 500, 'handler_check_failed');
      assert.equal(reply.body.error, sentence);
      assert.equal(reply.headers.get('Retry-After'), null);
    }
    assert.equal((await post('?handler=echo&tone=endless')).body.error, `${'x'.repeat(998)}…`);
  });

  test('a body that is declared to be JSON and is not', async () => {
    for (const type of ['application/json', 'APPLICATION/JSON; charset=utf-8', 'application/vnd.api+json', 'application/ld+json;x=y']) {
      for (const body of ['{"half":', 'text', Uint8Array.of(0xff)]) {
        assertRefused(await post('', { body, headers: { 'Content-Type': type } }), 400, 'invalid_json');
      }
      for (const body of ['{}', ' [1] ', '"text"', 'null', '']) {
        assert.equal((await post('', { body, headers: { 'Content-Type': type } })).status, 200);
      }
    }
    for (const type of ['text/plain', 'application/jsonp', 'application/json-seq', 'text/json']) {
      assert.equal((await post('', { body: 'text', headers: { 'Content-Type': type } })).status, 200, type);
    }
  });

  test('an idempotency key that is too long or not visible ASCII', async () => {
    assert.equal((await post('', { headers: { 'Idempotency-Key': 'x'.repeat(255) } })).status, 200);
    for (const key of ['x'.repeat(256), 'two words', 'clé']) {
      const reply = await post('', { headers: { 'Idempotency-Key': key } });
      assertRefused(reply, 400, 'invalid_parameter', { parameter: 'Idempotency-Key' });
    }
  });

  test('a body that is longer than the limit, whether it says so or not', async () => {
    const [{ tasks }] = /** @type {[{tasks: number}]} */ (await api.worker.rows('SELECT count(*) AS tasks FROM tasks'));
    const chunked = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent <= MAX_PAYLOAD_BYTES; sent += 65_536) controller.enqueue(new Uint8Array(65_536));
        controller.close();
      },
    });
    for (const body of ['x'.repeat(MAX_PAYLOAD_BYTES + 1), chunked]) {
      const reply = await post('', { body });
      assertRefused(reply, 413, 'payload_too_large');
      assert.equal(reply.body.error, 'payload too large: at most 1048576 bytes');
    }
    assert.deepEqual(await api.worker.rows('SELECT count(*) AS tasks FROM tasks'), [{ tasks }]);
  });
});

test('ids are in the order of time', async () => {
  const api = await startApi();
  try {
    const ids = [];
    for (let each = 0; each < 3; each++) ids.push(await api.submit());
    assert.deepEqual([...ids].sort(), ids);
    assert.ok(Math.abs(Number.parseInt(String(ids[0]).replace('-', '').slice(0, 12), 16) - Date.now()) < 10_000);
  } finally {
    await api.stop();
  }
});

test('a task whose message could not be sent is accepted all the same', async () => {
  const api = await startApi({ bound: false });
  try {
    assert.equal((await api.task(await api.submit())).status, 'pending');
  } finally {
    await api.stop();
  }
});

test("the stack's delivery delay is the delay of a task that asks for none, and its time to live begins after it", async () => {
  const api = await startApi({ settings: { DELIVERY_DELAY_SECONDS: '600' } });
  try {
    const before_ms = Date.now();
    const taskId = await api.submit('?ttl=60');
    const { nextAttemptAt, expiresAt } = await api.task(taskId);
    assert.ok(Math.abs(Date.parse(nextAttemptAt) - before_ms - 600_000) < 10_000, nextAttemptAt);
    assert.ok(Math.abs(Date.parse(expiresAt) - before_ms - 660_000) < 10_000, expiresAt);
    assert.equal((await api.seen()).sent.at(-1)?.delay_seconds, 600);
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{}, { delaySeconds: 7 }] } });
    assert.equal(body.tasks.length, 2);
    assert.deepEqual((await api.seen()).sent.slice(-2).map(({ delay_seconds }) => delay_seconds), [600, 7]);
    assert.equal((await api.task(await api.submit('?delay=0'))).nextAttemptAt, null);
  } finally {
    await api.stop();
  }
});
