import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { retryAfterSeconds } from '../../worker/handlers/_retry_after.js';
import handle, { check } from '../../worker/handlers/http.js';
import { startTarget } from './http_target.js';
import { startWorker } from './worker_under_test.js';

describe('the http handler', () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  /** @type {Awaited<ReturnType<typeof startTarget>>} */
  let target;
  before(async () => {
    target = await startTarget();
    worker = await startWorker({ settings: { HTTP_ALLOWED_HOSTS: `example.com ${target.host} 127.0.0.1:1` } });
  });
  after(async () => {
    await worker.stop();
    target.stop();
  });

  /**
   * @param {string} path
   * @param {Record<string, string>} [parameters]
   * @param {string | Uint8Array} [body]
   * @returns {Promise<string>} the id of a new task
   */
  async function submit(path, parameters = {}, body = '{"order":7}') {
    const query = new URLSearchParams({ handler: 'http', url: `http://${target.host}${path}`, ...parameters });
    const reply = await worker.fetch(`/task?${query}`, { method: 'POST', body });
    assert.equal(reply.status, 200, await reply.clone().text());
    return /** @type {{taskId: string}} */ (await reply.json()).taskId;
  }

  /**
   * Submits a task and attempts it once.
   *
   * @param {Parameters<typeof submit>} submission
   */
  async function deliver(...submission) {
    const taskId = await submit(...submission);
    const count = target.received.length;
    await worker.deliver({ body: { taskId } });
    return { taskId, task: await worker.outcome(taskId), request: target.received[count] };
  }

  test('delivers the payload, untouched, with the name of its task', async () => {
    const { taskId, task, request } = await deliver('/orders?a=b%20c');
    assert.deepEqual(task, {
      status: 'completed', attempts: 1, error: null,
      result: { status: 200, contentType: 'application/json', body: '{"taken":true}', isTruncated: false },
    });
    const { method, url, body, headers } = request ?? assert.fail('nothing came');
    assert.deepEqual({ method, url, body }, { method: 'POST', url: '/orders?a=b%20c', body: '{"order":7}' });
    assert.equal(headers['task-id'], taskId);
    assert.equal(headers['idempotency-key'], taskId);
    assert.equal(headers['task-attempt'], '1');
    assert.equal(headers['content-type'], 'application/json');
  });

  test('says what the payload is, where no header does', async () => {
    const bytes = Uint8Array.of(0xff, 0, 0x80);
    assert.equal((await deliver('/', {}, 'plain text')).request?.headers['content-type'], 'text/plain;charset=utf-8');
    const { request } = await deliver('/', {}, bytes);
    assert.equal(request?.headers['content-type'], 'application/octet-stream');
    assert.equal(request?.body, '\xff\0\x80');
    const own = await deliver('/', { method: 'put', header: 'content-type: application/xml\r\nX-One:1\nX-Two: 2; b' }, '<a/>');
    assert.equal(own.request?.method, 'PUT');
    const { 'content-type': type, 'x-one': one, 'x-two': two } = own.request?.headers ?? {};
    assert.deepEqual([type, one, two], ['application/xml', '1', '2; b']);
  });

  test('sends no payload where a request has no content', async () => {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const { request, task } = await deliver('/', { method });
      assert.deepEqual([request?.method, request?.body, request?.headers['content-type']], [method, '', undefined]);
      assert.equal(task.result.body, method === 'HEAD' ? '' : '{"taken":true}');
    }
  });

  test('takes the expected statuses for a success, and follows no redirect', async () => {
    const { task } = await deliver('/status/404', { expected_status: '200, 404' });
    assert.deepEqual([task.status, task.result.status], ['completed', 404]);
    const count = target.received.length;
    const redirected = await deliver('/status/302', { expected_status: '2XX,3xx' });
    assert.deepEqual([redirected.task.status, redirected.task.result.status, target.received.length], ['completed', 302, count + 1]);
    assert.deepEqual((await deliver('/empty')).task.result, { status: 204, contentType: null, body: '', isTruncated: false });
  });

  test('tries again after an unexpected status, unless it would come again', async () => {
    for (const [status, outcome] of /** @type {const} */ ([
      [500, 'pending'], [503, 'pending'], [302, 'pending'], [408, 'pending'], [409, 'pending'], [421, 'pending'], [425, 'pending'], [429, 'pending'],
      [301, 'failed'], [308, 'failed'], [400, 'failed'], [401, 'failed'], [404, 'failed'], [422, 'failed'],
    ])) {
      const { task } = await deliver(`/status/${status}`);
      assert.equal(task.status, outcome, String(status));
      assert.equal(task.error.name, 'UnexpectedStatus');
      assert.equal(task.error.message, `expected status 2xx, got ${status}: ${`it is ${status} `.repeat(100).slice(0, 199)}…`);
    }
    assert.equal((await deliver('/', { expected_status: '202' })).task.status, 'pending');
  });

  test('says when to try again where the answer does, unless another attempt would be answered just so', async () => {
    const context = (/** @type {string} */ path) => /** @type {any} */ ({
      taskId: 'task', attempt: 1, signal: new AbortController().signal, bindings: { HTTP_ALLOWED_HOSTS: target.host },
      parameters: { url: `http://${target.host}${path}` },
    });
    for (const [status, retryAfter, expected] of /** @type {const} */ ([
      [429, '120', 120], [503, '120', 120], [500, '7', 7], [408, '7', 7], [302, '7', 7],
      [429, '0', undefined], [429, 'soon', undefined], [400, '120', undefined], [404, '120', undefined],
    ])) {
      const thrown = await handle('x', context(`/later/${status}/${retryAfter}`)).then(() => assert.fail('it did not fail'), (error) => error);
      assert.deepEqual([thrown.name, thrown.permanent, thrown.retry_after_seconds], ['UnexpectedStatus', status >= 400 && status < 408, expected], `${status} ${retryAfter}`);
    }
    const date = encodeURIComponent(new Date(Date.now() + 90_000).toUTCString());
    const { retry_after_seconds } = await handle('x', context(`/later/503/${date}`)).then(() => assert.fail('it did not fail'), (error) => error);
    assert.ok(retry_after_seconds >= 85 && retry_after_seconds <= 90, String(retry_after_seconds));
  });

  test('counts its attempts, under one idempotency key', async () => {
    const { taskId } = await deliver('/status/500');
    await worker.deliver({ body: { taskId }, attempts: 2 });
    const { 'task-attempt': attempt, 'idempotency-key': key } = target.received.at(-1)?.headers ?? {};
    assert.deepEqual([attempt, key], ['2', taskId]);
  });

  test('gives up a request that takes longer than it may, be it silent or slow, and closes it', async () => {
    for (const path of ['/silent', '/drip']) {
      const { task, request } = await deliver(path, { timeout_seconds: '1' });
      assert.deepEqual([task.status, task.error], ['pending', { name: 'TimeoutError', message: 'expected an end within 1 seconds, got none' }]);
      await request?.closed;
    }
  });

  test('reads no more of an answer than it keeps', async () => {
    const { task, request } = await deliver('/endless');
    assert.deepEqual([task.status, task.result.body, task.result.isTruncated], ['completed', 'x'.repeat(65_536), true]);
    await request?.closed;
    const cut = (await deliver('/cut')).task.result;
    assert.deepEqual([cut.body, cut.isTruncated], ['€'.repeat(21_845), true]);
  });

  test('keeps a body that is no text within what a result may have', async () => {
    for (const byte of [0, 255]) {
      const { task } = await deliver(`/bytes/${byte}`);
      assert.deepEqual([task.status, task.result.body, task.result.isTruncated], ['completed', '\ufffd'.repeat(65_536), false]);
    }
  });

  test('tries again when nobody answers', async () => {
    const { task } = await deliver('/', { url: 'http://127.0.0.1:1/' });
    assert.equal(task.status, 'pending');
  });

  test('looks again, at each attempt, whether the host may be delivered to', async () => {
    const taskId = await submit('/');
    await worker.rows('UPDATE tasks SET parameters = ? WHERE taskId = ?', JSON.stringify({ url: 'http://localhost:1/' }), taskId);
    await worker.deliver({ body: { taskId } });
    const { status, error } = await worker.outcome(taskId);
    assert.deepEqual([status, error.name], ['failed', 'PermanentError']);
    assert.match(error.message, /localhost:1.*http_allowed_hosts/);
  });

  test('refuses a task that it could not deliver', async () => {
    const query = new URLSearchParams({ handler: 'http', url: 'https://other.example/' });
    const reply = await worker.fetch(`/task?${query}`, { method: 'POST' });
    assert.equal(reply.status, 400);
    assert.deepEqual(await reply.json(), {
      code: 'invalid_parameter',
      error: 'expected url to name a host that may be delivered to, got "other.example": the setting http_allowed_hosts says which may',
    });
  });
});

/**
 * @param {Record<string, string>} parameters
 * @param {string} [hosts]
 */
function fault(parameters, hosts = 'api.example api.example:8443 *.wild.example') {
  return check(parameters, { HTTP_ALLOWED_HOSTS: hosts });
}

test('hosts that may be delivered to', () => {
  for (const url of [
    'https://api.example', 'http://api.example/', 'https://api.example:443/a', 'http://api.example:80/a', 'HTTPS://API.EXAMPLE/',
    'https://api.example:8443/', 'http://api.example:8443/', 'https://a.wild.example/', 'https://a.b.wild.example/#part',
  ]) assert.equal(fault({ url }), null, url);
  for (const url of [
    'https://api.example:8080/', 'https://api.example:80/', 'http://api.example:443/', 'https://example/', 'https://xapi.example/',
    'https://api.example.evil/', 'https://api.example./', 'https://wild.example/', 'https://xwild.example/', 'https://a.wild.example:8443/',
    'https://evil/?api.example', 'https://evil#api.example', 'https://evil\\@api.example/', 'http://127.0.0.1/', 'http://[::1]/',
  ]) assert.match(String(fault({ url })), /http_allowed_hosts/, url);
  assert.match(String(check({ url: 'https://api.example/' }, {})), /"api.example": the setting http_allowed_hosts says/);
  assert.match(String(fault({ url: 'https://api.example/' }, '')), /http_allowed_hosts/);
  assert.equal(fault({ url: 'https://a.wild.example:8443/' }, '*.Wild.example:8443'), null);
  assert.equal(fault({ url: 'https://api.example/' }, 'api.example:443'), null);
});

test('parameters that cannot be meant', () => {
  const url = 'https://api.example/';
  for (const [parameters, expected] of /** @type {[Record<string, string>, RegExp][]} */ ([
    [{}, /^expected url, where to deliver to, got none$/],
    [{ url: '' }, /^expected url,/],
    [{ url: 'orders' }, /^expected url to be a URL/],
    [{ url: `${url}${'x'.repeat(8_192)}` }, /^expected url to have at most 8192 characters, got 8212$/],
    [{ url: 'ftp://api.example/' }, /^expected url to be http or https, got "ftp:"$/],
    [{ url: 'https://me:secret@api.example/' }, /^expected url without a user and a password/],
    [{ url, method: 'TRACE' }, /^expected method to be one of POST, PUT, PATCH, GET, HEAD, DELETE, got "TRACE"$/],
    [{ url, header: 'no colon' }, /^expected header to be lines of the form `Name: value`/],
    [{ url, header: 'Sp ace: 1' }, /^expected header to be lines/],
    [{ url, header: 'X-Name: schlüssel' }, /^expected header to be lines/],
    [{ url, header: 'X-Name: a\rb' }, /^expected header to be lines/],
    [{ url, header: 'X-Name: 1\nx-name: 2' }, /^expected each header once, got "x-name" again$/],
    [{ url, header: `X-Name: ${'x'.repeat(8_192)}` }, /^expected header to have at most 8192 characters/],
    [{ url, expected_status: '' }, /^expected expected_status to be statuses such as 200,202,3xx, got ""$/],
    [{ url, expected_status: '2xx,' }, /^expected expected_status/],
    [{ url, expected_status: '1xx' }, /^expected expected_status/],
    [{ url, expected_status: '20' }, /^expected expected_status/],
    [{ url, timeout_seconds: '0' }, /^expected timeout_seconds to be a whole number from 1 to 840, got "0"$/],
    [{ url, timeout_seconds: '841' }, /^expected timeout_seconds/],
    [{ url, timeout_seconds: '1.5' }, /^expected timeout_seconds/],
  ])) assert.match(String(fault(parameters)), expected, JSON.stringify(parameters).slice(0, 100));
  for (const name of [
    'Host', 'content-length', 'Connection', 'Transfer-Encoding', 'TE', 'Upgrade', 'Proxy-Authorization', 'CF-Connecting-IP', 'X-Forwarded-For',
    'Task-Id', 'Task-Attempt', 'Idempotency-Key',
  ]) assert.equal(fault({ url, header: `${name}: 1` }), `expected header to be one that may be chosen, got "${name}"`);
});

test('Retry-After is a number of seconds or a date of HTTP, and anything else is as good as none', () => {
  const now_ms = Date.UTC(2026, 10, 6, 8, 49, 37);
  for (const [value, seconds] of /** @type {[string | null, number | null][]} */ ([
    ['1', 1], [' 120 ', 120], ['86400', 86_400], ['86401', 86_400], ['999999999999999', 86_400], ['0', null],
    ['Fri, 06 Nov 2026 08:50:37 GMT', 60], ['Fri, 06 Nov 2026 08:49:38 GMT', 1], ['Sun, 06 Nov 2033 08:49:37 GMT', 86_400],
    ['Friday, 06-Nov-26 08:50:37 GMT', 60], ['Fri Nov  6 08:50:37 2026', 60], ['Fri Nov 16 08:49:37 2026', 86_400],
    ['Fri, 06 Nov 2026 08:49:37 GMT', null], ['Fri, 06 Nov 2020 08:49:37 GMT', null], ['Fri, 99 Nov 2026 08:50:37 GMT', null],
    [null, null], ['', null], ['soon', null], ['-5', null], ['1.5', null], ['1e3', null], ['2026-11-06T08:50:37Z', null], ['120, 240', null],
  ])) assert.equal(retryAfterSeconds(value, now_ms), seconds, String(value));
});

test('errors repeat no secrets', () => {
  for (const parameters of [
    { url: 'https://me:secret@api.example/' }, { url: 'https://other.example/?key=secret' }, { url: 'secret' },
    { url: 'https://api.example/', header: 'Authorization secret' }, { url: 'https://api.example/', header: 'Host: secret' },
  ]) {
    const sentence = fault(/** @type {Record<string, string>} */ (parameters));
    assert.ok(sentence);
    assert.doesNotMatch(sentence, /secret/);
  }
});
