import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startWorker } from './worker_under_test.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => { worker = await startWorker(); });
after(() => worker.stop());

test('POST /task stores the task as pending and answers with its id', async () => {
  const reply = await worker.fetch('/task', { method: 'POST', body: '{"work": "demo"}' });
  assert.equal(reply.status, 200);
  const body = /** @type {{taskId: string, status: string}} */ (await reply.json());
  assert.deepEqual(Object.keys(body), ['taskId', 'status']);
  assert.match(body.taskId, UUID_V7);
  assert.equal(body.status, 'pending');
  const row = await worker.row(body.taskId);
  assert.equal(row?.['status'], 'pending');
  assert.equal(row?.['payload'], '{"work": "demo"}');
  const day_from_now = Date.now() / 1000 + 86_400;
  assert.ok(Math.abs(row?.['expires_at'] - day_from_now) < 10);
});

test('an empty body is an empty JSON object', async () => {
  const reply = await worker.fetch('/task', { method: 'POST' });
  const { taskId } = /** @type {{taskId: string}} */ (await reply.json());
  assert.equal((await worker.row(taskId))?.['payload'], '{}');
});

test('the payload is the body, untouched', async () => {
  for (const body of ['not json', '\uFEFF{"byte": "order mark"}', ' {"white": "space"} \n', '𝒳 𝓎', 'a\0b']) {
    assert.equal((await worker.row(await worker.submit(body)))?.['payload'], body);
  }
  const binary = Uint8Array.of(0xff, 0x00, 0xfe, 0x80);
  assert.deepEqual((await worker.row(await worker.submit(binary)))?.['payload'], [...binary]);
});

test('a payload may be as long as the limit, and no longer', async () => {
  const longest = await worker.fetch('/task', { method: 'POST', body: 'x'.repeat(MAX_PAYLOAD_BYTES) });
  assert.equal(longest.status, 200);
  const [{ tasks }] = /** @type {[{tasks: number}]} */ (await worker.rows('SELECT count(*) AS tasks FROM tasks'));
  const chunked = new ReadableStream({
    start(controller) {
      for (let sent = 0; sent <= MAX_PAYLOAD_BYTES; sent += 65_536) controller.enqueue(new Uint8Array(65_536));
      controller.close();
    },
  });
  for (const init of [{ body: 'x'.repeat(MAX_PAYLOAD_BYTES + 1) }, { body: chunked, duplex: /** @type {const} */ ('half') }]) {
    const reply = await worker.fetch('/task', { method: 'POST', ...init });
    assert.equal(reply.status, 413);
    assert.deepEqual(await reply.json(), { error: 'payload too large: at most 1048576 bytes' });
  }
  assert.deepEqual(await worker.rows('SELECT count(*) AS tasks FROM tasks'), [{ tasks }]);
});

test('GET /task/:id tells the status', async () => {
  const taskId = await worker.submit();
  const reply = await worker.fetch(`/task/${taskId}`);
  assert.equal(reply.status, 200);
  assert.deepEqual(await reply.json(), { taskId, status: 'pending' });
  assert.equal((await worker.fetch(`/task/${taskId}`, { method: 'HEAD' })).status, 200);
});

test('what is not there is not found', async () => {
  for (const path of ['/task/unknown', '/task/%E0%A4%A', '/task/', '/task/a/b', '/', '/tasks', '/task/1/']) {
    const reply = await worker.fetch(path);
    assert.equal(reply.status, 404, path);
    assert.deepEqual(await reply.json(), { error: 'not found' });
  }
});

test('a known path with another method is not allowed, and tells which are', async () => {
  for (const [method, path, allow] of /** @type {const} */ ([
    ['GET', '/task', 'POST'], ['PUT', '/task', 'POST'], ['POST', '/task/x', 'GET, HEAD'], ['DELETE', '/task/x', 'GET, HEAD'],
  ])) {
    const reply = await worker.fetch(path, { method });
    assert.equal(reply.status, 405, `${method} ${path}`);
    assert.equal(reply.headers.get('Allow'), allow);
    assert.deepEqual(await reply.json(), { error: 'method not allowed' });
  }
});

test('ids are in the order of time', async () => {
  const ids = [];
  for (let each = 0; each < 3; each++) ids.push(await worker.submit());
  assert.deepEqual([...ids].sort(), ids);
  assert.ok(Math.abs(Number.parseInt(String(ids[0]).replace('-', '').slice(0, 12), 16) - Date.now()) < 10_000);
});

test('a task whose message could not be sent is accepted all the same', async () => {
  const queueless = await startWorker({ bound: false });
  try {
    const reply = await queueless.fetch('/task', { method: 'POST', body: 'kept' });
    assert.equal(reply.status, 200);
    const { taskId } = /** @type {{taskId: string}} */ (await reply.json());
    assert.equal((await queueless.row(taskId))?.['payload'], 'kept');
  } finally {
    await queueless.stop();
  }
});

test('without its table the API says that the store is not available', async () => {
  const broken = await startWorker();
  try {
    await broken.rows('DROP TABLE tasks');
    const reply = await broken.fetch('/task', { method: 'POST', body: 'x' });
    assert.equal(reply.status, 503);
    assert.equal(reply.headers.get('Retry-After'), '1');
  } finally {
    await broken.stop();
  }
});
