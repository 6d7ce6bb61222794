import assert from 'node:assert/strict';
import { test } from 'node:test';

import { QueueEngine } from '../../worker/engines/queue.js';
import { newTaskId } from '../../worker/task_id.js';

const MIB = 1024 * 1024;

/** An engine whose store counts how many tasks it has given at once, and whose queues keep what they are sent. */
function engineUnderTest() {
  /** @type {number[]} */
  const claims = [];
  /** @type {any[]} */
  const sent = [];
  const queue = {
    send: async (/** @type {unknown} */ body) => { sent.push(body); },
    sendBatch: async (/** @type {{body: unknown}[]} */ messages) => { sent.push(...messages.map(({ body }) => body)); },
  };
  const store = {
    settling_seconds: 0,
    claim: async (/** @type {any[]} */ deliveries) => {
      claims.push(deliveries.length);
      return deliveries.map(({ taskId, run }) => ({ taskId, run, attempts: 1, handler: 'default', parameters: {}, payload: '', max_retries: null }));
    },
    settle: async (/** @type {any[]} */ outcomes) => new Set(outcomes.map(({ taskId }) => taskId)),
  };
  const handlers = { default: { default: async () => { throw new Error('never'); } } };
  const env = { TASK_QUEUE: queue, TASK_DLQ: queue, MAX_RETRIES: '5' };
  return { claims, sent, engine: new QueueEngine(/** @type {any} */ (env), /** @type {any} */ (store), handlers) };
}

/** @param {object} body */
function message(body, attempts = 1) {
  return /** @type {any} */ ({ id: crypto.randomUUID(), body, attempts, ack() {}, retry() {} });
}

/** @param {any[]} messages */
function batch(messages) {
  return /** @type {any} */ ({ messages });
}

test('a batch of large payloads is taken in portions that fit in memory', async () => {
  const { claims, engine } = engineUnderTest();
  const large = Array.from({ length: 40 }, () => message({ taskId: newTaskId(Date.now()), run: 1, payload_length: MIB }));
  const small = Array.from({ length: 60 }, () => message({ taskId: newTaskId(Date.now()), run: 1 }));
  await engine.consume(batch([...large, ...small]));
  assert.deepEqual(claims, [16, 16, 68]);
});

test('ordinary payloads are taken all at once, and so is what says nonsense of its length', async () => {
  const { claims, engine } = engineUnderTest();
  const lengths = [undefined, 0, -1, 0.5, 'long', [MIB], {}, null];
  await engine.consume(batch(Array.from({ length: 100 }, (_, n) => message({ taskId: newTaskId(Date.now()), run: 1, payload_length: lengths[n % lengths.length] }))));
  assert.deepEqual(claims, [100]);
});

test("a message tells its delay, even none, so that the queue's own does not hold it back", async () => {
  /** @type {unknown[]} */
  const delays = [];
  const queue = {
    send: async (/** @type {unknown} */ _, /** @type {any} */ { delaySeconds }) => { delays.push(delaySeconds); },
    sendBatch: async (/** @type {any[]} */ messages) => { delays.push(...messages.map(({ delaySeconds }) => delaySeconds)); },
  };
  const engine = new QueueEngine(/** @type {any} */ ({ TASK_QUEUE: queue, MAX_RETRIES: '5' }), /** @type {any} */ ({}), {});
  const run = { taskId: newTaskId(Date.now()), run: 1, max_retries: null };
  await engine.submit([{ ...run, delay_seconds: 0 }]);
  await engine.submit([{ ...run, delay_seconds: 0 }, { ...run, delay_seconds: 9 }]);
  assert.deepEqual(delays, [0, 0, 9]);
});

test('a message tells the length of a large payload alone, and so do those that follow it', async () => {
  const { sent, engine } = engineUnderTest();
  const [small, large, unknown] = /** @type {[string, string, string]} */ ([1, 2, 3].map((time_ms) => newTaskId(time_ms)));
  const submission = { run: 1, delay_seconds: 0, max_retries: null };
  await engine.submit([{ ...submission, taskId: small, payload_length: 64 * 1024 }]);
  await engine.submit([{ ...submission, taskId: large, payload_length: MIB }]);
  await engine.submit([{ ...submission, taskId: unknown }]);
  const first = [{ taskId: small, run: 1 }, { taskId: large, run: 1, payload_length: MIB }, { taskId: unknown, run: 1 }];
  assert.deepEqual(sent, first);
  const lastDelivery = 6;
  const { sent: again, engine: another } = engineUnderTest();
  await another.consume(batch([message({ taskId: large, run: 1, payload_length: MIB }, lastDelivery)]));
  assert.deepEqual(again, [{ taskId: large, run: 1, payload_length: MIB }]);
});

test('a task that was cancelled in its last attempt leaves no dead letter', async () => {
  /** @type {unknown[]} */
  const letters = [];
  const store = {
    settling_seconds: 0,
    claim: async (/** @type {any[]} */ [{ taskId, run }]) => [{ taskId, run, attempts: 1, handler: 'default', parameters: {}, payload: '', max_retries: 0 }],
    report: async () => new Set(),
    settle: async () => new Set(),
  };
  const dlq = { sendBatch: async (/** @type {unknown[]} */ messages) => { letters.push(...messages); } };
  const handlers = { default: { default: () => new Promise(() => {}) } };
  const engine = new QueueEngine(/** @type {any} */ ({ TASK_DLQ: dlq, MAX_RETRIES: '5', RETRY_DELAY_SECONDS: '0' }), /** @type {any} */ (store), handlers);
  /** @type {string[]} */
  const verdicts = [];
  const cancelled = { ...message({ taskId: newTaskId(Date.now()), run: 1 }), ack: () => verdicts.push('ack'), retry: () => verdicts.push('retry') };
  await engine.consume(batch([cancelled]));
  assert.deepEqual({ letters, verdicts }, { letters: [], verdicts: ['ack'] });
});
