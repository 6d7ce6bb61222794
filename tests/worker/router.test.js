import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { assertRefused, startApi } from './api_under_test.js';

const PAGE_FOLDER = join(import.meta.dirname, '..', '..', 'worker', 'page');
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
      assert.equal(reply.body.error, 'not found');
    }
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

  test('/health tells that the Worker answers', async () => {
    const { status, body } = await api.call('GET', '/health');
    assert.deepEqual({ status, body }, { status: 200, body: { status: 'ok' } });
  });

  test('the dashboard is served as it lies there, and may load and be loaded by nothing else', async () => {
    for (const [path, file, type] of /** @type {const} */ ([
      ['/', 'dashboard.html', 'text/html'], ['/dashboard.css', 'dashboard.css', 'text/css'], ['/dashboard.js', 'dashboard.js', 'text/javascript'],
    ])) {
      const { status, body, headers } = await api.call('GET', path);
      assert.equal(status, 200);
      assert.equal(body, await readFile(join(PAGE_FOLDER, file), 'utf8'));
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

test('without its table the API says that the store is not available, and nothing of what was sent', async () => {
  const api = await startApi();
  try {
    await api.worker.rows('DROP TABLE tasks');
    for (const [method, path] of /** @type {const} */ ([['POST', '/task'], ['GET', '/tasks'], ['GET', `/task/${UNKNOWN_ID}`], ['GET', '/stats']])) {
      const reply = await api.call(method, path, method === 'POST' ? { body: 'a secret payload' } : {});
      assertRefused(reply, 503, 'store_unavailable');
      assert.equal(reply.headers.get('Retry-After'), '1');
      assert.ok(!JSON.stringify(reply.body).includes('secret'));
    }
  } finally {
    await api.stop();
  }
});
