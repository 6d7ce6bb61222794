import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';

import { QueueEngine } from '../../worker/engines/queue.js';
import { LEASE_SECONDS } from '../../worker/task.js';
import { newTaskId } from '../../worker/task_id.js';
import { fakeMessage, fakeQueue } from './fakes/queue.js';

/** @import { ClaimAnswer, Delivery, Standing } from '../../worker/stores/store.js' */
/** @import { Outcome } from '../../worker/task.js' */

const MAX_RETRIES = 4;

beforeEach((context) => {
  for (const level of /** @type {const} */ (['warn', 'error'])) mock.method(console, level, () => {});
  /** @type {any} */ (context).after?.(() => mock.restoreAll());
});

/**
 * An engine whose store answers as it is told, and whose queues keep what they are sent.
 *
 * @param {object} [options]
 * @param {(delivery: Delivery, isAlone: boolean) => ClaimAnswer | 'claimed'} [options.claim]
 * @param {(outcome: Outcome) => Standing} [options.settle]
 * @param {(payload: string) => unknown} [options.handler] the payload is the task's id
 * @param {() => boolean} [options.refuses] whether the queues refuse messages now
 * @param {number} [options.max_retries] the stack's
 */
function engineUnderTest({ claim = () => 'claimed', settle = () => 'ours', handler = () => null, refuses = () => false, max_retries = MAX_RETRIES } = {}) {
  /** @type {{body: any, delaySeconds?: number}[]} */
  const sent = [];
  /** @type {any[]} */
  const letters = [];
  /** @type {string[]} */
  const abandoned = [];
  /** @type {Delivery[][]} */
  const claims = [];
  const take = (/** @type {any[]} */ into) => (/** @type {any[]} */ messages) => {
    if (refuses()) throw new Error('Queue sendBatch failed: Too Many Requests');
    into.push(...messages);
  };
  const store = {
    settling_seconds: 0,
    claim: async (/** @type {Delivery[]} */ deliveries, isAlone = false) => {
      claims.push(deliveries);
      return new Map(deliveries.map((delivery) => {
        const { taskId, run, claim: name } = delivery;
        const answer = claim(delivery, isAlone);
        const task = { taskId, run, claim: name, attempts: 1, crashes: 0, handler: 'default', parameters: {}, payload: taskId, max_retries: null };
        return [taskId, answer === 'claimed' ? { kind: 'claimed', task } : answer];
      }));
    },
    settle: async (/** @type {Outcome[]} */ outcomes) => ({
      standings: new Map(outcomes.map((outcome) => [outcome.taskId, settle(outcome)])), followUp: { runs: [], ended: [] },
    }),
    report: async () => new Map(),
    abandon: async (/** @type {any[]} */ lost, /** @type {Error} */ { name }) => { abandoned.push(...lost.map(({ taskId }) => `${taskId} ${name}`)); return { runs: [], ended: [] }; },
  };
  const env = {
    TASK_QUEUE: fakeQueue(take(sent)), TASK_DLQ: fakeQueue(take(letters)), MAX_RETRIES: String(max_retries),
    RETRY_DELAY_SECONDS: '7', RETRY_BACKOFF: 'fixed', RETRY_MAX_DELAY_SECONDS: '7',
  };
  const engine = new QueueEngine(/** @type {any} */ (env), /** @type {any} */ (store), { default: { default: /** @type {any} */ (handler) } });
  return { engine, sent, letters, abandoned, claims };
}

/**
 * @param {object} [body]
 * @param {number} [attempts]
 */
function message(body = { taskId: newTaskId(Date.now()), run: 1 }, attempts = 1) {
  /** @type {(string | {delaySeconds: number} | undefined)[]} */
  const verdicts = [];
  const told = fakeMessage({ id: crypto.randomUUID(), body, attempts }, (verdict, options) => {
    verdicts.push(/** @type {{delaySeconds: number} | undefined} */ (options) ?? verdict);
  });
  return Object.assign(told, { verdicts });
}

/** @param {ReturnType<typeof message>[]} messages */
function batch(...messages) {
  return /** @type {any} */ ({ messages });
}

/**
 * Lets time pass, and what is due then happen.
 *
 * @param {number} time_seconds
 */
async function pass(time_seconds) {
  for (let time_ms = 0; time_ms < time_seconds * 1000; time_ms += 100) {
    mock.timers.tick(100);
    await setImmediate();
  }
}

/** @param {ReturnType<typeof message>} told */
function delayOf({ verdicts }) {
  const [verdict] = verdicts;
  return typeof verdict === 'object' ? verdict.delaySeconds : undefined;
}

test("a message tells its delay, even none, so that the queue's own does not hold it back", async () => {
  const { engine, sent } = engineUnderTest();
  const run = { taskId: newTaskId(Date.now()), run: 1, max_retries: null };
  await engine.submit([{ ...run, delay_seconds: 0 }]);
  await engine.submit([{ ...run, delay_seconds: 0 }, { ...run, delay_seconds: 9 }]);
  assert.deepEqual(sent.map(({ delaySeconds }) => delaySeconds), [0, 0, 9]);
  assert.deepEqual(sent[0]?.body, { taskId: run.taskId, run: 1 });
});

test('a queue that refuses for a moment is asked again; one that goes on refusing is told of', async () => {
  let refusals = 2;
  const { engine, sent } = engineUnderTest({ refuses: () => refusals-- > 0 });
  const run = { taskId: newTaskId(Date.now()), run: 1, max_retries: null, delay_seconds: 0 };
  await engine.submit([run]);
  assert.equal(sent.length, 1);
  refusals = Infinity;
  await assert.rejects(engine.submit([run]), { name: 'HandoverRefused', retry_after_seconds: 1 });
});

test('a failed task leaves a dead letter, whatever delivery it is; the message is done with then', async () => {
  const { engine, letters } = engineUnderTest({ handler: () => { throw Object.assign(new Error('no'), { permanent: true }); } });
  const first = message();
  await engine.consume(batch(first));
  assert.deepEqual([first.verdicts, letters.map(({ body }) => body)], [['ack'], [first.body]]);
});

test('a dead letter that cannot be written is written when the message comes again', async () => {
  let isDown = true;
  const { engine, letters, sent } = engineUnderTest({
    claim: ({ delivery }) => (delivery === 1 ? 'claimed' : { kind: 'over', hasFailed: true }),
    handler: () => { throw Object.assign(new Error('no'), { permanent: true }); },
    refuses: () => isDown,
  });
  const first = message();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const consumed = engine.consume(batch(first));
  for (let second = 0; second < 120; second++) {
    mock.timers.tick(1_000);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
  await consumed;
  mock.timers.reset();
  assert.ok(Number(delayOf(first)) > 0, 'it comes again');
  isDown = false;
  const again = { ...message(first.body, 2), id: first.id };
  await engine.consume(batch(again));
  assert.deepEqual([again.verdicts, letters.map(({ body }) => body), sent], [['ack'], [first.body], []]);
});

test('a task that was cancelled in its last attempt leaves no dead letter', async () => {
  const { engine, letters } = engineUnderTest({ handler: () => { throw new Error('no'); }, settle: () => 'superseded' });
  const cancelled = message();
  await engine.consume(batch(cancelled));
  assert.deepEqual([letters, cancelled.verdicts], [[], ['ack']]);
});

test('a message of a held task is done with, with its copies: its release sends another', async () => {
  const { engine, sent, letters } = engineUnderTest({ claim: () => ({ kind: 'unreleased' }) });
  const held = message();
  const copy = message(held.body);
  await engine.consume(batch(held, copy));
  assert.deepEqual([held.verdicts, copy.verdicts, sent, letters], [['ack'], ['ack'], [], []]);
});

test('messages near their last delivery are sent anew with all of their batch, before anything runs', async () => {
  const { engine, sent, claims } = engineUnderTest();
  const [last, other, malformed] = [message(undefined, MAX_RETRIES), message(), message({ no: 'task' })];
  await engine.consume(batch(last, other, malformed));
  assert.deepEqual([last.verdicts, other.verdicts, malformed.verdicts, claims], [['ack'], ['ack'], ['retry'], []]);
  assert.deepEqual(sent.map(({ body }) => body), [
    { ...last.body, deliveries: MAX_RETRIES, ended: [{ holder: last.id, delivery: MAX_RETRIES - 1, released: 0 }] },
    { ...other.body, deliveries: 1, ended: [] },
  ]);
  const again = message(sent[0]?.body);
  await engine.consume(batch(again));
  const [[delivery] = []] = claims;
  assert.deepEqual([delivery?.holder, delivery?.delivery, delivery?.ended], [again.id, 1, sent[0]?.body.ended], 'it says whose attempts have ended');
});

test('a store that is away costs nothing: each message comes again by itself, later each time, and tells that it holds nothing', async () => {
  const { engine, sent } = engineUnderTest({ claim: () => ({ kind: 'unreachable', error: new Error('D1_ERROR: Network connection lost.') }) });
  const [first, older] = [message(), message(undefined, 3)];
  await engine.consume(batch(first, older));
  assert.deepEqual([first.verdicts, older.verdicts], [['ack'], ['ack']]);
  assert.deepEqual(sent.map(({ body }) => [body.deliveries, body.ended]), [
    [1, [{ holder: first.id, delivery: 1, released: 1 }]], [3, [{ holder: older.id, delivery: 3, released: 3 }]],
  ]);
  assert.ok(Number(sent[1]?.delaySeconds) > Number(sent[0]?.delaySeconds) && Number(sent[1]?.delaySeconds) <= 8);
  assert.equal(/** @type {any} */ (console.warn).mock.callCount(), 1, 'one line a batch');
  assert.deepEqual(sent.map(({ body }) => body.away), [1, 1]);
  const [long] = [message({ ...first.body, away: 99, ended: Array.from({ length: 99 }, (_, delivery) => ({ holder: `${delivery}`, delivery: 1, released: 0 })) })];
  await engine.consume(batch(long));
  assert.ok(Number(sent[2]?.delaySeconds) >= 60 && Number(sent[2]?.delaySeconds) <= 120, 'up to minutes');
  assert.deepEqual([sent[2]?.body.ended.length, sent[2]?.body.ended.at(-1).holder], [24, long?.id], 'the latest');
  await engine.consume(batch(message({ ...first.body, deliveries: 99 })));
  assert.ok(Number(sent[3]?.delaySeconds) <= 2, 'a task that has come often, since its handler failed, comes as soon as any other');
});

test('of two messages of a task in a batch one asks for both, and tells what has ended of both', async () => {
  const { engine, claims } = engineUnderTest();
  const earlier = { holder: 'earlier', delivery: 4, released: 0 };
  const first = message(undefined, 2);
  const copy = message({ ...first.body, deliveries: 4, ended: [earlier] });
  await engine.consume(batch(first, copy));
  const [[delivery] = []] = claims;
  assert.deepEqual([delivery?.holder, delivery?.delivery, delivery?.ended], [copy.id, 1, [earlier, { holder: first.id, delivery: 1, released: 0 }]]);
});

test('a part of the store that is down does not hold back the tasks of the others', async () => {
  const down = newTaskId(Date.now());
  const { engine, sent } = engineUnderTest({ claim: ({ taskId }) => (taskId === down ? { kind: 'unreachable', error: new Error('down') } : 'claimed') });
  const [one, other] = [message({ taskId: down, run: 1 }), message()];
  await engine.consume(batch(one, other));
  assert.deepEqual([other.verdicts, sent.map(({ body }) => body.taskId)], [['ack'], [down]]);
});

test('a bug of ours buries nothing: the whole batch comes again, and one line is logged', async () => {
  const { engine, sent, letters } = engineUnderTest({ settle: () => { throw new TypeError('a bug'); } });
  const [one, other] = [message(), message()];
  await engine.consume(batch(one, other));
  assert.deepEqual([sent.length, letters.length, one.verdicts, other.verdicts], [2, 0, ['ack'], ['ack']]);
  assert.equal(/** @type {any} */ (console.error).mock.callCount(), 1);
});

test('a retry that is due while others of its batch run is sent anew; otherwise the message is retried', async () => {
  const id = newTaskId(Date.now()).slice(0, -1); // the last digit says after how many seconds a task is retried
  const handler = async (/** @type {string} */ taskId) => {
    if (taskId.endsWith('a')) return setTimeout(600, 'slow');
    throw Object.assign(new Error('later'), { retry_after_seconds: Number(taskId.slice(-1)) });
  };
  const { engine, sent } = engineUnderTest({ handler });
  const other = engineUnderTest({ handler });
  const [soon, late, slow] = [message({ taskId: `${id}0`, run: 1 }), message({ taskId: `${id}9`, run: 1 }), message({ taskId: `${id}a`, run: 1 })];
  await other.engine.consume(batch(soon, late, slow));
  assert.deepEqual(other.sent.map(({ body }) => body.taskId), [soon.body.taskId]);
  assert.deepEqual([soon.verdicts, slow.verdicts], [['ack'], ['ack']]);
  assert.ok(Number(delayOf(late)) >= 8 && Number(delayOf(late)) <= 9);
  const alone = message({ taskId: `${id}1`, run: 1 }); // due later than a slow machine takes to end the batch
  await engine.consume(batch(alone));
  assert.deepEqual([alone.verdicts, sent], [[{ delaySeconds: 1 }], []], 'no message is spent when nothing waits');
});

test('what does not fit in memory, or waits, comes when it can', async () => {
  const later = newTaskId(Date.now());
  const { engine } = engineUnderTest({ claim: ({ taskId }) => (taskId === later ? { kind: 'later' } : { kind: 'wait', until_ms: Date.now() + 30_000 }) });
  const [one, other] = [message({ taskId: later, run: 1 }), message()];
  await engine.consume(batch(one, other));
  assert.equal(delayOf(one), 0);
  assert.ok(Number(delayOf(other)) >= 29 && Number(delayOf(other)) <= 30);
});

test('those whose isolate died run after the others, each alone, the ones that died least first', async () => {
  /** @type {string[]} */
  const order = [];
  const ids = Array.from({ length: 4 }, (_, index) => newTaskId(Date.now(), `${index}`));
  const [healthy, often, seldom, once] = /** @type {[string, string, string, string]} */ (ids);
  const crashes = { [often]: 2, [seldom]: 0, [once]: 1 };
  let running = 0;
  const { engine, claims } = engineUnderTest({
    claim: ({ taskId }, isAlone) => (taskId in crashes && !isAlone ? { kind: 'suspect', crashes: crashes[taskId] ?? 0 } : 'claimed'),
    handler: async (taskId) => {
      assert.equal(running++, 0, 'nothing else runs');
      order.push(taskId);
      await setTimeout(5);
      running--;
    },
  });
  await engine.consume(batch(...[healthy, often, seldom, once].map((taskId) => message({ taskId, run: 1 }, 2))));
  assert.deepEqual(order, [healthy, seldom, once, often]);
  assert.deepEqual(claims.map(({ length }) => length), [4, 1, 1, 1], 'each is claimed only when its turn comes');
});

test('a task that must run alone does not wait for those before it, which may take long', async (context) => {
  context.after(() => mock.timers.reset());
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() });
  const { promise, resolve } = Promise.withResolvers();
  const claim = (/** @type {Delivery} */ _, /** @type {boolean} */ isAlone) => (isAlone ? 'claimed' : /** @type {const} */ ({ kind: 'suspect', crashes: 0 }));
  const { engine, sent, claims } = engineUnderTest({ claim, handler: () => promise });
  const [first, second] = [message(), message()];
  const consumed = engine.consume(batch(first, second));
  await pass(19);
  assert.deepEqual(sent, []);
  await pass(2);
  assert.deepEqual(sent, [{ body: { ...second.body, deliveries: 1, ended: [] }, delaySeconds: 0 }]);
  resolve(null);
  await pass(1);
  await consumed;
  assert.deepEqual([first.verdicts, second.verdicts, claims.map(({ length }) => length)], [['ack'], ['ack'], [2, 1]]);
});

test('a message without a delivery left that cannot be sent anew is no dead letter: the sweeper finds its task', async (context) => {
  context.after(() => mock.timers.reset());
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() });
  const until_ms = Date.now() + 60_000;
  for (const [kind, verdicts] of /** @type {const} */ ([['wait', [['ack']]], ['held', [['ack'], ['ack']]], ['absent', [['retry']]]])) {
    const { engine, letters } = engineUnderTest({ claim: () => /** @type {ClaimAnswer} */ ({ kind, until_ms }), refuses: () => kind !== 'absent' });
    const last = verdicts.map(() => message(undefined, kind === 'absent' ? MAX_RETRIES - 1 : MAX_RETRIES + 1));
    const [{ body }] = /** @type {[ReturnType<typeof message>]} */ (last);
    for (const each of last) each.body = body;
    const consumed = engine.consume(batch(...last));
    await pass(30);
    await consumed;
    assert.deepEqual([kind, last.map((each) => each.verdicts), letters], [kind, verdicts, []]);
  }
  const { engine } = engineUnderTest({ claim: () => ({ kind: 'wait', until_ms }), refuses: () => true });
  const redrive = message({ taskId: newTaskId(Date.now()), run: 2, redrive: true }, MAX_RETRIES + 1);
  const consumed = engine.consume(batch(redrive));
  await pass(30);
  await consumed;
  assert.equal(typeof delayOf(redrive), 'number', 'nothing but the dead letter knows that somebody wants another run');
});

test('a stack without retries buries no task that has some of its own, or must wait', async () => {
  const { engine, letters, sent } = engineUnderTest({ claim: () => ({ kind: 'wait', until_ms: Date.now() + 60_000 }), max_retries: 0 });
  const one = message();
  await engine.consume(batch(one));
  assert.equal(delayOf(one), 60);
  const again = message(one.body, 2); // its last, for the consumer has one retry
  await engine.consume(batch(again));
  assert.deepEqual([again.verdicts, sent.length, letters], [['ack'], 1, []]);
});

test('a task whose isolate died too often fails, and so does one that has no attempts left', async () => {
  for (const [kind, name] of /** @type {const} */ ([['crashed', 'Crashed'], ['spent', 'AttemptsSpent']])) {
    const { engine, letters, abandoned } = engineUnderTest({ claim: () => ({ kind, attempts: 1 }) });
    const one = message(undefined, 3);
    await engine.consume(batch(one));
    assert.deepEqual([one.verdicts, abandoned, letters.map(({ body }) => body)], [['ack'], [`${one.body.taskId} ${name}`], [one.body]]);
  }
});

test('a message whose task is not there becomes a dead letter after its retries, not before', async () => {
  const { engine, letters, sent } = engineUnderTest({ claim: () => ({ kind: 'absent' }) });
  const early = message(undefined, MAX_RETRIES - 1);
  await engine.consume(batch(early));
  assert.deepEqual([early.verdicts, letters], [['retry'], []]);
  await engine.consume(batch(message(early.body, MAX_RETRIES)));
  const renewed = message(sent[0]?.body);
  await engine.consume(batch(renewed));
  assert.deepEqual([renewed.verdicts, letters.map(({ body }) => body)], [['ack'], [early.body]]);
});

test("an attempt's own message that is delivered twice at once comes again when the attempt is over", async () => {
  const { engine } = engineUnderTest({ claim: () => ({ kind: 'held', isOwn: true }) });
  const copy = message();
  await engine.consume(batch(copy));
  assert.equal(delayOf(copy), LEASE_SECONDS);
});

test('of two messages for a task that another attempt holds, the one that may be its own is kept', async () => {
  const { engine } = engineUnderTest({ claim: () => ({ kind: 'held', isOwn: false }) });
  const first = message();
  const copy = message(first.body, 2);
  await engine.consume(batch(first, copy));
  assert.deepEqual([copy.verdicts, first.verdicts], [['ack'], [{ delaySeconds: 1 }]]);
});

test('what a message says of itself is checked: anybody with a token may have sent it', async () => {
  const { engine, claims } = engineUnderTest();
  const [entry] = [{ holder: 'x', delivery: 1, released: 0 }];
  const ended = [null, 'x', { ...entry, holder: 'x'.repeat(41) }, { ...entry, holder: 7 }, { ...entry, delivery: -1 }, { ...entry, released: '1' }];
  const nonsense = { deliveries: -1, ended, redrive: 'yes' };
  const one = message({ taskId: newTaskId(Date.now()), run: 1, ...nonsense });
  await engine.consume(batch(one));
  const [[delivery] = []] = claims;
  const { claim, taskId, ...rest } = /** @type {Delivery} */ (delivery);
  assert.deepEqual(rest, { run: 1, redrive: false, holder: one.id, delivery: 1, ended: [] });
});

test('a redrive of a run that has not failed does not take the place of the message that carries it', async () => {
  const { engine, sent, claims } = engineUnderTest({ claim: ({ run }) => (run === 2 ? { kind: 'over', hasFailed: false } : 'claimed') });
  const taskId = newTaskId(Date.now());
  for (const isFirst of [true, false]) {
    const [first, redrive] = [message({ taskId, run: 1 }), message({ taskId, run: 2, redrive: true })];
    await engine.consume(isFirst ? batch(first, redrive) : batch(redrive, first));
    assert.deepEqual([first.verdicts, redrive.verdicts], [[{ delaySeconds: 1 }], ['ack']]);
  }
  const last = message({ taskId, run: 1 }, MAX_RETRIES + 1);
  const redrive = message({ taskId, run: 2, redrive: true });
  await engine.consume(batch(last, redrive));
  assert.deepEqual([last.verdicts, redrive.verdicts, sent.map(({ body }) => body.run)], [['ack'], ['ack'], [2, 1]]);
  const [older, retried] = [message({ taskId, run: 1 }), message({ taskId, run: 3 })];
  await engine.consume(batch(older, retried));
  assert.deepEqual([older.verdicts, claims.map(([delivery]) => delivery?.run)], [['ack'], [2, 2, 3]], 'a run that was begun by hand ends those before it');
});
