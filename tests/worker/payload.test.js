import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

const UNKNOWN_ID = '01a20477-41c5-7c7e-bacd-9b6d0e7211fe';

/** What is submitted, byte for byte. @type {Record<string, Uint8Array>} */
const PAYLOADS = {
  'text': new TextEncoder().encode('some wörds 🐙\r\n'),
  'text with a mark at its beginning': new TextEncoder().encode('\ufeffx'),
  'a NUL': new Uint8Array([0]),
  'bytes that are no text': Uint8Array.from({ length: 256 }, (_, index) => index),
  'half a character': new Uint8Array([0xf0, 0x9f, 0x90]),
  'deep JSON': new TextEncoder().encode('['.repeat(20_000) + ']'.repeat(20_000)),
  'a page': new TextEncoder().encode('<script>alert(1)</script>'),
  'as much as there may be': new Uint8Array(1024 * 1024).fill(0xff),
};

for (const store of STORES) describe(`GET /task/:id/payload with state in ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store }); });
  after(() => api.stop());

  /** @param {string} taskId */
  async function payload(taskId) {
    const reply = await api.worker.fetch(`/task/${taskId}/payload`);
    return { status: reply.status, headers: reply.headers, bytes: new Uint8Array(await reply.arrayBuffer()) };
  }

  for (const [name, body] of Object.entries(PAYLOADS)) test(`gives ${name} as it came`, async () => {
    const taskId = await api.submit('', { body });
    const { status, headers, bytes } = await payload(taskId);
    assert.equal(status, 200);
    assert.ok(Buffer.from(bytes).equals(body));
    assert.equal(headers.get('Content-Type'), 'application/octet-stream');
    assert.equal(headers.get('X-Content-Type-Options'), 'nosniff');
    assert.equal(headers.get('Content-Disposition'), `attachment; filename="${taskId}"`);
    assert.equal(headers.get('Content-Security-Policy'), "default-src 'none'; sandbox");
    assert.equal(headers.get('Cache-Control'), 'no-store');
  });

  test('none at all was an empty object', async () => {
    assert.equal(new TextDecoder().decode((await payload(await api.submit('', {}))).bytes), '{}');
  });

  test('a task that failed has it still, one that completed has it no more', async () => {
    const failed = await api.submit('?handler=echo&maxRetries=0', { body: 'fail' });
    const done = await api.submit('?handler=echo', { body: 'work' });
    for (const taskId of [failed, done]) await api.attempt(taskId);
    assert.equal(new TextDecoder().decode((await payload(failed)).bytes), 'fail');
    const reply = await api.call('GET', `/task/${done}/payload`);
    assertRefused(reply, 410, 'payload_not_kept');
    assert.match(reply.body.error, /keep_payload/);
  });

  test('refuses what it does not know', async () => {
    assertRefused(await api.call('GET', `/task/${UNKNOWN_ID}/payload`), 404, 'task_not_found');
    assertRefused(await api.call('GET', '/task/x/payload'), 404, 'task_not_found');
    assertRefused(await api.call('GET', `/task/${UNKNOWN_ID}/payload?x`), 400, 'invalid_parameter', { parameter: 'x' });
    assertRefused(await api.call('POST', `/task/${UNKNOWN_ID}/payload`), 405, 'method_not_allowed');
  });
});

for (const store of STORES) test(`with keep_payload always a completed task has it still, in ${store}`, async () => {
  const api = await startApi({ store, settings: { KEEP_PAYLOAD: 'always' } });
  try {
    const taskId = await api.submit('?handler=echo');
    await api.attempt(taskId);
    assert.deepEqual([(await api.task(taskId)).status, (await api.call('GET', `/task/${taskId}/payload`)).body], ['completed', 'work']);
  } finally {
    await api.stop();
  }
});
