import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { build } from 'esbuild';

import { browserProgram } from '../../components/bundle/browser_program.js';
import { readBody } from '../../worker/api/request.js';
import { assertRefused, startApi } from './api_under_test.js';

const ROOT = join(import.meta.dirname, '..', '..');
const PAGE_FOLDER = join(ROOT, 'worker', 'page');
const UNKNOWN_ID = '01a2051c-0000-7000-8000-000000000000';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

describe('routes', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  /** @type {any} */
  let description;
  before(async () => {
    api = await startApi();
    description = (await api.call('GET', '/openapi.json')).body;
  });
  after(() => api.stop());

  test('a path that is none is not found', async () => {
    for (const path of ['/task/', '/task/a/b', '/tasks/', '/task/1/', '/nowhere', '//', '/task/x/retry/', '/health/x', '/openapixjson', '/Task']) {
      const reply = await api.call('GET', path);
      assertRefused(reply, 404, 'not_found');
      assert.equal(reply.body.error, `there is no path ${JSON.stringify(path)}: there are ${Object.keys(description.paths).join(', ')}`);
    }
    const { body } = await api.call('GET', `/${'x'.repeat(1_000)}`);
    assert.match(body.error, /^there is no path "\/x{47}…: there are /);
  });

  test('a method that a path does not have is told with those that it has', async () => {
    assert.equal((await api.call('PUT', '/task')).body.error, 'expected POST of /task, got "PUT"');
    assert.equal((await api.call('POST', `/task/${UNKNOWN_ID}`)).body.error, 'expected GET or HEAD or DELETE of /task/{taskId}, got "POST"');
  });

  test('each path has the methods that are described, and refuses the others', async () => {
    for (const [template, item] of Object.entries(description.paths)) {
      const path = template.replace('{taskId}', UNKNOWN_ID);
      const described = METHODS.filter((method) => item[method.toLowerCase()]).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
      for (const method of METHODS) {
        const reply = await api.call(method, path);
        if (described.includes(method)) assert.ok(![405, 501].includes(reply.status), `${method} ${path}`);
        else {
          if (method === 'HEAD') assert.equal(reply.status, 405);
          else assertRefused(reply, 405, 'method_not_allowed');
          assert.deepEqual(reply.headers.get('Allow')?.split(', ').sort(), described.sort());
        }
      }
    }
  });

  test('each answer names its request, as Cloudflare does where it can, and a refusal and a stream do, too', async () => {
    const requests = /** @type {const} */ ([['GET', '/health'], ['GET', '/nowhere'], ['POST', '/task'], ['OPTIONS', '/task'], ['GET', '/']]);
    const ids = await Promise.all(requests.map(async ([method, path]) => (await api.call(method, path)).headers.get('Request-Id')));
    assert.equal(new Set(ids).size, requests.length);
    assert.ok(ids.every((id) => /^[0-9a-f-]{36}$/.test(id ?? '')), String(ids));
    const { headers } = await api.call('GET', '/health', { headers: { 'CF-Ray': '9a1b2c3d4e5f6071-FRA' } });
    assert.equal(headers.get('Request-Id'), '9a1b2c3d4e5f6071-FRA');
  });

  test('/health tells that the Worker answers', async () => {
    const { status, body } = await api.call('GET', '/health');
    assert.deepEqual({ status, body }, { status: 200, body: { status: 'ok', version: null } });
  });

  test('the dashboard is served as it lies there, its program as it is built, and may load and be loaded by nothing else', async () => {
    for (const [path, text, type] of /** @type {const} */ ([
      ['/', await readFile(join(PAGE_FOLDER, 'dashboard.html'), 'utf8'), 'text/html'],
      ['/dashboard.css', await readFile(join(PAGE_FOLDER, 'dashboard.css'), 'utf8'), 'text/css'],
      ['/dashboard.js', new TextDecoder().decode((await browserProgram(build, join(PAGE_FOLDER, 'main.tsx'), ROOT)).contents), 'text/javascript'],
    ])) {
      const { status, body, headers } = await api.call('GET', path);
      assert.equal(status, 200);
      assert.equal(body, text);
      assert.equal(headers.get('Content-Type'), `${type}; charset=utf-8`);
      assert.equal(
        headers.get('Content-Security-Policy'),
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      assert.equal(headers.get('X-Content-Type-Options'), 'nosniff');
      assert.equal(headers.get('Referrer-Policy'), 'no-referrer');
    }
  });
});

/** The task runner with a store that throws what it is told to, at every method. */
const FAULTY = `(() => {
  let thrown = null;
  const faults = {
    none: null,
    unavailable: new StoreUnavailable('D1_ERROR: a secret', { retry_after_seconds: 2.5 }),
    soon: new StoreUnavailable('D1_ERROR: a secret', { retry_after_seconds: 0 }),
    full: new StoreFull('D1_ERROR: a secret'),
    parts: new StoreUnavailable('all parts: a secret'),
    ours: new TypeError('a secret'),
    odd: 'a secret',
  };
  function FaultyStore(env) {
    return new Proxy(new Store(env), {
      get(store, name) {
        const value = store[name];
        if (typeof value !== 'function') return value;
        return async (...given) => {
          if (thrown === null) return value.apply(store, given);
          if (thrown === faults.parts && name === 'insert') return given[0].map(() => thrown);
          throw thrown;
        };
      },
    });
  }
  const runner = taskRunner({ Store: FaultyStore, Engine: QueueEngine, Consumer: QueueEngine, handlers, sweep });
  return {
    ...runner,
    fetch(request, env) {
      const [, path, name] = new URL(request.url).pathname.split('/');
      if (path !== 'fault') return runner.fetch(request, env);
      thrown = faults[name];
      return new Response();
    },
  };
})()`;

/** A request of each that asks the store. */
const ASKING = /** @type {const} */ ([
  ['POST', '/task', 'a secret payload'], ['POST', '/tasks', '{"tasks": [{}]}'], ['GET', '/tasks'], ['GET', `/task/${UNKNOWN_ID}`],
  ['DELETE', `/task/${UNKNOWN_ID}`], ['POST', `/task/${UNKNOWN_ID}/retry`], ['GET', '/stats'],
]);

describe('what the store throws', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ face: FAULTY }); });
  after(() => api.stop());

  for (const [fault, status, code, retryAfter, sentence] of /** @type {const} */ ([
    ['unavailable', 503, 'store_unavailable', '3', /try again/],
    ['soon', 503, 'store_unavailable', '1', /try again/],
    ['full', 507, 'store_full', null, /submit later/],
    ['parts', 503, 'store_unavailable', '1', /try again/],
    ['ours', 500, 'internal_error', null, /log says more/],
    ['odd', 500, 'internal_error', null, /log says more/],
  ])) test(`${fault}: every request that asks it is answered with ${status} ${code}, and nothing of what was thrown`, async () => {
    await api.call('GET', `/fault/${fault}`);
    for (const [method, path, body] of ASKING) {
      const reply = await api.call(method, path, body === undefined ? {} : { body });
      assertRefused(reply, status, code);
      assert.equal(reply.headers.get('Retry-After'), retryAfter, path);
      assert.match(reply.body.error, sentence);
      assert.ok(!JSON.stringify(reply.body).includes('secret'));
    }
    assert.equal((await api.call('GET', '/health')).status, 200);
  });

  test('a stream outlasts a store that is away for a while', async () => {
    await api.call('GET', '/fault/none');
    const taskId = await api.submit();
    const stream = await api.worker.fetch(`/task/${taskId}`, { headers: { Accept: 'text/event-stream' } });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (/** @type {unknown} */ (stream.body)).getReader();
    let text = '';
    const read = async (/** @type {string} */ until) => {
      while (!text.includes(until)) text += new TextDecoder().decode((await reader.read()).value ?? assert.fail(`the stream ended: ${text}`));
    };
    await read('"status":"pending"');
    await api.call('GET', '/fault/unavailable');
    text = '';
    await read(':\n\n');
    await api.call('GET', '/fault/none');
    await api.attempt(taskId);
    await read('"status":"completed"');
  });
});

test('statistics do without what the queues do not tell', async () => {
  const api = await startApi({ bound: false });
  try {
    const { status, body } = await api.call('GET', '/stats');
    assert.deepEqual([status, body.queue, body.deadLetters, body.counted.complete], [200, null, null, true]);
  } finally {
    await api.stop();
  }
});

test('a body that breaks off is no whole one', async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(10));
      controller.error(new Error('Network connection lost.'));
    },
  });
  const request = new Request('http://task-runner/task', /** @type {any} */ ({ method: 'POST', body, duplex: 'half' }));
  await assert.rejects(readBody(request, 100), { name: 'Refusal', status: 400, message: 'expected a whole body, got one that broke off: send the request again' });
});
