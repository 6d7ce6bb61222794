import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import guarantees from '../../worker/stores/guarantees.json' with { type: 'json' };
import { MAX_RETRIES, startWorker, STORES } from './worker_under_test.js';

const HANDLER = `
  export default async function (payload) {
    if (payload === 'bad') throw new RangeError('cannot do ' + payload);
    if (payload === 'odd') throw Object.create(null);
    if (payload === 'long') return 'x'.repeat(300_000);
    if (payload === 'large') return 'x'.repeat(200_000);
    if (payload === 'deep') return JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
    if (payload === 'circular') { const loop = {}; loop.loop = loop; return loop; }
    return { did: payload };
  }`;

const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000';

for (const store of STORES) describe(`with state in ${store}`, () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker({ store, handlers: { default: HANDLER } }); });
  after(() => worker.stop());

  test('a message takes its task to completed, with its result', async () => {
    const taskId = await worker.submit('work');
    assert.equal(await worker.status(taskId), 'pending');
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['ack']);
    assert.equal(await worker.status(taskId), 'completed');
    assert.deepEqual(await worker.outcome(taskId), { status: 'completed', attempts: 1, result: { did: 'work' }, error: null });
  });

  test('one bad message hurts none of the others of its batch', async () => {
    const [first, bad, last] = [await worker.submit('one'), await worker.submit('bad'), await worker.submit('two')];
    const malformed = [
      null, 'text', 7, [], [{ taskId: first }], {}, { taskId: 7 }, { taskId: '' }, true,
      { taskId: '..' }, { taskId: 'x'.repeat(600) }, // which KV takes for no key
    ];
    const results = await worker.deliver(
      { body: { taskId: first } }, ...malformed.map((body) => ({ body })), { body: { taskId: bad } }, { body: { taskId: last } },
    );
    assert.deepEqual(results, ['ack', ...malformed.map(() => 'retry'), 'retry', 'ack']);
    assert.deepEqual(await Promise.all([first, bad, last].map((taskId) => worker.status(taskId))), ['completed', 'pending', 'completed']);
  });

  test('a task whose handler throws is attempted again, then fails with its error', async () => {
    const taskId = await worker.submit('bad');
    for (let attempts = 1; attempts <= MAX_RETRIES + 1; attempts++) {
      assert.deepEqual(await worker.deliver({ body: { taskId } }), [attempts <= MAX_RETRIES ? 'retry' : 'ack']);
      const status = attempts <= MAX_RETRIES ? 'pending' : 'failed';
      const error = { name: 'RangeError', message: 'cannot do bad' };
      assert.deepEqual(await worker.outcome(taskId), { status, attempts, result: null, error });
    }
  });

  test('a task with fewer retries than its message fails at its last attempt', async () => {
    const taskId = await worker.submit('bad', '?max_retries=0');
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['ack']);
    assert.deepEqual((await worker.outcome(taskId)).status, 'failed');
  });

  test('a message at its last delivery is sent anew, and its task is not attempted by it', async () => {
    const taskId = await worker.submit('work');
    assert.deepEqual(await worker.deliver({ body: { taskId }, attempts: MAX_RETRIES + 1 }), ['ack']);
    assert.deepEqual((await worker.outcome(taskId)).status, 'pending');
  });

  test('a message of a run that is over does nothing; a redrive starts the next one', async () => {
    const taskId = await worker.submit('bad', '?max_retries=0');
    await worker.deliver({ body: { taskId, run: 1 } });
    assert.deepEqual(await worker.deliver({ body: { taskId, run: 1 }, attempts: 2 }), ['ack']);
    assert.deepEqual((await worker.task(taskId)).run, 1);
    assert.deepEqual(await worker.deliver({ body: { taskId, run: 1 } }, { body: { taskId, run: 2, redrive: true } }), ['retry', 'ack']);
    assert.deepEqual((await worker.task(taskId)).run, 2);
    assert.deepEqual(await worker.deliver({ body: { taskId, run: 1 }, attempts: 2 }), ['ack']);
  });

  const ahead = guarantees[store].read_your_writes ? 'ack' : 'retry';
  test(`a message that is ahead of what the store shows of its task ends with ${ahead}`, async () => {
    const failed = await worker.submit('bad', '?max_retries=0');
    await worker.deliver({ body: { taskId: failed } });
    const [pending, completed] = [await worker.submit('work'), await worker.submit('work')];
    await worker.deliver({ body: { taskId: completed } });
    const redrive = (/** @type {string} */ taskId, run = 2) => ({ body: { taskId, run, redrive: true } });
    assert.deepEqual(
      await worker.deliver({ body: { taskId: failed, run: 2 } }, redrive(pending), redrive(completed), redrive(completed, 3)),
      [ahead, ahead, 'retry', ahead],
    );
    await worker.fetch(`/task/${failed}/retry`, { method: 'POST' });
    assert.deepEqual(await worker.deliver({ body: { taskId: failed, run: 2 }, attempts: 2 }), ['ack']);
    const { run, attempts } = await worker.task(failed);
    assert.deepEqual({ run, attempts }, { run: 2, attempts: 1 });
  });

  test('a result that JSON cannot hold is an error of the attempt', async () => {
    const taskId = await worker.submit('circular');
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['retry']);
    assert.equal((await worker.outcome(taskId)).error.name, 'TypeError');
  });

  test('a message whose task is not there is not acknowledged', async () => {
    assert.deepEqual(await worker.deliver({ body: { taskId: UNKNOWN_ID } }), ['retry']);
  });

  test('messages whose task is not there are not acknowledged, however often it is named in a batch', async () => {
    const unknown = { body: { taskId: UNKNOWN_ID } };
    assert.deepEqual(await worker.deliver(unknown, unknown, unknown), ['retry', 'retry', 'retry']);
  });

  test('whatever a handler throws is an error of its task alone', async () => {
    const [odd, good] = [await worker.submit('odd'), await worker.submit('work')];
    assert.deepEqual(await worker.deliver({ body: { taskId: odd } }, { body: { taskId: good } }), ['retry', 'ack']);
    assert.deepEqual((await worker.outcome(odd)).error, { name: 'Error', message: 'a value was thrown: [object Object]' });
  });

  test('a result that is too long is an error of the attempt', async () => {
    const taskId = await worker.submit('long');
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['retry']);
    const message = 'expected a result of at most 262144 bytes as JSON, got 300002';
    assert.deepEqual((await worker.outcome(taskId)).error, { name: 'RangeError', message });
  });

  test('a result may be nested as deep as it is long', async () => {
    const taskId = await worker.submit('deep');
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['ack']);
    const reply = await worker.fetch(`/task/${taskId}`);
    assert.equal(reply.status, 200);
    assert.match(await reply.text(), /"result":\[{50000}\]{50000},/);
  });

  test('a batch of large results is kept whole', async () => {
    const ids = await Promise.all(Array.from({ length: 15 }, () => worker.submit('large')));
    const results = await worker.deliver(...ids.map((taskId) => ({ body: { taskId } })));
    assert.deepEqual(new Set(results), new Set(['ack']));
    for (const taskId of ids) assert.equal((await worker.outcome(taskId)).result.length, 200_000);
  });

  test('a message that comes again after its task has ended changes nothing', async () => {
    const taskId = await worker.submit('work');
    await worker.deliver({ body: { taskId } });
    const ended = await worker.outcome(taskId);
    assert.deepEqual(await worker.deliver({ body: { taskId }, attempts: 2 }), ['ack']);
    assert.deepEqual(await worker.outcome(taskId), ended);
  });

  test('two messages for one task in a batch run it once', async () => {
    const taskId = await worker.submit('work');
    assert.deepEqual(await worker.deliver({ body: { taskId } }, { body: { taskId } }), ['ack', 'ack']);
    assert.equal((await worker.outcome(taskId)).attempts, 1);
  });

  test('of two messages for a task that is attempted again the most delivered goes on alone', async () => {
    const taskId = await worker.submit('bad');
    assert.deepEqual(await worker.deliver({ body: { taskId } }, { body: { taskId }, attempts: 2 }, { body: { taskId } }), ['ack', 'retry', 'ack']);
    assert.equal((await worker.outcome(taskId)).status, 'pending');
  });

  const atMost = guarantees[store].atomic_claim ? 1 : 2;
  test(`two consumers that get a task at once run it at most ${atMost} times in all, and it ends completed`, async () => {
    const taskId = await worker.submit('work');
    const results = await Promise.all([worker.deliver({ body: { taskId } }), worker.deliver({ body: { taskId } })]);
    assert.deepEqual(results, [['ack'], ['ack']]);
    const { attempts, status } = await worker.outcome(taskId);
    assert.equal(status, 'completed');
    assert.ok(attempts >= 1 && attempts <= atMost, `${attempts} attempts`);
  });

  test('a client sees what was written, where the store guarantees it', async () => {
    const taskId = await worker.submit('work');
    await worker.deliver({ body: { taskId } });
    const seen = await worker.status(taskId);
    if (guarantees[store].read_your_writes) assert.equal(seen, 'completed');
    else assert.ok(['pending', 'processing', 'completed'].includes(String(seen)), 'late, but never another state');
  });

  test('a payload that is not text reaches the handler as bytes', async () => {
    const taskId = await worker.submit(Uint8Array.of(0xff, 0x00, 0xfe));
    await worker.deliver({ body: { taskId } });
    assert.deepEqual((await worker.outcome(taskId)).result, { did: { 0: 0xff, 1: 0x00, 2: 0xfe } });
  });

  test('a batch of a hundred is taken whole', async () => {
    const ids = await Promise.all(Array.from({ length: 100 }, (_, each) => worker.submit(`${each}`)));
    const results = await worker.deliver(...ids.map((taskId) => ({ body: { taskId } })));
    assert.deepEqual(new Set(results), new Set(['ack']));
    assert.deepEqual(new Set(await Promise.all(ids.map((taskId) => worker.status(taskId)))), new Set(['completed']));
  });
});

describe('in D1, whose rows a test can set', () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker({ handlers: { default: HANDLER } }); });
  after(() => worker.stop());

  /**
   * @param {string} taskId
   * @param {number} lease_ms from now
   */
  function hold(taskId, lease_ms) {
    return worker.rows("UPDATE tasks SET status = 'processing', attempts = 1, lease_expires_at = ? WHERE taskId = ?", Date.now() + lease_ms, taskId);
  }

  test('a second message for a task in work adds nothing', async () => {
    const taskId = await worker.submit('work');
    await hold(taskId, 60_000);
    assert.deepEqual(await worker.deliver({ body: { taskId }, attempts: 1 }), ['ack']);
    assert.equal(await worker.status(taskId), 'processing');
  });

  test('a task whose consumer was lost is taken over once its lease has run out, as the same attempt', async () => {
    const taskId = await worker.submit('work');
    await hold(taskId, -1);
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['ack']);
    assert.deepEqual(await worker.outcome(taskId), { status: 'completed', attempts: 1, result: { did: 'work' }, error: null });
    assert.equal((await worker.row(taskId))?.['crashes'], 1);
  });

  test('a batch whose store fails comes again, and no attempt is spent', async () => {
    const taskId = await worker.submit();
    await worker.rows('ALTER TABLE tasks RENAME TO elsewhere');
    assert.deepEqual(await worker.deliver({ body: { taskId } }), ['ack']);
    await worker.rows('ALTER TABLE elsewhere RENAME TO tasks');
    assert.deepEqual(await worker.outcome(taskId), { status: 'pending', attempts: 0, result: null, error: null });
  });
});
