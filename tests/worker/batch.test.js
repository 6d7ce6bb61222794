import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';

import { assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

const MAX_PAYLOAD_BYTES = 1024 * 1024;

for (const store of STORES) describe(`POST /tasks with state in ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store }); });
  after(() => api.stop());

  /**
   * @param {unknown[]} tasks
   * @returns {Promise<any[]>}
   */
  async function post(tasks) {
    const { status, body } = await api.call('POST', '/tasks', { body: { tasks } });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(Object.keys(body), ['tasks']);
    return body.tasks;
  }

  test('takes a hundred tasks at once, each with an answer of its own, in their order', async () => {
    const answers = await post(Array.from({ length: 100 }, (_, number) => ({ payload: `task ${number}`, handler: 'echo' })));
    assert.equal(answers.length, 100);
    assert.equal(new Set(answers.map(({ taskId }) => taskId)).size, 100);
    const { taskId, ...rest } = answers[42];
    assert.deepEqual(rest, { httpStatus: 200, status: 'pending' });
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).result.payload, 'task 42');
    assert.equal(await api.timesSent(taskId), 1);
  });

  test('a task has what its item says', async () => {
    const before_ms = Date.now();
    const [{ taskId }] = await post([{
      payload: { some: ['json'] }, handler: 'echo', parameters: { tone: 'soft' },
      delaySeconds: 1, ttlSeconds: 600, maxRetries: 9, idempotencyKey: `all-of-it-${store}`,
    }]);
    assert.deepEqual((await api.seen()).sent.at(-1), { taskId, run: 1, delay_seconds: 1, max_retries: 9 });
    await setTimeout(1_000);
    await api.attempt(taskId);
    const { result, maxRetries, expiresAt } = await api.task(taskId);
    assert.deepEqual({ result, maxRetries }, { result: { payload: '{"some":["json"]}', parameters: { tone: 'soft' } }, maxRetries: 9 });
    assert.ok(Math.abs(Date.parse(expiresAt) - before_ms - 601_000) < 10_000);
  });

  test('a payload is what the body of a POST /task would be', async () => {
    const payloads = /** @type {[object, unknown][]} */ ([
      [{}, '{}'], [{ payload: '' }, '{}'], [{ payload: 'text' }, 'text'], [{ payload: null }, 'null'], [{ payload: 1.5 }, '1.5'], [{ payload: [] }, '[]'],
      [{ payloadBase64: 'dGV4dA==' }, 'text'], [{ payloadBase64: '/wD+gA==' }, [0xff, 0x00, 0xfe, 0x80]],
    ]);
    const answers = await post(payloads.map(([item]) => ({ ...item, handler: 'echo' })));
    for (const [index, [item, payload]] of payloads.entries()) {
      await api.attempt(answers[index].taskId);
      assert.deepEqual((await api.task(answers[index].taskId)).result.payload, payload, JSON.stringify(item));
    }
  });

  test('a number in a payload stays as it is written, though no double holds it', async () => {
    const payload = '{"id":12345678901234567890,"huge":1e400,"fine":0.12345678901234567890,"list":[1,-2.5,"1e400"]}';
    const { body } = await api.call('POST', '/tasks', { body: `{"tasks": [{"payload": ${payload}, "handler": "echo", "delaySeconds": 1e0}]}` });
    const [{ taskId }] = body.tasks;
    await setTimeout(1_000);
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).result.payload, payload);
  });

  test('bad tasks hurt none of the others', async () => {
    const bad = /** @type {[unknown, number, string, object?][]} */ ([
      ['text', 400, 'invalid_parameter', { parameter: 'a task' }],
      [null, 400, 'invalid_parameter', { parameter: 'a task' }],
      [{ delaySeconds: -1 }, 400, 'invalid_parameter', { parameter: 'delaySeconds' }],
      [{ delaySeconds: '5' }, 400, 'invalid_parameter', { parameter: 'delaySeconds' }],
      [{ ttlSeconds: 59 }, 400, 'invalid_parameter', { parameter: 'ttlSeconds' }],
      [{ maxRetries: 1.5 }, 400, 'invalid_parameter', { parameter: 'maxRetries' }],
      [{ idempotencyKey: 'two words' }, 400, 'invalid_parameter', { parameter: 'idempotencyKey' }],
      [{ handler: 7 }, 400, 'invalid_parameter', { parameter: 'handler' }],
      [{ dealySeconds: 1 }, 400, 'invalid_parameter', { parameter: 'dealySeconds' }],
      [{ parameters: [] }, 400, 'invalid_parameter', { parameter: 'parameters' }],
      [{ parameters: { tone: 'soft' } }, 400, 'invalid_parameter', { parameter: 'tone' }],
      [{ handler: 'echo', parameters: { tone: 1 } }, 400, 'invalid_parameter', { parameter: 'tone' }],
      [{ handler: 'echo', parameters: { tone: 'rude' } }, 400, 'invalid_parameter', {}],
      [{ handler: 'echo', parameters: { tone: 'throw' } }, 500, 'handler_check_failed', {}],
      [{ handler: 'echo', parameters: { tone: 'object' } }, 500, 'handler_check_failed', {}],
      [{ payload: 'one', payloadBase64: 'dHdv' }, 400, 'invalid_parameter', { parameter: 'payload' }],
      [{ payload: '\ud800' }, 400, 'invalid_parameter', { parameter: 'payload' }],
      [{ payloadBase64: '%' }, 400, 'invalid_parameter', { parameter: 'payloadBase64' }],
      [{ payload: 'x'.repeat(MAX_PAYLOAD_BYTES + 1) }, 413, 'payload_too_large', {}],
      [{ payload: 'ä'.repeat(MAX_PAYLOAD_BYTES / 2 + 1) }, 413, 'payload_too_large', {}],
    ]);
    const answers = await post([{ payload: 'first' }, ...bad.map(([item]) => item), { payload: 'last' }]);
    assert.deepEqual([answers.at(0).httpStatus, answers.at(-1).httpStatus], [200, 200]);
    for (const [index, [item, httpStatus, code, extras]] of bad.entries()) {
      const { error, ...rest } = answers[index + 1];
      assert.deepEqual(rest, { httpStatus, code, ...extras }, JSON.stringify(item).slice(0, 100));
      assert.equal(typeof error, 'string');
    }
    const [unknown] = await post([{ handler: 'resize' }]);
    assert.deepEqual([unknown.httpStatus, unknown.code], [400, 'unknown_handler']);
    assert.ok(unknown.handlers.includes('echo'));
  });

  test('a payload may be nested deeply, unless it has numbers of which each digit is to be kept', async () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const { body } = await api.call('POST', '/tasks', { body: `{"tasks": [{"payload": ${deep}}, {"payload": "good"}, ${deep}]}` });
    assert.deepEqual(body.tasks.map((/** @type {any} */ each) => each.httpStatus), [200, 200, 400]);
    assert.equal(body.tasks[2].error, `expected a task to be an object, got ${'['.repeat(49)}…`);
    const reply = await api.call('POST', '/tasks', { body: `{"tasks": [{"payload": ${deep}, "number": 12345678901234567890}]}` });
    assertRefused(reply, 400, 'invalid_json');
    assert.equal(reply.body.error, 'expected the body to be JSON, as POST /tasks takes it, got JSON that is nested too deeply');
  });

  test('an idempotency key holds within a batch and between batches', async () => {
    const one = { payload: 'one', idempotencyKey: `batch-${store}` };
    const other = { ...one, payload: 'other' };
    const [first, again, conflict] = await post([one, one, other]);
    assert.deepEqual(again, first);
    assert.deepEqual([conflict.httpStatus, conflict.code, conflict.taskId], [409, 'idempotency_conflict', first.taskId]);
    assert.equal(await api.timesSent(first.taskId), 1);
    assert.deepEqual((await post([one]))[0], { httpStatus: 200, taskId: first.taskId, status: 'pending' });
    assert.equal(await api.timesSent(first.taskId), 2, 'its message may be lost');
    await api.attempt(first.taskId);
    const [late, lateConflict, free] = await post([one, other, { payload: 'other' }]);
    assert.deepEqual(late, { httpStatus: 200, taskId: first.taskId, status: 'completed' });
    assert.deepEqual([lateConflict.httpStatus, lateConflict.taskId], [409, first.taskId]);
    assert.equal(free.httpStatus, 200);
    assert.equal(await api.timesSent(first.taskId), 2);
  });

  test('a key given to POST /task stands for the same task in a batch', async () => {
    const taskId = await api.submit('?delay=7', { body: 'both', headers: { 'Idempotency-Key': 'both' } });
    const [answer] = await post([{ payload: 'both', delaySeconds: 7, idempotencyKey: 'both' }]);
    assert.equal(answer.taskId, taskId);
  });
});

describe('POST /tasks refuses', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi(); });
  after(() => api.stop());

  test('what is not JSON', async () => {
    for (const body of ['{"tasks":', 'text', Uint8Array.of(0xff)]) assertRefused(await api.call('POST', '/tasks', { body }), 400, 'invalid_json');
  });

  test('what is not a list of 1 to 100 tasks', async () => {
    for (const body of [{ tasks: [] }, { tasks: Array(101).fill({}) }, { tasks: {} }, {}, '']) {
      assertRefused(await api.call('POST', '/tasks', { body }), 400, 'invalid_parameter', { parameter: 'tasks' });
    }
    assertRefused(await api.call('POST', '/tasks', { body: [{}] }), 400, 'invalid_parameter', { parameter: 'the body' });
    assertRefused(await api.call('POST', '/tasks', { body: { tasks: [{}], task: 1 } }), 400, 'invalid_parameter', { parameter: 'task' });
    assertRefused(await api.call('POST', '/tasks?delay=1', { body: { tasks: [{}] } }), 400, 'invalid_parameter', { parameter: 'delay' });
  });

  test('a body that is too long', async () => {
    assertRefused(await api.call('POST', '/tasks', { body: 'x'.repeat(12 * 1024 * 1024) }), 413, 'payload_too_large');
    const nine = { tasks: Array(9).fill({ payload: 'x'.repeat(MAX_PAYLOAD_BYTES) }) };
    const { status, body } = await api.call('POST', '/tasks', { body: nine });
    assert.equal(status, 200);
    assert.deepEqual(body.tasks.map((/** @type {any} */ each) => each.httpStatus), Array(9).fill(200));
  });
});
