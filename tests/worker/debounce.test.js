/** `replace=pending`: a submission takes the place of the task with its key that has not started yet. */

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';

import { newTaskId } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { newTask, startStore } from './store_under_test.js';
import { STORES } from './worker_under_test.js';

for (const store of STORES) describe(`replace=pending with state in ${store}`, { timeout: 120_000 }, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store }); });
  after(() => api.stop());

  /**
   * @param {string} key
   * @param {string} body
   * @param {string} [query]
   */
  async function replace(key, body, query = '') {
    const reply = await api.call('POST', `/task?handler=echo&replace=pending${query}`, { body, headers: { 'Idempotency-Key': key } });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply;
  }

  test('the task becomes the last one that was submitted, and its delay begins anew', async () => {
    const first = await replace('typing', 'a', '&delaySeconds=2&maxRetries=9&param.tone=low');
    const { taskId } = first.body;
    assert.deepEqual([first.body, first.headers.get('Idempotent-Replayed')], [{ taskId, status: 'pending' }, null]);
    await setTimeout(1_000);
    const again = await replace('typing', 'ab', '&delaySeconds=4&ttlSeconds=600');
    assert.deepEqual([again.body, again.headers.get('Idempotent-Replayed')], [{ taskId, status: 'pending', replaced: true }, null]);
    await setTimeout(1_200);
    await api.attempt(taskId); // the message of the first delay
    const { status, nextAttemptAt, maxRetries, expiresAt } = await api.task(taskId);
    assert.equal(status, 'pending', 'not before the delay of the second one');
    assert.ok(Date.parse(nextAttemptAt) > Date.now());
    assert.equal(maxRetries, 2, "the stack's, as it says nothing");
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.parse(nextAttemptAt) - 600_000) < 10_000);
    await setTimeout(Math.max(0, Date.parse(nextAttemptAt) - Date.now()));
    await api.attempt(taskId);
    assert.deepEqual((await api.task(taskId)).result, { payload: 'ab', parameters: {} });
    assert.equal(await api.timesSent(taskId), 1, 'its message was on its way');
  });

  test('bytes take the place of text, and text of bytes', async () => {
    for (const [body, payload] of /** @type {const} */ ([[new Uint8Array([255, 0]), [255, 0]], ['text', 'text']])) {
      const headers = { 'Idempotency-Key': `kinds-${payload}` };
      await api.submit('?handler=echo&delaySeconds=1', { body: typeof body === 'string' ? new Uint8Array([254]) : 'other', headers });
      const taskId = await api.submit('?handler=echo&replace=pending&delaySeconds=0', { body, headers });
      await api.attempt(taskId, 2);
      assert.deepEqual((await api.task(taskId)).result.payload, payload);
    }
  });

  test('one that is due earlier than before begins another run, which has a message of its own', async () => {
    const { body: { taskId } } = await replace('sooner', 'later', '&delaySeconds=3600');
    await replace('sooner', 'now', '&delaySeconds=0');
    assert.deepEqual((await api.seen()).sent.filter((run) => run.taskId === taskId).map(({ run, delay_seconds }) => [run, delay_seconds]), [[1, 3600], [2, 0]]);
    await api.attempt(taskId, 2);
    await api.attempt(taskId, 1);
    const { status, run, attempts, result } = await api.task(taskId);
    assert.deepEqual([status, run, attempts, result.payload], ['completed', 2, 1, 'now']);
  });

  test('once it has started, also where it waits to be tried again, a new task takes the key over', async () => {
    const { body: { taskId } } = await replace('started', 'fail');
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).status, 'pending');
    const { body: next } = await replace('started', 'next', '&delaySeconds=600');
    assert.deepEqual([next.status, next.replaced, next.taskId === taskId], ['pending', undefined, false]);
    assert.deepEqual((await replace('started', 'last', '&delaySeconds=600')).body, { taskId: next.taskId, status: 'pending', replaced: true });
    assertRefused(await api.call('POST', '/task', { body: 'other', headers: { 'Idempotency-Key': 'started' } }), 409, 'idempotency_conflict', { taskId: next.taskId });
  });

  test('once it has ended a new task takes the key over, and keeps it when the former one runs again', async () => {
    const { body: { taskId } } = await replace('ended', 'first');
    assert.equal((await api.call('POST', `/task/${taskId}/cancel`)).status, 200);
    const { body: next } = await replace('ended', 'second', '&delaySeconds=600');
    assert.notEqual(next.taskId, taskId);
    assert.equal((await api.call('POST', `/task/${taskId}/retry`)).status, 200);
    assert.deepEqual((await replace('ended', 'third', '&delaySeconds=600')).body, { taskId: next.taskId, status: 'pending', replaced: true });
  });

  test('of a batch the last one counts, and one that does not replace conflicts as ever', async () => {
    const item = { handler: 'echo', idempotencyKey: 'batch', delaySeconds: 600 };
    const { body: { tasks } } = await api.call('POST', '/tasks', { body: { tasks: [
      { ...item, payload: 'one', replace: 'pending' }, { ...item, payload: 'two', replace: 'pending' }, { ...item, payload: 'three' },
    ] } });
    const [{ taskId }] = tasks;
    assert.deepEqual(tasks.slice(0, 2), [{ httpStatus: 200, taskId, status: 'pending' }, { httpStatus: 200, taskId, status: 'pending' }]);
    assert.deepEqual([tasks[2].httpStatus, tasks[2].code, tasks[2].taskId], [409, 'idempotency_conflict', taskId]);
    const { body: { tasks: [replayed] } } = await api.call('POST', '/tasks', { body: { tasks: [{ ...item, payload: 'two' }] } });
    assert.deepEqual(replayed, { httpStatus: 200, taskId, status: 'pending' });
  });

  test('submissions at the same moment leave one task', { skip: store === 'kv' && 'KV has no compare-and-set' }, async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, (_, number) => replace('race', `number ${number}`, '&delaySeconds=600')));
    assert.equal(new Set(replies.map(({ body }) => body.taskId)).size, 1);
    assert.equal(replies.filter(({ body }) => body.replaced).length, 7);
  });
});

test('replace needs a key, and is of pending tasks alone', async () => {
  const api = await startApi();
  try {
    const extras = { parameter: 'replace' };
    assertRefused(await api.call('POST', '/task?replace=pending', { body: '' }), 400, 'invalid_parameter', extras);
    for (const value of ['', 'true', 'failed', 'PENDING']) {
      assertRefused(await api.call('POST', `/task?replace=${value}`, { body: '', headers: { 'Idempotency-Key': 'k' } }), 400, 'invalid_parameter', extras);
    }
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ replace: 'pending' }, { replace: true, idempotencyKey: 'k' }] } });
    for (const { httpStatus, parameter } of body.tasks) assert.deepEqual([httpStatus, parameter], [400, 'replace']);
    assertRefused(await api.call('PUT', '/schedules/s', { body: { everySeconds: 60, replace: 'pending' } }), 400, 'invalid_parameter', extras);
  } finally {
    await api.stop();
  }
});

for (const name of /** @type {const} */ (['d1', 'sharded-d1', 'durable-object', 'kv'])) test(`a repetition in ${name}, whose reply was lost, finds what it did, though that has started`, async () => {
  const store = await startStore(name, undefined, true); // each call is made twice
  try {
    const replacing = (/** @type {string} */ payload) => newTask({
      taskId: newTaskId(Date.now(), '00'), payload, replacesPending: true, idempotency: { key: 'ab'.repeat(32), fingerprint: payload },
    });
    const first = replacing('one');
    const [{ isNew }] = await store.call('insert', [first]);
    assert.equal(isNew, true);
    const second = replacing('two');
    const [replaced] = await store.call('insert', [second]);
    assert.deepEqual([replaced.taskId, replaced.isReplaced], [first.taskId, true]);
    assert.equal((await store.claim(first.taskId))?.payload, 'two');
    const [repeated] = await store.call('insert', [second]);
    assert.deepEqual([repeated.taskId, repeated.status, repeated.isNew, repeated.conflict, repeated.isReplaced], [first.taskId, 'processing', false, false, undefined]);
    const third = replacing('three');
    const [{ taskId }] = await store.call('insert', [third]);
    assert.equal(taskId, third.taskId);
  } finally {
    await store.stop();
  }
});
