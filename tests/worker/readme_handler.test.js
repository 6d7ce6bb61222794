/** The README's handler, as it stands there. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { startWorker } from './worker_under_test.js';

const README = join(import.meta.dirname, '..', '..', 'README.md');

/** @type {import('./worker_under_test.js').WorkerUnderTest} */
let worker;
before(async () => {
  const [, source = ''] = /^## A handler$.*?^```js$(.*?)^```$/ms.exec(await readFile(README, 'utf8')) ?? [];
  assert.match(source, /export default async function count/);
  worker = await startWorker({ handlers: { count: source } });
});
after(() => worker.stop());

test('counts words', async () => {
  const taskId = await worker.submit('the quick brown fox', '?handler=count&param.min_length=4');
  assert.deepEqual(await worker.deliver({ body: { taskId, run: 1 } }), ['ack']);
  assert.deepEqual(await worker.outcome(taskId), { status: 'completed', attempts: 1, result: { words: 2 }, error: null });
});

test('says what is wrong with a parameter', async () => {
  const reply = await worker.fetch('/task?handler=count&param.min_length=some', { method: 'POST', body: 'words' });
  assert.equal(reply.status, 400);
  assert.match(await reply.text(), /expected min_length to be a positive number, got some/);
});

test('does not retry what is no text', async () => {
  const taskId = await worker.submit(new Uint8Array([0xff]), '?handler=count');
  await worker.deliver({ body: { taskId, run: 1 } });
  assert.equal((await worker.outcome(taskId)).status, 'failed');
});
