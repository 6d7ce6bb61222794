/** What every store promises, on each of them. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { creationTime, newTaskId } from '../../worker/task_id.js';
import { deliveryOf, ERROR, newTask, startStore } from './store_under_test.js';
import { startWorker, STORES } from './worker_under_test.js';

/** @import { TaskSummary } from '../../worker/task.js' */
/** @import { StoreName } from './worker_under_test.js' */

const HOUR_MS = 3_600_000;

for (const name of /** @type {StoreName[]} */ ([...STORES, 'sharded-d1'])) {
  describe(`store ${name}`, () => {
    /** @type {import('./store_under_test.js').StoreUnderTest} */
    let store;
    before(async () => {
      store = await startStore(name);
    });
    after(() => store.stop());

    test('keeps a task as it was submitted', async () => {
      const taskId = await store.insert({ handler: 'resize', parameters: { width: '100' }, payload: 'картинка', max_retries: 2 });
      const { created_ms, expires_ms, ...rest } = await store.call('find', taskId);
      assert.deepEqual(rest, {
        taskId, status: 'pending', handler: 'resize', run: 1, attempts: 0, max_retries: 2, progress: null, error: null,
        started_ms: null, finished_ms: null, next_attempt_ms: null, result: null, callback: null, parent: null, after: null, crashes: 0, group: null, priority: null, waiting_for: null,
      });
      assert.ok(Math.abs(expires_ms - created_ms - 24 * HOUR_MS) < 1_000);
      assert.deepEqual(await store.claim(taskId, { claim: 'mine' }), {
        taskId, run: 1, attempts: 1, crashes: 0, claim: 'mine', handler: 'resize', parameters: { width: '100' }, max_retries: 2, payload: 'картинка', callback: null, parent: null, after: null, story: null,
      });
    });

    test('completes a task, with its result, times and last progress; once more changes nothing', async () => {
      const taskId = await store.insert();
      const claimed = await store.claim(taskId);
      const ended_ms = Date.now() - 2;
      const outcome = { status: 'completed', result: '{"done":true}', progress: { percent: 100, note: 'all' }, ended_ms };
      for (let time = 0; time < 2; time++) assert.equal(await store.settle(claimed, outcome), 'ours');
      const task = await store.call('find', taskId);
      assert.deepEqual([task.status, task.result, task.progress, task.error], ['completed', '{"done":true}', { percent: 100, note: 'all' }, null]);
      assert.deepEqual([task.finished_ms, task.attempts], [ended_ms, 1], 'it has ended when its handler did');
      assert.deepEqual(await store.ask(taskId), { kind: 'over', hasFailed: false });
    });

    test('a claim is found again when it is repeated, and gives the same attempt', async () => {
      const taskId = await store.insert();
      const delivery = { holder: 'message', claim: 'mine' };
      const first = await store.claim(taskId, delivery);
      assert.deepEqual(await store.claim(taskId, delivery), first);
      assert.deepEqual([first.attempts, first.crashes], [1, 0]);
      assert.deepEqual(await store.ask(taskId, { holder: 'message' }), { kind: 'held', isOwn: true }, 'the same delivery, twice');
      assert.deepEqual(await store.ask(taskId), { kind: 'held', isOwn: false }, 'a copy');
    });

    test('an attempt whose message comes again has crashed: its task runs alone, as the same attempt; the third time it fails', async () => {
      const taskId = await store.insert();
      const lost = await store.claim(taskId, { holder: 'message' });
      assert.deepEqual(await store.ask(taskId, { holder: 'message', delivery: 2 }), { kind: 'suspect', crashes: 0 });
      const second = await store.claim(taskId, { holder: 'message', delivery: 2 }, true);
      assert.deepEqual([second.attempts, second.crashes], [1, 1]);
      const outcome = { status: 'completed', result: '1' };
      assert.deepEqual([await store.settle(lost, outcome), await store.report(lost, { percent: 9, note: null })], ['superseded', 'superseded']);
      assert.equal((await store.claim(taskId, { holder: 'message', delivery: 3 }, true)).crashes, 2);
      const fourth = { holder: 'message', delivery: 4 };
      assert.deepEqual(await store.ask(taskId, fourth, true), { kind: 'crashed', attempts: 1 });
      await store.call('abandon', [{ taskId, run: 1, attempts: 1, holder: 'message', delivery: 3 }], ERROR);
      assert.equal((await store.call('find', taskId)).status, 'processing', 'a delivery that is not newer ends nothing');
      await store.call('abandon', [{ taskId, run: 1, attempts: 1, ...fourth }], ERROR);
      const task = await store.call('find', taskId);
      assert.deepEqual([task.status, task.error, task.attempts, task.crashes], ['failed', ERROR, 1, 3]);
      assert.deepEqual(await store.ask(taskId, { holder: 'message', delivery: 5 }), { kind: 'over', hasFailed: true });
    });

    test('a claim that was released is no crash', async () => {
      const taskId = await store.insert();
      await store.claim(taskId, { holder: 'message', delivery: 2 });
      const ended = (/** @type {number} */ delivery, /** @type {number} */ released) => [{ holder: 'earlier', delivery: 9, released: 9 }, { holder: 'message', delivery, released }];
      assert.deepEqual(await store.ask(taskId, { holder: 'message', delivery: 3, ended: ended(2, 1) }), { kind: 'suspect', crashes: 0 });
      const claimed = await store.claim(taskId, { holder: 'other', ended: ended(2, 2) });
      assert.deepEqual([claimed.attempts, claimed.crashes], [1, 0]);
    });

    test('of two messages that took the place of one, each takes over what that one began, and neither what the other does', async () => {
      const taskId = await store.insert();
      await store.claim(taskId, { holder: 'message', delivery: 2 });
      const successor = (/** @type {string} */ holder, /** @type {number} */ delivery) => ({ holder, delivery, ended: [{ holder: 'message', delivery: 2, released: 0 }] });
      assert.deepEqual(await store.ask(taskId, { holder: 'other', ended: [{ holder: 'message', delivery: 1, released: 0 }] }), { kind: 'held', isOwn: false });
      assert.deepEqual(await store.ask(taskId, successor('one', 1)), { kind: 'suspect', crashes: 0 });
      assert.equal((await store.claim(taskId, successor('one', 1), true)).crashes, 1);
      assert.deepEqual(await store.ask(taskId, successor('two', 5), true), { kind: 'held', isOwn: false });
      assert.deepEqual(await store.ask(taskId, { holder: 'message', delivery: 3 }, true), { kind: 'held', isOwn: false });
      await store.call('abandon', [{ taskId, run: 1, attempts: 1, ...successor('two', 5) }], ERROR);
      assert.equal((await store.call('find', taskId)).status, 'processing');
      assert.equal((await store.claim(taskId, { holder: 'third', ended: [{ holder: 'one', delivery: 1, released: 0 }] }, true)).crashes, 2);
    });

    test('a task that waits is not taken early, whatever asks for it', async () => {
      const delayed = await store.insert({ delay_seconds: 60 });
      const failed = await store.insert();
      const next_attempt_ms = Date.now() + 60_000;
      assert.equal(await store.settle(await store.claim(failed), { status: 'pending', error: ERROR, next_attempt_ms }), 'ours');
      const { kind, until_ms } = await store.ask(delayed);
      assert.ok(kind === 'wait' && Math.abs(until_ms - next_attempt_ms) < 10_000);
      assert.deepEqual(await store.ask(failed, { delivery: 2 }), { kind: 'wait', until_ms: next_attempt_ms });
    });

    test('a task has no more attempts than it may have, though more were allowed before', async () => {
      const taskId = await store.insert({ max_retries: 0 });
      await store.settle(await store.claim(taskId), { status: 'pending', error: ERROR, next_attempt_ms: 0 });
      assert.deepEqual(await store.ask(taskId), { kind: 'spent', attempts: 1 });
    });

    test('takes as many large payloads at once as fit in memory, in whatever encoding', async () => {
      const payloads = ['a'.repeat(1024 * 1024), '語'.repeat(349_525)];
      const taskIds = [];
      for (let count = 0; count < 10; count++) taskIds.push(await store.insert({ taskId: newTaskId(Date.now(), '0'), payload: payloads[count % 2] }));
      const deliveries = taskIds.map((taskId) => deliveryOf(taskId));
      const answers = Object.values(await store.call('claim', deliveries));
      const kinds = Map.groupBy(answers, ({ kind }) => kind);
      assert.deepEqual([kinds.get('claimed')?.length, kinds.get('later')?.length], [8, 2]);
      const rest = deliveries.filter((_, index) => answers[index].kind === 'later');
      assert.deepEqual(Object.values(await store.call('claim', rest)).map(({ kind }) => kind), ['claimed', 'claimed']);
    });

    test('drops the payload of a completed task, and keeps that of a failed one for its retry', async () => {
      const [completed, failed] = [await store.insert({ payload: 'secret' }), await store.insert({ payload: 'needed' })];
      await store.settle(await store.claim(completed), { status: 'completed', result: '1' });
      await store.settle(await store.claim(failed), { status: 'failed', error: ERROR });
      assert.equal(await store.call('retry', failed, 1), 2);
      assert.equal((await store.claim(failed, { run: 2 })).payload, 'needed');
    });

    test('takes the reports of a large batch, in whatever order, and tells which belong', async () => {
      const claimed = [];
      for (let count = 0; count < 12; count++) claimed.push(await store.claim(await store.insert(), { holder: 'message' }));
      const taskIds = claimed.map(({ taskId }) => taskId);
      await store.claim(taskIds[0], { holder: 'message', delivery: 2 }, true); // it was taken over
      const reports = claimed.map(({ taskId, run, attempts, crashes, claim }, percent) => (
        { taskId, run, attempts, crashes, claim, progress: percent % 2 ? { percent, note: null } : null }
      ));
      const standings = await store.call('report', reports.reverse());
      assert.deepEqual(taskIds.map((taskId) => standings[taskId]), taskIds.map((_, index) => (index === 0 ? 'superseded' : 'ours')));
      const shown = await Promise.all(taskIds.map((taskId) => store.call('find', taskId)));
      assert.deepEqual(shown.map(({ progress }) => progress?.percent), taskIds.map((_, percent) => (percent % 2 ? percent : undefined)));
    });

    test('an attempt that failed makes its task wait', async () => {
      const taskId = await store.insert();
      const next_attempt_ms = Date.now() + 5_000;
      await store.settle(await store.claim(taskId), { status: 'pending', error: ERROR, next_attempt_ms });
      const task = await store.call('find', taskId);
      assert.deepEqual([task.status, task.error, task.next_attempt_ms, task.finished_ms], ['pending', ERROR, next_attempt_ms, null]);
    });

    test('cancels what is unfinished, and nothing overwrites it', async () => {
      const [pending, processing, completed] = [await store.insert(), await store.insert(), await store.insert()];
      const running = await store.claim(processing);
      await store.settle(await store.claim(completed), { status: 'completed', result: 'null' });
      assert.deepEqual(
        [await store.cancel(pending), await store.cancel(processing), await store.cancel(completed), await store.cancel(newTaskId(0))],
        [true, true, false, false],
      );
      assert.deepEqual(await store.ask(pending), { kind: 'over', hasFailed: false });
      assert.equal(await store.report(running, null), 'superseded');
      assert.equal(await store.settle(running, { status: 'completed', result: '1' }), 'superseded');
      assert.equal((await store.call('find', processing)).status, 'cancelled');
      assert.ok((await store.call('find', pending)).finished_ms);
    });

    test('retries by a new run, whose attempts count anew; messages of the run before do nothing', async () => {
      const taskId = await store.insertFailed();
      assert.equal(await store.call('retry', taskId, 1), 2);
      assert.equal(await store.call('retry', taskId, 2), null, 'it is pending');
      const task = await store.call('find', taskId);
      assert.deepEqual([task.status, task.run, task.attempts, task.error, task.finished_ms], ['pending', 2, 0, null, null]);
      assert.deepEqual(await store.ask(taskId, { run: 1, delivery: 3 }), { kind: 'over', hasFailed: false });
      const claimed = await store.claim(taskId, { run: 2 });
      assert.deepEqual([claimed.run, claimed.attempts], [2, 1]);
    });

    test('neither a retry nor a redrive makes the life of a task shorter', async () => {
      for (const again of [(/** @type {string} */ taskId) => store.call('retry', taskId, 1), (/** @type {string} */ taskId) => store.claim(taskId, { run: 2, redrive: true })]) {
        const [long, short] = [await store.insertFailed({ ttl_seconds: 604_800 }), await store.insertFailed({ ttl_seconds: 60 })];
        const before = await store.call('find', long);
        for (const taskId of [long, short]) await again(taskId);
        assert.equal((await store.call('find', long)).expires_ms, before.expires_ms);
        assert.ok(Math.abs((await store.call('find', short)).expires_ms - Date.now() - 24 * HOUR_MS) < 5_000);
      }
    });

    test('ends what nobody will attempt again, but not what has gone on since', async () => {
      const [lost, retried, claimed] = [await store.insert(), await store.insertFailed(), await store.insert()];
      await store.call('retry', retried, 1);
      await store.claim(claimed);
      const seen = [{ taskId: lost, run: 1, attempts: 0 }, { taskId: retried, run: 1, attempts: 1 }, { taskId: claimed, run: 1, attempts: 0 }];
      await store.call('abandon', seen, ERROR);
      const tasks = await Promise.all(seen.map(({ taskId }) => store.call('find', taskId)));
      assert.deepEqual(tasks.map(({ status, error }) => [status, error]), [['failed', ERROR], ['pending', null], ['processing', null]]);
      assert.ok(tasks[0].finished_ms);
    });

    test('a redrive starts the next run of a failed task, once', async () => {
      const taskId = await store.insertFailed();
      assert.equal(await store.claim(taskId, { run: 2 }), null);
      const claimed = await store.claim(taskId, { run: 2, redrive: true });
      assert.deepEqual([claimed.run, claimed.attempts], [2, 1]);
      assert.equal(await store.claim(taskId, { run: 2, redrive: true }), null);
      await store.settle(claimed, { status: 'pending', error: ERROR, next_attempt_ms: Date.now() });
      const second = await store.claim(taskId, { run: 2, delivery: 2, redrive: true });
      assert.equal(second.attempts, 2);
      await store.settle(second, { status: 'failed', error: ERROR });
      assert.equal(await store.claim(taskId, { run: 2, redrive: true }), null);
    });

    test('an idempotency key gives the same task, another fingerprint a conflict', async () => {
      const idempotency = { key: 'ab'.repeat(32), fingerprint: 'one' };
      const taskId = newTaskId(Date.now(), 'a');
      const [first] = await store.call('insert', [newTask({ taskId, idempotency })]);
      assert.deepEqual(first, { taskId, run: 1, status: 'pending', isNew: true, conflict: false, isHeld: false });
      assert.deepEqual(await store.call('insert', [newTask({ taskId, idempotency })]), [first], 'the same once more, for a lost reply');
      await store.claim(taskId);
      const again = newTask({ taskId: newTaskId(Date.now(), 'a'), idempotency });
      const other = newTask({ taskId: newTaskId(Date.now(), 'a') });
      const [second, third] = await store.call('insert', [again, other]);
      assert.deepEqual(second, { taskId, run: 1, status: 'processing', isNew: false, conflict: false, isHeld: false });
      assert.equal(third.taskId, other.taskId);
      assert.equal(await store.call('find', again.taskId), null);
      const [conflict] = await store.call('insert', [newTask({ taskId: newTaskId(Date.now(), 'a'), idempotency: { ...idempotency, fingerprint: 'two' } })]);
      assert.deepEqual([conflict.taskId, conflict.isNew, conflict.conflict], [taskId, false, true]);
    });

    test('a task whose time to live is over is not there, though the store may still hold it', async () => {
      const idempotency = { key: 'aa'.repeat(32), fingerprint: 'over' };
      const taskId = await store.insert({ taskId: newTaskId(Date.now() - 61_000, 'aa'), ttl_seconds: 60, idempotency });
      assert.deepEqual([await store.call('find', taskId), await store.claim(taskId), await store.cancel(taskId)], [null, null, false]);
      const { tasks } = await store.call('list', { status: null, handler: null, limit: 100, cursor: null });
      assert.ok(!tasks.some((/** @type {TaskSummary} */ task) => task.taskId === taskId));
      const [again] = await store.call('insert', [newTask({ taskId: newTaskId(Date.now(), 'aa'), idempotency })]);
      assert.equal(again.isNew, true);
    });

    test('a delayed task tells when it is due', async () => {
      const before_ms = Date.now();
      const taskId = await store.insert({ delay_seconds: 600, ttl_seconds: 120 });
      const { next_attempt_ms, expires_ms } = await store.call('find', taskId);
      assert.ok(next_attempt_ms >= before_ms + 600_000 && next_attempt_ms < before_ms + 660_000);
      assert.ok(Math.abs(expires_ms - next_attempt_ms - 120_000) <= 1_000);
    });
  });

  describe(`lists of store ${name}`, () => {
    /** @type {import('./store_under_test.js').StoreUnderTest} */
    let store;
    /** @type {string[]} */
    let taskIds;
    before(async () => {
      store = await startStore(name);
      taskIds = Array.from({ length: 9 }, (_, age) => newTaskId(Date.now() - age * HOUR_MS / 3)).reverse();
      await store.call('insert', taskIds.map((taskId, index) => newTask({ taskId, handler: index % 2 ? 'odd' : 'even' })));
      for (const taskId of taskIds.slice(0, 4)) {
        await store.settle(await store.claim(taskId), { status: 'failed', error: { name: 'E', message: 'x'.repeat(900) } });
      }
    });
    after(() => store.stop());

    const all = { status: null, handler: null, limit: 100, cursor: null };

    test('newest first, page by page', async () => {
      /** @type {string[]} */
      const seen = [];
      let cursor = null;
      do {
        const page = /** @type {{tasks: TaskSummary[], cursor: string | null}} */ (await store.call('list', { ...all, limit: 4, cursor }));
        assert.ok(page.tasks.length <= 4);
        seen.push(...page.tasks.map(({ taskId }) => taskId));
        cursor = page.cursor;
      } while (cursor);
      assert.deepEqual(seen, taskIds.toReversed());
    });

    test('by status and by handler', async () => {
      const failed = await store.call('list', { ...all, status: 'failed' });
      assert.deepEqual(failed.tasks.map((/** @type {TaskSummary} */ task) => task.taskId), taskIds.slice(0, 4).reverse());
      assert.equal(failed.cursor, null);
      const odd = await store.call('list', { ...all, handler: 'odd', status: 'pending' });
      assert.deepEqual(odd.tasks.map((/** @type {TaskSummary} */ task) => task.taskId), [taskIds[7], taskIds[5]]);
      assert.deepEqual((await store.call('list', { ...all, status: 'cancelled' })).tasks, []);
    });

    test('with an error of bounded length, and no result', async () => {
      const { tasks: [task] } = await store.call('list', { ...all, status: 'failed', limit: 1 });
      assert.deepEqual(task.error, { name: 'E', message: `${'x'.repeat(199)}…` });
      assert.ok(!('result' in task) && !('payload' in task));
    });

    test('statistics are of all tasks while they are few', async () => {
      const { counts, isAll, as_of_ms, since_ms, fresh_until_ms } = await store.call('statistics');
      assert.deepEqual(counts, { pending: 5, processing: 0, completed: 0, failed: 4, cancelled: 0 });
      assert.equal(isAll, true);
      assert.ok(Math.abs(Date.now() - as_of_ms) < 10_000 && fresh_until_ms >= as_of_ms);
      assert.equal(since_ms, creationTime(/** @type {string} */ (taskIds[0])));
    });

    test('counts what the sweeper has done', async () => {
      await store.call('countSweep', { expired: 1, resent: 2, returned: 3, failed: 4 });
      await store.call('countSweep', { expired: 1, resent: 0, returned: 0, failed: 0 });
      assert.deepEqual((await store.call('statistics')).sweeper, { expired: 2, resent: 2, returned: 3, failed: 4 });
    });
  });

  if (name !== 'durable-object') describe(`the sweep of store ${name}`, () => {
    /** @type {import('./store_under_test.js').StoreUnderTest} */
    let store;
    before(async () => {
      store = await startStore(name);
    });
    after(() => store.stop());

    const MINUTE_MS = 60_000;

    /** The next time at which KV's sweeper looks; the others look always. */
    const sweep_ms = () => Math.ceil(Date.now() / (10 * MINUTE_MS)) * 10 * MINUTE_MS;

    test('finds tasks whose message is lost, young and old', async () => {
      const lost = await store.insert({ taskId: newTaskId(Date.now() - 30 * MINUTE_MS) });
      const completed = await store.insert({ taskId: newTaskId(Date.now() - 20 * MINUTE_MS) });
      await store.settle(await store.claim(completed), { status: 'completed', result: 'null' });
      const held = await store.insert({ taskId: newTaskId(Date.now() - 10 * MINUTE_MS) });
      await store.claim(held);
      const retried = await store.insertFailed({ taskId: newTaskId(Date.now() - 3 * HOUR_MS) });
      await store.call('retry', retried, 1);
      const due = await store.insert({ taskId: newTaskId(Date.now() - 2 * HOUR_MS), delay_seconds: 7_000 });
      await store.insert({ taskId: newTaskId(Date.now() - 2 * HOUR_MS), delay_seconds: 9_000 });
      const open = await store.call('open', sweep_ms());
      /** @type {Record<string, number>} */
      const runs = Object.fromEntries(open.map((/** @type {{taskId: string, run: number}} */ { taskId, run }) => [taskId, run]));
      assert.deepEqual(runs, { [lost]: 1, [retried]: 2, [due]: 1 });
      await store.call('markSent', [lost], Date.now());
      const [sent] = (await store.call('open', sweep_ms())).filter((/** @type {{taskId: string}} */ { taskId }) => taskId === lost);
      assert.ok(sent.sent_at_ms > Date.now() - MINUTE_MS);
    });
  });
}

describe('the objects of store durable-object', () => {
  test('send lost tasks again, delete expired ones, and are empty with the last of them', async () => {
    const store = await startStore('durable-object');
    try {
      const lost = await Promise.all([...'0123'].map((digit) => store.insert({ taskId: newTaskId(Date.now() - HOUR_MS, digit) })));
      await store.insert({ taskId: newTaskId(Date.now() - 25 * HOUR_MS) });
      await store.worker.sweep();
      assert.deepEqual((await store.call('statistics')).sweeper, { expired: 1, resent: 4, returned: 0, failed: 0 });
      for (const taskId of lost) assert.equal((await store.call('find', taskId)).status, 'pending');
      for (const taskId of lost) await store.insert({ taskId: newTaskId(Date.now() - 25 * HOUR_MS, taskId.slice(-1)) });
      assert.equal((await store.call('list', { status: null, handler: null, limit: 9, cursor: null })).tasks.length, 4);
    } finally {
      await store.stop();
    }
  });

  test('take tasks after they were empty', async () => {
    const store = await startStore('durable-object');
    try {
      await store.insert({ taskId: newTaskId(Date.now() - 25 * HOUR_MS, '0') });
      await store.worker.sweep();
      assert.deepEqual((await store.call('statistics')).sweeper, { expired: 0, resent: 0, returned: 0, failed: 0 }, 'nothing is left');
      const taskId = await store.insert({ taskId: newTaskId(Date.now(), '0') });
      assert.equal((await store.call('find', taskId)).status, 'pending');
    } finally {
      await store.stop();
    }
  });
});

test('store durable-object asks again by another stub, for one that has failed may fail for ever', async () => {
  const face = `{
    async fetch() {
      let failures = 0;
      const stub = () => {
        let isBroken = false;
        return { async run() {
          isBroken ||= failures++ === 0;
          if (isBroken) throw new Error('Durable Object reset because its code was updated.');
          return [[]];
        } };
      };
      const store = new Store({ TASK_DO: { getByName: stub } });
      return Response.json(await store.find('${newTaskId(0)}'));
    },
  }`;
  const worker = await startWorker({ store: 'durable-object', face });
  try {
    const reply = await worker.fetch('/');
    assert.equal(await reply.json(), null);
  } finally {
    await worker.stop();
  }
});

test('store kv keeps an idempotency key as long as its task, which a new run makes longer', async () => {
  const store = await startStore('kv');
  try {
    const kv = await store.worker.miniflare.getKVNamespace('KV', 'task-runner');
    const lives = async () => (await kv.list()).keys.map(({ expiration = 0 }) => expiration - Math.floor(Date.now() / 1000));
    const idempotency = { key: 'cd'.repeat(32), fingerprint: 'one' };
    const retried = await store.insertFailed({ ttl_seconds: 600, idempotency });
    assert.deepEqual((await lives()).map((seconds) => Math.round(seconds / 100)), [6, 6]);
    await store.call('retry', retried, 1);
    assert.deepEqual((await lives()).map((seconds) => Math.round(seconds / 100)), [864, 864]);
    await store.settle(await store.claim(retried, { run: 2 }), { status: 'failed', error: ERROR });
    await kv.put(`idempotency:${idempotency.key}`, '{}', { expirationTtl: 60 });
    await store.claim(retried, { run: 3, redrive: true });
    assert.deepEqual((await lives()).map((seconds) => Math.round(seconds / 100)), [864, 864]);
  } finally {
    await store.stop();
  }
});

test('objects are of the jurisdiction that the stack names', async () => {
  const face = `{
    async fetch(request, env) {
      const asked = [];
      const TASK_DO = { jurisdiction: (name) => ({ getByName: (id) => { asked.push([name, id]); return env.TASK_DO.getByName(id); } }) };
      await new Store({ ...env, TASK_DO, JURISDICTION: 'eu' }).find('00000000-0000-7000-8000-000000000001');
      return Response.json(asked);
    },
  }`;
  const worker = await startWorker({ store: 'durable-object', face });
  try {
    assert.deepEqual(await (await worker.fetch('/')).json(), [['eu', 'tasks-1']]);
  } finally {
    await worker.stop();
  }
});
