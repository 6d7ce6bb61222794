/** The queue broker's semantics, as a Worker and a pull consumer see them. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  DataPlane,
  Ending,
  PUPPET,
  Puppeteer,
  base64,
  freePort,
  newId,
  pullConsumer,
  queue,
  sleep,
  until,
  version,
  worker,
  workerConsumer,
} from './data_plane.js';

describe('the broker', () => {
  /** @type {DataPlane} */ let dataPlane;
  /** @type {Puppeteer} */ let puppeteer;
  /** @type {object} */ let puppet;
  /** @type {string} */ let url;
  /** @type {string} */ let sender; // the queue that the puppet's binding sends to
  const ending = new Ending(after);
  /** @type {object[]} */ let known = []; // all queues so far: one that is left out would be deleted

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    puppeteer = await Puppeteer.start(ending);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    sender = newId();
    const bindings = [
      { type: 'plain_text', name: 'NAME', text: 'puppet' },
      { type: 'plain_text', name: 'PUPPETEER', text: puppeteer.url },
      { type: 'queue', name: 'QUEUE', queue_id: sender, delivery_delay: null },
    ];
    puppet = worker('puppet', port, [version(PUPPET, { bindings })]);
    await dataPlane.configure([puppet], [queue(sender, null)]);
    await fetch(url); // Workers start when they are asked for, after a start of everything
  });

  beforeEach(() => {
    puppeteer.deliveries = [];
    puppeteer.mostRunning = 0;
    puppeteer.plan = () => ({});
  });

  /** @param {{id: string}[]} queues the ones that a test changes */
  async function configure(...queues) {
    known = [...known.filter((one) => !queues.some(({ id }) => id === /** @type {any} */ (one).id)), ...queues];
    const others = known.some((one) => /** @type {any} */ (one).id === sender) ? [] : [queue(sender, null)];
    await dataPlane.configure([puppet], [...others, ...known]);
  }

  /**
   * @param {object} [consumer]
   * @param {object} [settings]
   */
  async function consumed(consumer, settings) {
    const id = newId();
    await configure(queue(id, workerConsumer('puppet', consumer), settings));
    return id;
  }

  /** @param {number} count of deliveries */
  const delivered = (count) => until(`${count} deliveries`, () => puppeteer.deliveries.length >= count);
  /** @param {string} id */
  const empty = (id) => until('an empty queue', async () => (await dataPlane.backlog(id)) === 0);

  /**
   * @param {string} id
   * @param {object} [body]
   */
  const pull = (id, body) => dataPlane.expect('POST', `/objects/queues/${id}/pull`, { batch_size: 10, ...body });

  /**
   * @param {string} path
   * @param {object} body
   */
  async function post(path, body) {
    const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
    return { status: response.status, text: await response.text() };
  }

  test('delivers a lone message at once when there is no wait', async () => {
    const id = await consumed();
    const sent = Date.now();
    await dataPlane.send(id, [{ n: 1 }]);
    await delivered(1);
    assert.ok((puppeteer.deliveries[0]?.at ?? 0) - sent < 500);
    assert.equal(puppeteer.deliveries[0]?.queue, `queue-${id}`);
    assert.deepEqual(puppeteer.bodies, [{ n: 1 }]);
    assert.equal(puppeteer.deliveries[0]?.messages[0]?.attempts, 1);
    await empty(id);
  });

  test('waits for a fuller batch, but not longer than asked, and not with a full one', async () => {
    const id = await consumed({ batch_size: 3, max_wait_time_ms: 600 });
    const start = Date.now();
    await dataPlane.send(id, [1]);
    await dataPlane.send(id, [2]);
    await sleep(200);
    assert.equal(puppeteer.deliveries.length, 0);
    await delivered(1);
    assert.ok(Date.now() - start >= 590);
    assert.deepEqual(puppeteer.bodies, [1, 2]);

    const full = Date.now();
    await dataPlane.send(id, [3, 4, 5]);
    await delivered(2);
    assert.ok(Date.now() - full < 400);
    assert.deepEqual(
      puppeteer.deliveries[1]?.messages.map(({ body }) => body),
      [3, 4, 5],
    );
  });

  test('joins messages that come fast after each other, even when there is no wait', async () => {
    const id = await consumed({ batch_size: 100 });
    const start = Date.now();
    for (let n = 0; n < 60; n++) await dataPlane.send(id, [n]);
    await empty(id);
    const most = Math.ceil((Date.now() - start) / 20) + 1; // a batch every 20 ms, however slow the machine is
    assert.equal(puppeteer.bodies.length, 60);
    assert.ok(puppeteer.deliveries.length <= most, `${puppeteer.deliveries.length} batches, at most ${most}`);
  });

  test('delivers n + 1 times, then moves the message to the dead letter queue as it was', async () => {
    const deadLetters = newId();
    const id = newId();
    await configure(
      queue(deadLetters, pullConsumer()),
      queue(id, workerConsumer('puppet', { max_retries: 2, dead_letter_queue_id: deadLetters })),
    );
    puppeteer.plan = () => ({ throw: 'no' });
    await dataPlane.send(id, [{ poison: true }]);
    await until('the dead letter', async () => (await dataPlane.backlog(deadLetters)) === 1);
    assert.deepEqual(
      puppeteer.deliveries.map(({ messages }) => messages[0]?.attempts),
      [1, 2, 3],
    );
    assert.equal(await dataPlane.backlog(id), 0);
    const { messages } = await pull(deadLetters);
    assert.equal(messages[0].body_base64, base64('{"poison":true}'));
    assert.equal(messages[0].content_type, 'json');
    assert.equal(messages[0].attempts, 1);
    assert.equal(messages[0].id, puppeteer.deliveries[0]?.messages[0]?.id);
    await sleep(100);
    assert.equal(puppeteer.deliveries.length, 3);
  });

  test('drops a spent message when there is no dead letter queue', async () => {
    const id = await consumed({ max_retries: 0 });
    puppeteer.plan = () => ({ throw: 'no' });
    await dataPlane.send(id, [1]);
    await empty(id);
    assert.equal(puppeteer.deliveries.length, 1);
  });

  test('keeps explicit acks and retries when the handler throws', async () => {
    const id = await consumed();
    puppeteer.plan = ({ messages }) =>
      messages.length === 3 ? { ack: [0], retry: [{ index: 1, delaySeconds: 0 }], throw: 'afterwards' } : {};
    await dataPlane.send(id, ['acked', 'retried', 'neither']);
    await empty(id);
    assert.deepEqual(puppeteer.bodies.slice(3).sort(), ['neither', 'retried']);
  });

  test('lets a message-level call beat a batch-level one, and the first of two calls win', async () => {
    const id = await consumed();
    puppeteer.plan = ({ messages }) => {
      if (messages.length < 4) return {};
      return { ack: [0], retry: [{ index: 1 }, { index: 0 }], retryAll: { delaySeconds: 1 } };
    };
    const start = Date.now();
    await dataPlane.send(id, ['acked', 'retried at once', 'retried later', 'retried later too']);
    await empty(id);
    assert.deepEqual(
      puppeteer.deliveries[1]?.messages.map(({ body }) => body),
      ['retried at once'],
    );
    assert.deepEqual(puppeteer.deliveries[2]?.messages.length, 2);
    assert.ok((puppeteer.deliveries[2]?.at ?? 0) - start >= 990);
  });

  test('acks the rest with ackAll, whatever comes after', async () => {
    const id = await consumed();
    puppeteer.plan = ({ messages }) =>
      messages.length === 3 ? { retry: [{ index: 2 }], ackAll: true, throw: 'late' } : {};
    await dataPlane.send(id, [1, 2, 3]);
    await empty(id);
    assert.deepEqual(puppeteer.bodies, [1, 2, 3, 3]);
  });

  test('waits for the retry delay of the consumer, which a message may overrule', async () => {
    const id = await consumed({ retry_delay_seconds: 1 });
    puppeteer.plan = ({ messages }) =>
      messages.length === 2 ? { retry: [{ index: 0 }, { index: 1, delaySeconds: 0 }] } : {};
    const start = Date.now();
    await dataPlane.send(id, ['slow', 'quick']);
    await empty(id);
    assert.deepEqual(puppeteer.bodies.slice(2), ['quick', 'slow']);
    assert.ok((puppeteer.deliveries[1]?.at ?? 0) - start < 500);
    assert.ok((puppeteer.deliveries[2]?.at ?? 0) - start >= 990);
  });

  test('delays deliveries by the queue, by the message, and not at all for an explicit 0', async () => {
    const id = await consumed({}, { delivery_delay_seconds: 1 });
    const start = Date.now();
    await dataPlane.send(id, ['as the queue says']);
    await dataPlane.send(id, ['at once'], 0);
    await dataPlane.send(id, ['later'], 2);
    await empty(id);
    assert.deepEqual(puppeteer.bodies, ['at once', 'as the queue says', 'later']);
    const [atOnce = 0, delayed = 0, later = 0] = puppeteer.deliveries.map(({ at }) => at - start);
    assert.ok(atOnce < 500 && delayed >= 990 && later >= 1990, `${atOnce} ${delayed} ${later}`);
  });

  test('never runs more invocations than max_concurrency, and several without one', async () => {
    const slow = async () => (await sleep(150), {});
    const single = await consumed({ batch_size: 1, max_concurrency: 1 });
    puppeteer.plan = slow;
    await dataPlane.send(single, [1, 2, 3, 4]);
    await empty(single);
    assert.equal(puppeteer.mostRunning, 1);

    const many = await consumed({ batch_size: 1 });
    await dataPlane.send(many, [1, 2, 3, 4, 5, 6]);
    await empty(many);
    assert.ok(puppeteer.mostRunning > 1, `${puppeteer.mostRunning}`);
  });

  test('a backlog is worked off by more invocations as it goes, up to max_concurrency; what is left over by fewer', async () => {
    const id = await consumed({ batch_size: 1, max_concurrency: 4 }, { delivery_paused: true });
    puppeteer.plan = async () => (await sleep(40), {}); // shorter than the time after which a batch that waits gets another one
    await dataPlane.send(id, Array.from({ length: 100 }, (_, number) => number));
    await configure(queue(id, workerConsumer('puppet', { batch_size: 1, max_concurrency: 4 })));
    await empty(id);
    assert.equal(puppeteer.mostRunning, 4);
    assert.deepEqual(puppeteer.bodies.toSorted((one, other) => one - other), Array.from({ length: 100 }, (_, number) => number));
    const start_ms = Date.now();
    puppeteer.mostRunning = 0;
    await dataPlane.send(id, ['lone']);
    await delivered(101);
    assert.equal(puppeteer.mostRunning, 1);
    assert.ok(Date.now() - start_ms < 1_000);
  });

  test('messages that many senders send at once are each there once', async () => {
    const id = newId();
    await configure(queue(id, pullConsumer({})));
    await Promise.all(Array.from({ length: 60 }, (_, number) => dataPlane.send(id, [number])));
    assert.equal(await dataPlane.backlog(id), 60);
    const { messages } = await pull(id, { batch_size: 100 });
    assert.equal(new Set(messages.map((/** @type {any} */ { body_base64 }) => body_base64)).size, 60);
    assert.equal(new Set(messages.map((/** @type {any} */ message) => message.id)).size, 60);
  });

  test('pauses and resumes, and takes other settings, without a new workerd', async () => {
    const pid = await dataPlane.storePid();
    const id = await consumed({}, { delivery_paused: true });
    await dataPlane.send(id, [1, 2, 3]);
    await sleep(150);
    assert.equal(puppeteer.deliveries.length, 0);
    await configure(queue(id, workerConsumer('puppet', { batch_size: 1, max_concurrency: 1 })));
    await empty(id);
    assert.deepEqual(
      puppeteer.deliveries.map(({ messages }) => messages.length),
      [1, 1, 1],
    );
    assert.equal(await dataPlane.storePid(), pid);
  });

  test('keeps messages without a consumer, and delivers them to one that comes later', async () => {
    const id = newId();
    await configure(queue(id, null));
    await dataPlane.send(id, ['kept']);
    await sleep(100);
    assert.equal(await dataPlane.backlog(id), 1);
    await configure(queue(id, workerConsumer('puppet')));
    await empty(id);
    assert.deepEqual(puppeteer.bodies, ['kept']);
  });

  test('forgets messages at the end of their retention', async () => {
    const id = newId();
    await configure(queue(id, null, { message_retention_seconds: 1 }));
    await dataPlane.send(id, [1, 2]);
    assert.equal(await dataPlane.backlog(id), 2);
    await sleep(600);
    await dataPlane.send(id, [3]);
    await sleep(500);
    const { messages } = await dataPlane.expect('POST', `/objects/queues/${id}/peek`, { batch_size: 10 });
    assert.deepEqual(
      messages.map((/** @type {any} */ { body_base64 }) => body_base64),
      [base64('3')],
    );
    await empty(id);
  });

  test('leases messages to pulls; an ended lease gives them back and is worth no ack', async () => {
    const id = newId();
    await configure(queue(id, pullConsumer({ visibility_timeout_ms: 300 })));
    await dataPlane.send(id, ['a', 'b']);
    const first = await pull(id, { batch_size: 1 });
    assert.equal(first.message_backlog_count, 2);
    assert.equal(first.messages[0].attempts, 1);
    assert.equal((await pull(id)).messages[0].body_base64, base64('"b"'));
    assert.deepEqual((await pull(id)).messages, []);
    await sleep(350);
    const again = await pull(id, { visibility_timeout_ms: 60_000 });
    assert.deepEqual(
      again.messages.map((/** @type {any} */ { attempts }) => attempts),
      [2, 2],
    );

    const stale = first.messages[0].lease_id;
    const [one, two] = again.messages.map((/** @type {any} */ { lease_id }) => ({ lease_id }));
    const acked = await dataPlane.expect('POST', `/objects/queues/${id}/acknowledge`, {
      acks: [one, { lease_id: stale }],
      retries: [two],
    });
    assert.equal(acked.ack_count, 1);
    assert.equal(acked.retry_count, 1);
    assert.deepEqual(Object.keys(acked.warnings), [stale]);
    assert.equal((await pull(id)).messages[0].attempts, 3);
  });

  test('gives a retried pull its delay', async () => {
    const id = newId();
    await configure(queue(id, pullConsumer()));
    await dataPlane.send(id, ['a']);
    const { messages } = await pull(id);
    await dataPlane.expect('POST', `/objects/queues/${id}/acknowledge`, {
      retries: [{ lease_id: messages[0].lease_id, delay_seconds: 1 }],
    });
    assert.equal((await pull(id)).messages.length, 0);
    await sleep(1050);
    assert.equal((await pull(id)).messages.length, 1);
  });

  test('moves what a pull consumer spent to the dead letter queue, even when nobody pulls again', async () => {
    const deadLetters = newId();
    const id = newId();
    const consumer = pullConsumer({ max_retries: 1, visibility_timeout_ms: 100, dead_letter_queue_id: deadLetters });
    await configure(queue(deadLetters, null), queue(id, consumer));
    await dataPlane.send(id, ['ends by a lease', 'ends by a retry']);
    await pull(id);
    await sleep(120);
    const { messages } = await pull(id);
    await dataPlane.expect('POST', `/objects/queues/${id}/acknowledge`, { retries: [{ lease_id: messages[1].lease_id }] });
    await until('both dead letters', async () => (await dataPlane.backlog(deadLetters)) === 2);
    assert.equal(await dataPlane.backlog(id), 0);
  });

  test('peeks without a lease and without an attempt', async () => {
    const id = newId();
    await configure(queue(id, pullConsumer()));
    await dataPlane.send(id, ['a', 'b']);
    const { messages } = await dataPlane.expect('POST', `/objects/queues/${id}/peek`, { batch_size: 1 });
    assert.equal(messages.length, 1);
    assert.equal(messages[0].attempts, 0);
    assert.equal('lease_id' in messages[0], false);
    assert.deepEqual(
      (await pull(id)).messages.map((/** @type {any} */ { attempts }) => attempts),
      [1, 1],
    );
  });

  test('purges, counts, and forgets a queue that is deleted', async () => {
    const id = newId();
    await configure(queue(id, null));
    const before = Date.now();
    const metrics = await dataPlane.send(id, ['abc', 'def']);
    assert.equal(metrics.backlog_count, 2);
    assert.equal(metrics.backlog_bytes, 10);
    assert.ok(metrics.oldest_message_timestamp_ms >= before);
    await dataPlane.expect('POST', `/objects/queues/${id}/purge`);
    assert.deepEqual(await dataPlane.expect('POST', `/objects/queues/${id}/metrics`), {
      backlog_count: 0,
      backlog_bytes: 0,
      oldest_message_timestamp_ms: 0,
    });

    await dataPlane.send(id, ['lost']);
    known = known.filter((one) => /** @type {any} */ (one).id !== id);
    await configure();
    const reply = await dataPlane.call('POST', `/objects/queues/${id}/metrics`);
    assert.equal(reply.status, 404);
    assert.equal(reply.body.error.kind, 'not_found');
    await configure(queue(id, null)); // the change was taken back
    assert.equal(await dataPlane.backlog(id), 1);
    known = known.filter((one) => /** @type {any} */ (one).id !== id);
    await configure();
    await dataPlane.expect('DELETE', `/data/queues/${id}`);
    await configure(queue(id, null));
    assert.equal(await dataPlane.backlog(id), 0);
  });

  test('lets a Worker send, send batches and see metrics', async () => {
    await configure(queue(sender, null));
    const { text } = await post('/send', { body: { a: 1 } });
    assert.equal(JSON.parse(text).metadata.metrics.backlogCount, 1);
    const messages = [
      { body: 'text', contentType: 'text' },
      { body: { b: 2 }, delaySeconds: 60 },
    ];
    await post('/sendBatch', { messages });
    const metrics = /** @type {any} */ (await (await fetch(`${url}/metrics`)).json());
    assert.equal(metrics.backlogCount, 3);
    const peeked = await dataPlane.expect('POST', `/objects/queues/${sender}/peek`, { batch_size: 10 });
    assert.deepEqual(
      peeked.messages.map((/** @type {any} */ { content_type, body_base64 }) => [content_type, atob(body_base64)]),
      [
        ['json', '{"a":1}'],
        ['text', 'text'],
        ['json', '{"b":2}'],
      ],
    );
    assert.equal((await pull(sender)).messages.length, 2); // one is delayed
    await dataPlane.expect('POST', `/objects/queues/${sender}/purge`);
  });

  test('delivers each content type as its sender meant it', async () => {
    await configure(queue(sender, workerConsumer('puppet', { batch_size: 3, max_wait_time_ms: 2000 })));
    await post('/sendBatch', {
      messages: [
        { body: 'plain', contentType: 'text' },
        { body: { deep: [1] }, contentType: 'json' },
        { body: ['v8'], contentType: 'v8' },
      ],
    });
    await delivered(1);
    assert.deepEqual(puppeteer.bodies, ['plain', { deep: [1] }, ['v8']]);
    await configure(queue(sender, null));
  });

  test('tells senders of a later compatibility date the error code, too', async () => {
    const bindings = [{ type: 'queue', name: 'QUEUE', queue_id: sender, delivery_delay: null }];
    const port = await freePort();
    const coded = worker('coded', port, [version(PUPPET, { bindings, compatibility_date: '2026-10-01' })]);
    await dataPlane.configure([puppet, coded], [queue(sender, null)]);
    const told = async (/** @type {string} */ method, /** @type {unknown} */ body) => (
      await (await fetch(`http://127.0.0.1:${port}/${method}`, { method: 'POST', body: JSON.stringify(body) })).text()
    );
    assert.equal(await told('send', { body: 'x'.repeat(128_000) }), 'message length of 128002 bytes exceeds limit of 128000 (10204)');
    assert.equal(
      await told('sendBatch', { messages: Array.from({ length: 101 }, () => ({ body: 1 })) }),
      'batch message count of 101 exceeds limit of 100 (10206)',
    );
    await dataPlane.configure([puppet], [queue(sender, null)]);
  });

  test('refuses what Cloudflare refuses, with its words', async () => {
    const tooLong = 'x'.repeat(128_001 - 2); // and two quotes
    const single = await post('/send', { body: tooLong });
    assert.equal(single.text, 'Queue send failed: message length of 128001 bytes exceeds limit of 128000');
    const count = await post('/sendBatch', { messages: Array.from({ length: 101 }, () => ({ body: 1 })) });
    assert.equal(count.text, 'Queue sendBatch failed: batch message count of 101 exceeds limit of 100');
    const bytes = await post('/sendBatch', {
      messages: Array.from({ length: 3 }, () => ({ body: 'x'.repeat(99_998) })),
    });
    assert.equal(bytes.text, 'Queue sendBatch failed: batch size of 300000 bytes exceeds limit of 256000');

    const messages = [{ body_base64: base64(tooLong), content_type: 'text' }];
    assert.equal((await dataPlane.call('POST', `/objects/queues/${sender}/push`, { messages })).status, 200);
    const notJson = [{ body_base64: base64('{'), content_type: 'json' }];
    const reply = await dataPlane.call('POST', `/objects/queues/${sender}/push`, { messages: notJson });
    assert.equal(reply.body.error.kind, 'bad_request');
    await dataPlane.expect('POST', `/objects/queues/${sender}/purge`);
  });

  test('drains a backlog of 10,000 quickly', async () => {
    const id = newId();
    await configure(queue(id, null));
    const messages = Array.from({ length: 100 }, () => ({ body_base64: base64('1'), content_type: 'json' }));
    for (let i = 0; i < 100; i += 1) await dataPlane.expect('POST', `/objects/queues/${id}/push`, { messages });
    assert.equal(await dataPlane.backlog(id), 10_000);
    const start = Date.now();
    await configure(queue(id, workerConsumer('puppet', { batch_size: 100 })));
    await empty(id);
    assert.equal(puppeteer.bodies.length, 10_000);
    assert.ok(Date.now() - start < 5_000, `took ${Date.now() - start} ms`);
  });
});
