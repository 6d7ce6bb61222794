import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { apiTokens, assertRefused, startApi } from './api_under_test.js';

const TOKEN = 'first-token-of-this-test-0123456789';
const OTHER_TOKEN = 'other-token.of~this_test-0123456789';
const SUBMITTER = 'token-that-may-only-submit-012345678';
const READER = 'token-that-may-only-read-01234567890';
const ORIGIN = 'http://task-runner';
const PAGE_ORIGIN = 'https://pages.example.com';
const CHALLENGE = 'Bearer realm="task-runner"';

/** @param {string} text */
const base64 = (text) => Buffer.from(text).toString('base64');

describe('with API tokens', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ settings: { API_TOKENS: apiTokens({ first: TOKEN, other: OTHER_TOKEN }) } }); });
  after(() => api.stop());

  test('each of them opens every route', async () => {
    for (const Authorization of [
      `Bearer ${TOKEN}`, `Bearer ${OTHER_TOKEN}`, `bearer  ${TOKEN} `, `Basic ${base64(`anybody:${TOKEN}`)}`, `BASIC ${base64(`:${OTHER_TOKEN}`)}`,
    ]) {
      const { status } = await api.call('GET', '/tasks', { headers: { Authorization } });
      assert.equal(status, 200, Authorization);
    }
  });

  test('without a valid one only /health answers', async () => {
    const credentials = [
      '', TOKEN, 'Bearer', 'Bearer ', 'Bearer wrong', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, `Bearer ${TOKEN} ${OTHER_TOKEN}`,
      `Digest ${TOKEN}`, `Basic ${TOKEN}`, `Basic ${base64(TOKEN + ':')}`, `Basic ${base64('user:')}`, 'Basic %%%',
      `Basic ${base64(`user:${TOKEN} ${OTHER_TOKEN}`)}`,
    ];
    for (const Authorization of credentials) {
      const reply = await api.call('GET', '/tasks', { headers: { Authorization } });
      assertRefused(reply, 401, 'unauthorized');
      assert.equal(reply.headers.get('WWW-Authenticate'), CHALLENGE);
      assert.ok(!JSON.stringify(reply.body).includes(TOKEN));
    }
    for (const [method, path] of /** @type {const} */ ([
      ['GET', '/'], ['GET', '/dashboard.css'], ['GET', '/dashboard.js'], ['GET', '/openapi.json'], ['GET', '/stats'], ['POST', '/task'],
      ['POST', '/tasks'], ['GET', '/task/x'], ['DELETE', '/task/x'], ['POST', '/task/x/cancel'], ['POST', '/task/x/retry'], ['GET', '/nowhere'], ['PUT', '/task'], ['HEAD', '/tasks'],
      ['GET', '//health'], ['GET', '/health/'], ['OPTIONS', '/task'],
    ])) {
      assert.equal((await api.call(method, path)).status, 401, `${method} ${path}`);
    }
    assert.deepEqual((await api.call('GET', '/health')).body, { status: 'ok', version: null });
    assert.equal((await api.call('HEAD', '/health')).status, 200);
    assertRefused(await api.call('POST', '/health'), 405, 'method_not_allowed');
    assert.deepEqual(await api.worker.rows('SELECT taskId FROM tasks'), []);
  });

  test('what somebody sends without one is not read', async () => {
    assertRefused(await api.call('POST', '/task', { body: 'x'.repeat(60 * 1024) }), 401, 'unauthorized');
    const chunk = new Uint8Array(64 * 1024);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent >= 64 * 1024 * 1024) return controller.close();
        sent += chunk.byteLength;
        controller.enqueue(chunk);
      },
    });
    // The connection may be closed before the client has looked for an answer.
    const reply = await api.call('POST', '/task', { body }).catch(() => null);
    if (reply) assertRefused(reply, 401, 'unauthorized');
    assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken`);
  });

  test("a browser's own password changes nothing for another site's page", async () => {
    const Authorization = `Basic ${base64(`me:${TOKEN}`)}`;
    for (const headers of [
      { Origin: 'https://evil.example' }, { Origin: 'null' }, { Origin: `${ORIGIN}:81` }, { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' }, { 'Sec-Fetch-Site': 'none' }, { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'same-origin' },
    ]) {
      const reply = await api.call('POST', '/task', { headers: { Authorization, .../** @type {Record<string, string>} */ (headers) }, body: 'x' });
      assertRefused(reply, 403, 'forbidden_origin');
      assert.equal((await api.call('GET', '/tasks', { headers: { Authorization, .../** @type {Record<string, string>} */ (headers) } })).status, 200);
      assert.equal((await api.call('POST', '/task', { headers: { .../** @type {Record<string, string>} */ (headers), Authorization: `Bearer ${TOKEN}` } })).status, 200);
    }
    for (const headers of [{}, { Origin: ORIGIN }, { 'Sec-Fetch-Site': 'same-origin' }, { Origin: ORIGIN, 'Sec-Fetch-Site': 'same-origin' }]) {
      const { status } = await api.call('POST', '/task', { headers: { Authorization, .../** @type {Record<string, string>} */ (headers) }, body: 'x' });
      assert.equal(status, 200, JSON.stringify(headers));
    }
  });
});

test('tokens that are none keep everybody out', async () => {
  const api = await startApi({ settings: { API_TOKENS: '[]' } });
  try {
    for (const Authorization of ['', 'Bearer', `Basic ${base64(':')}`]) {
      assert.equal((await api.call('GET', '/tasks', { headers: { Authorization } })).status, 401);
    }
  } finally {
    await api.stop();
  }
});

test('a token may do what its role allows', async () => {
  const tokens = apiTokens({ ci: [SUBMITTER, 'submit'], page: [READER, 'read'], me: [TOKEN, 'operate'] });
  const api = await startApi({ settings: { API_TOKENS: tokens } });
  try {
    const statuses = async (/** @type {string} */ token) => {
      const headers = { Authorization: `Bearer ${token}` };
      const reply = async (/** @type {string} */ method, /** @type {string} */ path, /** @type {unknown} */ body = undefined) => (
        (await api.call(method, path, { headers, body })).status
      );
      return [
        await reply('POST', '/task', 'x'), await reply('POST', '/tasks', { tasks: [{}] }), await reply('GET', '/task/x'), await reply('GET', '/tasks'),
        await reply('HEAD', '/stats'), await reply('GET', '/'), await reply('DELETE', '/task/x'), await reply('POST', '/task/x/retry'), await reply('GET', '/x'),
        await reply('GET', '/task/x/payload'), await reply('HEAD', '/task/x/payload'),
      ];
    };
    assert.deepEqual(await statuses(SUBMITTER), [200, 200, 404, 403, 403, 403, 403, 403, 403, 403, 403]);
    assert.deepEqual(await statuses(READER), [403, 403, 404, 200, 200, 200, 403, 403, 404, 403, 403]);
    assert.deepEqual(await statuses(TOKEN), [200, 200, 404, 200, 200, 200, 404, 404, 404, 404, 404]);
    for (const [token, role] of [[SUBMITTER, 'submit'], [READER, 'read'], [TOKEN, 'operate'], ['wrong', null]]) {
      for (const path of ['/stats', '/task/x', '/nowhere']) {
        assert.equal((await api.call('GET', path, { headers: { Authorization: `Bearer ${token}` } })).headers.get('Caller-Role'), role, `${role} ${path}`);
      }
    }
    const refused = await api.call('POST', '/task', { headers: { Authorization: `Bearer ${READER}` }, body: 'x' });
    assertRefused(refused, 403, 'forbidden');
    assert.equal(refused.body.error, 'expected a token with the role submit or operate, got page, which has read');
  } finally {
    await api.stop();
  }
});

describe('with a rate limit', () => {
  const LIMIT = 3;
  const RATE_LIMITER = { type: 'rate-limit', namespace: '1001', simple: { limit: LIMIT, period: 60 } };

  /**
   * @param {import('./api_under_test.js').ApiUnderTest} api
   * @param {Record<string, string>} headers
   */
  async function statuses(api, headers) {
    const replies = [];
    for (let request = 0; request <= LIMIT; request++) replies.push(await api.call('GET', '/tasks', { headers }));
    const last = replies.at(-1);
    if (last?.status === 429) {
      assertRefused(last, 429, 'rate_limited');
      assert.equal(last.headers.get('Retry-After'), '60');
    }
    return replies.map(({ status }) => status);
  }

  test('each address and each token has its own count', async () => {
    const settings = { API_TOKENS: apiTokens({ first: TOKEN, other: OTHER_TOKEN }), RATE_LIMIT_PERIOD_SECONDS: '60' };
    const api = await startApi({ settings, bindings: { RATE_LIMITER } });
    try {
      const from = (/** @type {number} */ number, Authorization = '') => ({ 'CF-Connecting-IP': `192.0.2.${number}`, Authorization });
      assert.deepEqual(await statuses(api, from(1, 'Bearer wrong')), [401, 401, 401, 429]);
      assert.deepEqual(await statuses(api, from(1, `Bearer ${TOKEN}`)), [429, 429, 429, 429], 'an address that guesses is kept out');
      assert.deepEqual(await statuses(api, from(2, `Bearer ${TOKEN}`)), [200, 200, 200, 429]);
      const basic = from(3, `Basic ${base64(`:${TOKEN}`)}`);
      assert.equal((await api.call('GET', '/tasks', { headers: basic })).status, 429, 'the same token from elsewhere');
      assert.deepEqual(await statuses(api, from(4, `Bearer ${OTHER_TOKEN}`)), [200, 200, 200, 429]);
      assert.equal((await api.call('GET', '/health')).status, 200);
    } finally {
      await api.stop();
    }
  });

  test('without tokens each address has', async () => {
    const api = await startApi({ settings: { RATE_LIMIT_PERIOD_SECONDS: '60' }, bindings: { RATE_LIMITER } });
    try {
      assert.deepEqual(await statuses(api, { 'CF-Connecting-IP': '192.0.2.1' }), [200, 200, 200, 429]);
      assert.deepEqual(await statuses(api, { 'CF-Connecting-IP': '192.0.2.2' }), [200, 200, 200, 429]);
    } finally {
      await api.stop();
    }
  });
});

describe('with origins', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ settings: { API_TOKENS: apiTokens({ me: TOKEN }), CORS_ORIGINS: `${PAGE_ORIGIN} http://localhost:3000` } }); });
  after(() => api.stop());

  test('a preflight of theirs needs no token', async () => {
    const headers = { Origin: PAGE_ORIGIN, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' };
    const { status, body, headers: answered } = await api.call('OPTIONS', '/task', { headers });
    assert.deepEqual([status, body], [204, '']);
    assert.equal(answered.get('Access-Control-Allow-Origin'), PAGE_ORIGIN);
    assert.equal(answered.get('Access-Control-Allow-Methods'), 'POST');
    assert.equal(answered.get('Access-Control-Allow-Headers'), 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID');
    assert.equal(answered.get('Access-Control-Max-Age'), '7200');
    assert.equal(answered.get('Vary'), 'Origin');
    const ofATask = await api.call('OPTIONS', '/task/x', { headers: { ...headers, Origin: 'http://localhost:3000' } });
    assert.equal(ofATask.headers.get('Access-Control-Allow-Methods'), 'GET, HEAD, DELETE');
    assert.equal((await api.call('OPTIONS', '/nowhere', { headers })).status, 401);
  });

  test('they may read replies, refusals too', async () => {
    for (const Authorization of [`Bearer ${TOKEN}`, 'Bearer wrong']) {
      const { headers } = await api.call('GET', '/tasks', { headers: { Origin: PAGE_ORIGIN, Authorization } });
      assert.equal(headers.get('Access-Control-Allow-Origin'), PAGE_ORIGIN);
      assert.equal(headers.get('Access-Control-Expose-Headers'), 'Caller-Role, Idempotent-Replayed, Request-Id, Retry-After, WWW-Authenticate');
      assert.equal(headers.get('Access-Control-Allow-Credentials'), null);
      assert.equal(headers.get('Vary'), 'Origin');
    }
  });

  test('no other page may', async () => {
    for (const Origin of ['https://evil.example', `${PAGE_ORIGIN}.evil.example`, 'https://pages.example', 'null', '']) {
      const preflight = await api.call('OPTIONS', '/task', { headers: { Origin, 'Access-Control-Request-Method': 'POST' } });
      assert.equal(preflight.status, 401);
      const { headers } = await api.call('GET', '/tasks', { headers: { Origin, Authorization: `Bearer ${TOKEN}` } });
      for (const each of [headers, preflight.headers]) {
        assert.deepEqual([...each.keys()].filter((name) => name.startsWith('access-control')), []);
        assert.equal(each.get('Vary'), 'Origin');
      }
    }
  });
});

test('without origins no page of another origin may read a reply', async () => {
  const api = await startApi();
  try {
    const { headers } = await api.call('GET', '/tasks', { headers: { Origin: PAGE_ORIGIN } });
    assert.deepEqual([headers.get('Access-Control-Allow-Origin'), headers.get('Vary')], [null, null]);
    const preflight = await api.call('OPTIONS', '/task', { headers: { Origin: PAGE_ORIGIN, 'Access-Control-Request-Method': 'POST' } });
    assertRefused(preflight, 405, 'method_not_allowed');
  } finally {
    await api.stop();
  }
});
