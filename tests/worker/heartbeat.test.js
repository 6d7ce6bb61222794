import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { Heartbeat, Running } from '../../worker/heartbeat.js';

/** @import { Standing } from '../../worker/stores/store.js' */
/** @import { AttemptName, Progress } from '../../worker/task.js' */

/** @typedef {AttemptName & {progress: Progress | null}} Report */

/** The longest time of an attempt. */
const LONGEST_SECONDS = 840;

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

/**
 * A heartbeat whose store notes when it is told what.
 *
 * @param {object} [options]
 * @param {number} [options.settling_seconds]
 * @param {(reports: Report[]) => Promise<Set<string>>} [options.answer]
 */
function startHeartbeat({ settling_seconds = 0, answer = async (reports) => new Set(reports.map(({ taskId }) => taskId)) } = {}) {
  const start_ms = Date.now();
  /** @type {{at_seconds: number, progress: (Progress | null)[]}[]} */
  const reports = [];
  /** @type {string[]} */
  const stopped = [];
  const heartbeat = new Heartbeat({
    settling_seconds,
    report: async (told) => {
      reports.push({ at_seconds: (Date.now() - start_ms) / 1000, progress: told.map(({ progress }) => progress) });
      const belonging = await answer(told);
      return new Map(told.map(({ taskId }) => [taskId, /** @type {Standing} */ (belonging.has(taskId) ? 'ours' : 'superseded')]));
    },
  });
  /** @param {string} taskId */
  const add = (taskId) => {
    const running = new Running({ taskId, run: 1, attempts: 1, crashes: 0, claim: 'claim' }, ({ name }) => stopped.push(`${taskId}: ${name}`));
    heartbeat.add(running);
    return running;
  };
  return { heartbeat, add, reports, stopped, times: () => reports.map(({ at_seconds }) => at_seconds) };
}

/**
 * @param {number} seconds
 * @param {() => void} [each] called at every tenth of a second
 */
async function pass(seconds, each = () => {}) {
  for (let tenth = 0; tenth < seconds * 10; tenth++) {
    mock.timers.tick(100);
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    each();
  }
}

/** @param {number} percent */
function progress(percent) {
  return { percent, note: null };
}

test('a batch that has ended within a second costs nothing', async () => {
  const { heartbeat, add, times } = startHeartbeat();
  const [one, other] = [add('one'), add('other')];
  heartbeat.tell(one, progress(50));
  await pass(0.5);
  heartbeat.remove(one);
  await pass(0.4);
  heartbeat.remove(other);
  await pass(100);
  assert.deepEqual(times(), []);
});

test('reports come after a second, then at a quarter of the age, at most a minute apart', async () => {
  const { add, times } = startHeartbeat();
  add('one');
  await pass(LONGEST_SECONDS);
  const intervals = times().map((time, index) => time - (times()[index - 1] ?? 0));
  assert.deepEqual(times().slice(0, 7), [1, 3, 5, 7, 9, 11.3, 14.2]);
  assert.ok(intervals.slice(6).every((interval, index) => interval <= Number(times()[index + 5]) * 0.25 + 0.1));
  assert.deepEqual(intervals.slice(-2), [60, 60]);
  assert.equal(times().length, 29);
});

test('what is new is reported sooner, once', async () => {
  const { heartbeat, add, reports, times } = startHeartbeat();
  const [one] = [add('one'), add('other')];
  await pass(60);
  const before = reports.length;
  heartbeat.tell(one, progress(1));
  heartbeat.tell(one, progress(2));
  await pass(2);
  assert.equal(reports.length, before + 1);
  assert.deepEqual(reports.at(-1)?.progress, [progress(2), null]);
  await pass(LONGEST_SECONDS);
  assert.ok(reports.slice(before + 1).every(({ progress: told }) => told.every((each) => each === null)));
  assert.ok(times().every((time, index) => index === 0 || time - Number(times()[index - 1]) >= 2));
});

test('progress without end is told at bounded cost', async () => {
  for (const [settling_seconds, shortest_seconds, most] of /** @type {const} */ ([[0, 2, 40], [15, 5, 40]])) {
    for (const from_seconds of [0, 300]) {
      const { heartbeat, add, times } = startHeartbeat({ settling_seconds });
      const one = add('one');
      let tenths = 0;
      await pass(LONGEST_SECONDS, () => {
        if (tenths++ >= from_seconds * 10) heartbeat.tell(one, progress(tenths % 100));
      });
      heartbeat.remove(one);
      assert.ok(times().length <= most && times().length > 25, `${times().length}`);
      assert.ok(times().every((time, index) => index === 0 || time - Number(times()[index - 1]) >= shortest_seconds));
    }
  }
});

test('of a large batch a store that is slow to settle is told ten attempts at a time, each in its turn', async () => {
  /** @type {string[][]} */
  const told = [];
  const { heartbeat, add } = startHeartbeat({
    settling_seconds: 15,
    answer: async (reports) => {
      told.push(reports.map(({ taskId }) => taskId));
      return new Set(told.at(-1));
    },
  });
  const names = Array.from({ length: 25 }, (_, index) => `${index}`);
  const attempts = names.map(add);
  await pass(6);
  for (const ended of attempts.slice(20, 22)) heartbeat.remove(ended);
  await pass(10);
  assert.deepEqual(told.map((turn) => turn.join(' ')), [
    names.slice(0, 10).join(' '), names.slice(10, 20).join(' '),
    [...names.slice(22), ...names.slice(0, 7)].join(' '), names.slice(7, 17).join(' '),
  ]);
});

test('an attempt that has lost its task is stopped, and no other', async () => {
  const { add, stopped } = startHeartbeat({ answer: async () => new Set(['one']) });
  add('one');
  add('other');
  await pass(1);
  assert.deepEqual(stopped, ['other: Cancelled']);
});

test('a report that fails stops nothing, and its news come with the next one', async () => {
  const warn = mock.method(console, 'warn', () => {});
  let isDown = true;
  const { heartbeat, add, reports, stopped } = startHeartbeat({
    answer: async () => {
      if (isDown) throw new Error('the store is down');
      return new Set(['one']);
    },
  });
  heartbeat.tell(add('one'), progress(10));
  await pass(1);
  isDown = false;
  await pass(2);
  assert.deepEqual(reports.map(({ progress: told }) => told), [[progress(10)], [progress(10)]]);
  assert.deepEqual([stopped, warn.mock.callCount()], [[], 1]);
  warn.mock.restore();
});

test('what is told while a report is on its way comes with the next one', async () => {
  /** @type {(belonging: Set<string>) => void} */
  let answer = () => {};
  const { heartbeat, add, reports } = startHeartbeat({ answer: () => new Promise((resolve) => { answer = resolve; }) });
  const one = add('one');
  heartbeat.tell(one, progress(10));
  await pass(1);
  heartbeat.tell(one, progress(20));
  await pass(60);
  assert.equal(reports.length, 1);
  answer(new Set(['one']));
  await pass(2);
  assert.deepEqual(reports.map(({ progress: told }) => told), [[progress(10)], [progress(20)]]);
});

test('it ends with the last attempt, once the report on its way is written', async () => {
  /** @type {(belonging: Set<string>) => void} */
  let answer = () => {};
  const { heartbeat, add, times } = startHeartbeat({ answer: () => new Promise((resolve) => { answer = resolve; }) });
  const one = add('one');
  await pass(1);
  heartbeat.remove(one);
  let isSettled = false;
  const settled = heartbeat.settled().then(() => { isSettled = true; });
  await pass(1);
  assert.equal(isSettled, false);
  answer(new Set());
  await settled;
  heartbeat.tell(one, progress(99));
  await pass(100);
  assert.deepEqual([times(), one.progress], [[1], null]);
});
