import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startHandler } from '../../components/bundle/testing.js';
import { looks } from '../looks.js';
import { someOf, startWorker, STORES } from './worker_under_test.js';

const PATIENCE_MS = 30_000;

/** Each step counts its effects in the isolate, by task. */
const HANDLER = `
  export const steps = true;
  const effects = new Map();
  export default async function (payload, context) {
    const { taskId } = context;
    const did = (name) => { effects.set(taskId, [...effects.get(taskId) ?? [], name]); return name; };
    const saga = {
      async plain() {
        const one = await context.step('one', () => did('one'));
        const two = await context.step('two', {}, async ({ attempt }) => ({ one, two: did('two'), attempt }));
        if (context.attempt === 1) throw new Error('after two');
        return { two, attempt: context.attempt };
      },
      async parallel() {
        const all = await Promise.all(['c', 'a', 'b'].map((name) => context.step(name, async () => { await scheduler.wait(20); return did(name); })));
        return { all };
      },
      async sleep() {
        await context.step('before', () => did('before'));
        await context.sleep('nap', 1);
        return { after: await context.step('after', () => did('after')), attempt: context.attempt };
      },
      async swallow() {
        try { await context.sleep('nap', 1); } catch (error) { did('caught ' + error.name); }
        return {};
      },
      async event() {
        const { name, payload: told } = await context.waitForEvent('approval', { timeoutSeconds: 600 });
        return { name, told, attempt: context.attempt };
      },
      async timeout() {
        try { await context.waitForEvent('never', { timeoutSeconds: 1 }); } catch (error) { return { error: error.name }; }
      },
      async retried() {
        return context.step('flaky', { retries: { limit: 2, delaySeconds: 1, backoff: 'constant' } }, ({ attempt }) => {
          did('flaky');
          if (attempt < 3) throw new RangeError('not yet');
          return { attempt };
        });
      },
      async compensated() {
        await context.step('book flight', () => did('flight'));
        try {
          await context.step('charge', { retries: { limit: 0 } }, () => { did('charge'); throw new Error('card declined'); });
        } catch (error) {
          await context.sleep('cool off', 1);
          await context.step('cancel flight', () => did('cancelled'));
          return { failed: error.message };
        }
      },
      async uncaught() {
        await context.step('kept', () => did('kept'));
        await context.step('bad', { retries: { limit: 0 } }, () => { did('bad'); throw new RangeError('cannot'); });
      },
      async twice() {
        await context.step('same', () => 1);
        await context.step('same', () => 2);
      },
      async interrupted() {
        await context.step('one', () => did('one'));
        const isFirst = !effects.get(taskId).includes('second start');
        did('second start');
        if (isFirst) await scheduler.wait(1_500);
        await context.step('two', () => did(isFirst ? 'two of the first' : 'two of the second'));
        return {};
      },
      async unnamed() {
        await context.step(null, () => 1);
      },
      async endless() {
        await context.step('endless', { retries: { limit: -1 } }, () => 1);
      },
      async unwritable() {
        await context.step('odd', { retries: { limit: 0 } }, () => 7n);
      },
      async long() {
        return (await context.step('long', () => 'x'.repeat(1_000_000))).length;
      },
    };
    const made = await saga[payload]();
    return typeof made === 'object' ? { ...made, effects: effects.get(taskId) } : made;
  }`;

const PLAIN = 'export default async (payload, context) => context.step("one", () => 1);';

/** The handler of the documentation, with what it books. */
const SAGA = `
  const book = (part) => {
    if (part === 'car') throw Object.assign(new Error('there is no car'), { permanent: true });
    return part + '-7';
  };
  const cancel = (part, id) => { if (id !== part + '-7') throw new Error('not booked'); };
  ${/```js\n([^]*?)```/.exec(readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'steps.md'), 'utf8'))?.[1] ?? ''}`;

for (const store of STORES) for (const engine of /** @type {const} */ (['queue', 'workflow'])) describe(`steps with state in ${store} and engine ${engine}`, () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker({ store, engine, handlers: { default: HANDLER, plain: PLAIN, saga: SAGA } }); });
  after(() => worker.stop());

  /**
   * @param {string} taskId
   * @param {(task: any) => boolean} isSo
   */
  async function reached(taskId, isSo) {
    for await (const _ of looks(PATIENCE_MS)) {
      const task = await worker.task(taskId);
      if (isSo(task)) return task;
      if (engine === 'queue' && task.status === 'pending') await worker.deliver({ body: { taskId, run: task.run } });
    }
    return assert.fail(`task ${taskId} did not come so far: ${JSON.stringify(await worker.task(taskId))}`);
  }

  /** @param {string} payload @param {string} [query] */
  async function ended(payload, query) {
    return reached(await worker.submit(payload, query), ({ status }) => ['completed', 'failed', 'cancelled'].includes(status));
  }

  /** @param {string} taskId @param {string} name @param {unknown} payload */
  const send = (taskId, name, payload) => worker.fetch(`/task/${taskId}/events/${name}`, { method: 'POST', body: JSON.stringify(payload) });

  test('a finished step is not repeated by a later attempt, which gets what it returned', async () => {
    const { status, result, attempts, steps } = await ended('plain');
    assert.deepEqual({ status, result, attempts }, {
      status: 'completed', attempts: 2, result: { two: { one: 'one', two: 'two', attempt: 1 }, attempt: 2, effects: ['one', 'two'] },
    });
    assert.deepEqual(steps.map((/** @type {any} */ { name, kind, status: of }) => [name, kind, of]), [['one', 'step', 'completed'], ['two', 'step', 'completed']]);
  });

  test('steps may run beside each other', async () => {
    const { result, steps } = await ended('parallel');
    assert.deepEqual(result, { all: ['c', 'a', 'b'], effects: ['c', 'a', 'b'] });
    assert.deepEqual(steps.map((/** @type {any} */ { name }) => name), ['c', 'a', 'b'], 'in the order of their starts, within a millisecond too');
  });

  test('a sleep ends the attempt, which is not spent, and the task says until when', async () => {
    const taskId = await worker.submit('sleep');
    const asleep = await reached(taskId, ({ status, nextAttemptAt }) => status === 'pending' && nextAttemptAt !== null);
    assert.deepEqual([asleep.attempts, asleep.error, asleep.steps[1].kind, asleep.steps[1].status], [0, null, 'sleep', 'waiting']);
    assert.equal(asleep.steps[1].dueAt, asleep.nextAttemptAt);
    const { result, attempts, steps } = await reached(taskId, ({ status }) => status === 'completed');
    assert.deepEqual({ result, attempts }, { result: { after: 'after', attempt: 1, effects: ['before', 'after'] }, attempts: 1 });
    assert.deepEqual(steps.map((/** @type {any} */ { name, status }) => [name, status]), [['before', 'completed'], ['nap', 'completed'], ['after', 'completed']]);
  });

  test('a handler that catches everything sleeps all the same', async () => {
    assert.deepEqual((await ended('swallow')).result, {});
  });

  test('an event wakes the task that waits for it, and only the first of its name counts', async () => {
    const taskId = await worker.submit('event');
    await reached(taskId, ({ status, steps }) => status === 'pending' && steps.length > 0);
    assert.deepEqual(await (await send(taskId, 'approval', { by: 'Ada' })).json(), { taskId, event: 'approval', isNew: true });
    assert.deepEqual((await reached(taskId, ({ status }) => status === 'completed')).result, { name: 'approval', told: { by: 'Ada' }, attempt: 1 });
    assert.equal((await send(taskId, 'approval', { by: 'Bob' })).status, 409);
  });

  test('an event that comes before it is waited for is kept', async () => {
    const taskId = await worker.submit('event', engine === 'workflow' ? '?delaySeconds=2' : '');
    const first = await (await send(taskId, 'approval', 'early')).json();
    const second = await (await send(taskId, 'approval', 'late')).json();
    assert.deepEqual([first, second], [{ taskId, event: 'approval', isNew: true }, { taskId, event: 'approval', isNew: false }]);
    assert.equal((await reached(taskId, ({ status }) => status === 'completed')).result.told, 'early');
  });

  test('a wait that nobody ends throws at the end of its time', async () => {
    assert.deepEqual((await ended('timeout')).result, { error: 'EventTimeout' });
  });

  test('a step has retries of its own, which spend none of the task', async () => {
    const { result, attempts, steps } = await ended('retried', '?maxRetries=0');
    assert.deepEqual({ result, attempts }, { result: { attempt: 3, effects: ['flaky', 'flaky', 'flaky'] }, attempts: 1 });
    assert.deepEqual([steps[0].status, steps[0].attempts], ['completed', 3]);
  });

  test('a saga undoes what it did when a later step fails for good', async () => {
    const { result, steps } = await ended('compensated');
    assert.deepEqual(result, { failed: 'card declined', effects: ['flight', 'charge', 'cancelled'] });
    assert.deepEqual(steps.map((/** @type {any} */ { name, status }) => [name, status]), [
      ['book flight', 'completed'], ['charge', 'failed'], ['cool off', 'completed'], ['cancel flight', 'completed'],
    ]);
    assert.deepEqual(steps[1].error, { name: 'Error', message: 'card declined' });
  });

  test('the saga of the documentation cancels what it has booked', async () => {
    const { result, steps } = await ended('', '?handler=saga');
    assert.deepEqual(result, { booked: false, why: 'there is no car' });
    assert.deepEqual(steps.map((/** @type {any} */ { name, status }) => [name, status]), [
      ['book flight', 'completed'], ['book hotel', 'completed'], ['book car', 'failed'], ['cancel hotel', 'completed'], ['cancel flight', 'completed'],
    ]);
  });

  test('a step that has failed for good fails the task; a run by hand repeats that step alone', async () => {
    const taskId = await worker.submit('uncaught');
    const failed = await reached(taskId, ({ status }) => status === 'failed');
    assert.deepEqual([failed.attempts, failed.error], [1, { name: 'RangeError', message: 'cannot' }]);
    assert.equal((await worker.fetch(`/task/${taskId}/retry`, { method: 'POST' })).status, 200);
    const again = await reached(taskId, ({ status, run }) => status === 'failed' && run === 2);
    assert.deepEqual(again.steps.map((/** @type {any} */ { name, attempts }) => [name, attempts]), [['kept', 1], ['bad', 1]]);
  });

  test('two steps of one name, and a result that JSON does not hold, fail with a sentence', async () => {
    assert.deepEqual((await ended('twice')).error, { name: 'StepNameTaken', message: 'expected each step of a task to have a name of its own, got "same" twice' });
    assert.match((await ended('unwritable')).error.message, /^expected .*bigint|BigInt/);
  });

  test('what is wrong with a step however often it is tried fails the task at once', async () => {
    for (const [mistake, name, message] of /** @type {const} */ ([
      ['unnamed', 'TypeError', "expected a step's name to be a text of 1 to 100 characters, got object"],
      ['endless', 'RangeError', 'expected retries.limit to be a number from 0 to 10000, got -1'],
    ])) {
      const { status, attempts, error } = await ended(mistake);
      assert.deepEqual({ status, attempts, error }, { status: 'failed', attempts: 1, error: { name, message } });
    }
  });

  test('a step may return a mebibyte', async () => {
    assert.equal((await ended('long')).result, 1_000_000);
  });

  test('a handler that does not say that it has steps is told to', async () => {
    const { status, attempts, error } = await ended('', '?handler=plain');
    assert.deepEqual([status, attempts, error.name], ['failed', 1, 'NoSteps']);
    assert.match(error.message, /add `export const steps = true;` to its module/);
    const taskId = await worker.submit('', '?handler=plain&delaySeconds=60');
    const refused = await send(taskId, 'approval', {});
    assert.deepEqual([refused.status, /** @type {any} */ (await refused.json()).code], [400, 'invalid_parameter']);
  });

  test('a task that waits can be cancelled, and has no events then', async () => {
    const taskId = await worker.submit('event');
    await reached(taskId, ({ status, steps }) => status === 'pending' && steps.length > 0);
    assert.equal((await worker.fetch(`/task/${taskId}/cancel`, { method: 'POST' })).status, 200);
    assert.equal((await send(taskId, 'approval', {})).status, 409);
    assert.equal((await send('00000000-0000-7000-8000-000000000000', 'approval', {})).status, 404);
    assert.equal((await send(taskId, 'no%20such', {})).status, 400);
  });
});


for (const store of someOf(/** @type {const} */ (['d1', 'durable-object']))) test(`an attempt that has lost its task writes no step, with state in ${store}`, async () => {
  const worker = await startWorker({ store, handlers: { default: HANDLER } });
  try {
    const taskId = await worker.submit('interrupted');
    const deliver = async (/** @type {number} */ attempts) => (
      (await worker.miniflare.getWorker('task-runner')).queue('tasks', /** @type {any} */ ([{ id: 'message', timestamp: new Date(), attempts, body: { taskId } }]))
    );
    const first = deliver(1);
    const hasBegun = async () => (await worker.task(taskId)).steps.length > 0;
    for await (const _ of looks(PATIENCE_MS)) if (await hasBegun()) break;
    assert.ok(await hasBegun(), 'the first attempt does not begin');
    await deliver(2); // it comes again only when the first one's isolate has died
    assert.deepEqual([(await worker.task(taskId)).status, (await worker.task(taskId)).crashes], ['completed', 1]);
    await first;
    const { result, steps } = await worker.task(taskId);
    assert.deepEqual(result.effects.filter((/** @type {string} */ name) => name === 'one'), ['one']);
    assert.deepEqual(steps.map((/** @type {any} */ { name, status }) => [name, status]), [['one', 'completed'], ['two', 'completed']]);
  } finally {
    await worker.stop();
  }
});

test("a handler's own test gives it the events that it waits for", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'handler-'));
  try {
    const file = join(folder, 'asks.js');
    writeFileSync(file, `
      export const steps = true;
      export default async (payload, context) => {
        await context.sleep('a year', 31_536_000);
        const { payload: said } = await context.waitForEvent('approval');
        return context.step('answer', () => payload + ' ' + said);
      };`);
    const handler = await startHandler(file);
    assert.equal((await handler.run('Ada:', { events: { approval: 'yes' } })).result, 'Ada: yes');
    assert.equal((await handler.run('Ada:')).error?.name, 'EventTimeout');
    await handler.stop();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('steps go with their task', async () => {
  const worker = await startWorker({ store: 'd1', handlers: { default: HANDLER } });
  try {
    const taskId = await worker.submit('plain', '?ttl=60');
    await worker.deliver({ body: { taskId } });
    assert.equal((await worker.rows('SELECT * FROM steps')).length, 2);
    await worker.rows('UPDATE tasks SET expires_at = 1, own_expires_at = 1');
    await worker.sweep();
    assert.deepEqual([await worker.rows('SELECT * FROM tasks'), await worker.rows('SELECT * FROM steps')], [[], []]);
  } finally {
    await worker.stop();
  }
});
