import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { attemptsOf, entriesOf, Journal, KEPT_ATTEMPTS, KEPT_LINES, LINE_LENGTH, STORY_BYTES } from '../../worker/story.js';
import { describeFailure } from '../../worker/thrown.js';
import { apiTokens, assertRefused, startApi } from './api_under_test.js';
import { ERROR, startStore } from './store_under_test.js';
import { STORES } from './worker_under_test.js';

const UNKNOWN_ID = '01a20477-41c5-7c7e-bacd-9b6d0e7211fe';

/** Fails until an attempt, and logs all the while. */
const CHATTY = `
  export const parameters = { until: 'the attempt that does not fail' };
  export default (payload, { attempt, parameters, log }) => {
    log.info('at work', { attempt, size: 7 });
    if (payload === 'odd') { log.warn('half \\ud800', { big: 1n }); log.error(Symbol('s')); log.debug('', [1]); }
    if (attempt < Number(parameters.until ?? 1)) throw new RangeError('not yet', { cause: new TypeError('the weather') });
    return attempt;
  };`;

const QUIET = 'export default () => 1;';

/** Waits once, and logs before and after it. */
const STEPPED = `
  export const steps = true;
  export default async (payload, { sleep, log }) => {
    log.info('before');
    await sleep('nap', 1);
    log.info('after');
  };`;

for (const store of STORES) describe(`GET /task/:id/attempts with state in ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, handlers: { chatty: CHATTY, quiet: QUIET, stepped: STEPPED } }); });
  after(() => api.stop());

  /**
   * @param {string} taskId
   * @returns {Promise<{run: number, attempt: number, outcome: string, startedAt: string, endedAt: string, error: any, log: Record<string, string>[], logDropped: number}[]>}
   */
  async function attempts(taskId) {
    const { status, body } = await api.call('GET', `/task/${taskId}/attempts`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.taskId, taskId);
    return body.attempts;
  }

  test('each attempt is told, with its times, its error, where it was thrown, its cause, and what it has logged', async () => {
    const before_ms = Date.now();
    const taskId = await api.submit('?handler=chatty&param.until=3');
    assert.deepEqual(await attempts(taskId), []);
    for (let time = 0; time < 3; time++) await api.attempt(taskId);
    const [one, two, three, ...others] = /** @type {any[]} */ (await attempts(taskId));
    assert.deepEqual(others, []);
    for (const [index, each] of [one, two, three].entries()) {
      const { error: _, startedAt, endedAt, log, ...rest } = each;
      assert.deepEqual(rest, { run: 1, attempt: index + 1, outcome: index < 2 ? 'failed' : 'completed', logDropped: 0 });
      assert.ok(Date.parse(startedAt) >= before_ms && Date.parse(endedAt) >= Date.parse(startedAt) && Date.parse(endedAt) <= Date.now());
      assert.deepEqual(/** @type {Record<string, string>[]} */ (log).map(({ at = '', ...line }) => ({ ...line, isTime: Date.parse(at) >= before_ms })), [
        { level: 'info', message: 'at work', fields: JSON.stringify({ attempt: index + 1, size: 7 }), isTime: true },
      ]);
    }
    assert.deepEqual([one.error.name, one.error.message, one.error.cause.name, one.error.cause.cause], ['RangeError', 'not yet; caused by TypeError: the weather', 'TypeError', null]);
    assert.match(one.error.stack, /^at /);
    assert.equal(three.error, null);
    assert.deepEqual(Object.keys(await api.task(taskId)).filter((key) => ['attempts', 'log', 'story'].includes(key)), ['attempts'], 'the ordinary answer stays small');
  });

  test('an attempt that completes at once and logs nothing is told by its row', async () => {
    const taskId = await api.submit('?handler=quiet');
    await api.attempt(taskId);
    const { startedAt, finishedAt } = await api.task(taskId);
    assert.deepEqual(await attempts(taskId), [{ run: 1, attempt: 1, outcome: 'completed', startedAt, endedAt: finishedAt, error: null, log: [], logDropped: 0 }]);
  });

  test('whatever is logged is kept as text', async () => {
    const taskId = await api.submit('?handler=chatty', { body: 'odd' });
    await api.attempt(taskId);
    const [first] = await attempts(taskId);
    assert.deepEqual(first?.log.slice(1).map(({ level, message, fields }) => [level, message, fields]), [
      ['warn', 'half \ufffd', '"fields that JSON cannot hold"'], ['error', 'Symbol(s)', null], ['debug', '', '[1]'],
    ]);
  });

  test('a run after another one adds to the story', async () => {
    const taskId = await api.submit('?handler=chatty&param.until=2&maxRetries=0');
    await api.attempt(taskId);
    assert.equal((await api.call('POST', `/task/${taskId}/retry`)).status, 200);
    await api.attempt(taskId, 2);
    assert.deepEqual((await attempts(taskId)).map(({ run, attempt, outcome }) => [run, attempt, outcome]), [[1, 1, 'failed'], [2, 1, 'failed']]);
  });

  test('an attempt that waits for its steps is one attempt', async () => {
    const taskId = await api.submit('?handler=stepped');
    await api.attempt(taskId);
    const [waiting, ...none] = await attempts(taskId);
    assert.deepEqual([waiting?.attempt, waiting?.outcome, none], [1, 'waiting', []]);
    await sleep(1_200);
    await api.attempt(taskId);
    const [done, ...others] = await attempts(taskId);
    assert.deepEqual([done?.attempt, done?.outcome, done?.startedAt, others], [1, 'completed', waiting?.startedAt, []]);
    assert.deepEqual(done?.log.map(({ message }) => message), ['before', 'before', 'after']);
  });

  test('refuses what it does not know', async () => {
    for (const part of ['attempts', 'parameters']) {
      assertRefused(await api.call('GET', `/task/${UNKNOWN_ID}/${part}`), 404, 'task_not_found');
      assertRefused(await api.call('GET', `/task/x/${part}`), 404, 'task_not_found');
      assertRefused(await api.call('GET', `/task/${UNKNOWN_ID}/${part}?x`), 400, 'invalid_parameter', { parameter: 'x' });
    }
  });

  test('parameters are told by a route of their own', async () => {
    const taskId = await api.submit('?handler=chatty&param.until=9');
    assert.deepEqual((await api.call('GET', `/task/${taskId}/parameters`)).body, { taskId, handler: 'chatty', parameters: { until: '9' } });
  });
});

for (const name of STORES) describe(`stories in ${name}`, () => {
  /** @type {import('./store_under_test.js').StoreUnderTest} */
  let store;
  before(async () => { store = await startStore(name); });
  after(() => store.stop());

  /** @param {string} taskId */
  const shown = async (taskId) => attemptsOf(await store.call('find', taskId), await store.call('story', taskId));

  test('an attempt whose isolate died is told as a crash, with the time of its start', async () => {
    const taskId = await store.insert();
    const before_ms = Date.now();
    await store.claim(taskId, { holder: 'message', delivery: 1 });
    const [running] = await shown(taskId);
    assert.deepEqual([running?.end, running?.ended_ms], ['running', null]);
    assert.ok(Math.abs((running?.started_ms ?? 0) - before_ms) < 1_000);
    const second = { holder: 'message', delivery: 2, claim: 'second' };
    await store.claim(taskId, second, true);
    await store.claim(taskId, second, true); // its reply was lost
    const ends = async () => (await shown(taskId)).map(({ attempt, end }) => [attempt, end]);
    assert.deepEqual(await ends(), [[1, 'crashed'], [1, 'running']]);
    assert.equal((await shown(taskId))[0]?.started_ms, running?.started_ms);
    const third = await store.claim(taskId, { holder: 'message', delivery: 3 }, true);
    assert.deepEqual(entriesOf(third.story).map(({ end }) => end), ['crashed', 'crashed'], 'the attempt that goes on knows of it');
    const fourth = { holder: 'message', delivery: 4, ended: [] };
    await store.call('abandon', [{ taskId, run: 1, attempts: 1, ...fourth }], ERROR);
    assert.deepEqual(await ends(), [[1, 'crashed'], [1, 'crashed'], [1, 'crashed']]);
  });

  test('a task that fails before any attempt has none to tell of', async () => {
    const taskId = await store.insert();
    await store.call('abandon', [{ taskId, run: 1, attempts: 0 }], ERROR);
    assert.deepEqual(await shown(taskId), []);
  });

  test('a cancelled attempt is told, and an outcome written twice is told once', async () => {
    const cancelled = await store.insert();
    await store.claim(cancelled);
    await store.call('cancel', cancelled);
    assert.deepEqual((await shown(cancelled)).map(({ end }) => end), ['cancelled']);
    const taskId = await store.insert();
    const attempt = await store.claim(taskId);
    const story = JSON.stringify([{ run: 1, attempt: 1, started_ms: 1, ended_ms: 2, end: 'failed', error: { ...ERROR, stack: null, cause: null } }]);
    for (let time = 0; time < 2; time++) assert.equal(await store.settle(attempt, { status: 'failed', error: ERROR, story }), 'ours');
    assert.deepEqual((await shown(taskId)).map(({ end }) => end), ['failed']);
  });

  test('more crashes than are kept push out the oldest', async () => {
    const taskId = await store.insert();
    for (let run = 1; run <= KEPT_ATTEMPTS; run++) {
      await store.claim(taskId, { run, holder: `${run}`, delivery: 1 });
      await store.claim(taskId, { run, holder: `${run}`, delivery: 2 }, true);
      await store.call('abandon', [{ taskId, run, attempts: 1, holder: `${run}`, delivery: 3 }], ERROR);
      assert.equal(await store.call('retry', taskId, run), run + 1);
    }
    const kept = entriesOf((await store.call('story', taskId)).story);
    assert.deepEqual(kept.map(({ run }) => run), Array.from({ length: KEPT_ATTEMPTS }, (_, index) => 6 + Math.floor(index / 2)));
  });
});

test('who may read does not see parameters, and nobody the whole URL of a callback', async () => {
  const [reader, operator] = ['r'.repeat(32), 'o'.repeat(32)];
  const api = await startApi({
    handlers: { chatty: CHATTY },
    settings: { API_TOKENS: apiTokens({ page: [reader, 'read'], me: operator }), HTTP_ALLOWED_HOSTS: 'hook.example' },
  });
  try {
    const as = (/** @type {string} */ token) => ({ headers: { Authorization: `Bearer ${token}` } });
    const taskId = await api.submit('?handler=chatty&callbackUrl=https://hook.example/secret', { ...as(operator), body: 'x' });
    await api.attempt(taskId);
    assert.equal((await api.call('GET', `/task/${taskId}/attempts`, as(reader))).status, 200);
    assertRefused(await api.call('GET', `/task/${taskId}/parameters`, as(reader)), 403, 'forbidden');
    const { body: { callback } } = await api.call('GET', `/task/${taskId}`, as(reader));
    const { body } = await api.call('GET', `/task/${callback.taskId}/parameters`, as(operator));
    assert.deepEqual(body.parameters, { url: 'https://hook.example' });
  } finally {
    await api.stop();
  }
});

test('a story is bounded, whatever is logged and thrown, and the last attempt is always told', () => {
  const wide = '\u0001'.repeat(2_000); // six bytes each, as JSON
  let story = /** @type {string | null} */ (null);
  for (let attempts = 1; attempts <= 30; attempts++) {
    const journal = new Journal({ run: 1, attempts, story });
    for (let line = 0; line < KEPT_LINES + 20; line++) journal.log('info', `${line} ${wide}`, { wide });
    const stack = Array.from({ length: 50 }, () => `  at ${wide}`).join('\n');
    const cause = Object.assign(new Error(wide), { stack, cause: Object.assign(new Error(wide), { stack }) });
    story = journal.after({ status: 'pending', ended_ms: attempts }, describeFailure(Object.assign(new Error(wide), { stack, cause })));
    assert.ok(new TextEncoder().encode(String(story)).byteLength <= STORY_BYTES);
    const last = entriesOf(story).at(-1);
    assert.deepEqual([last?.attempt, last?.error?.message.length], [attempts, 1_000]);
  }
  for (let attempts = 31; attempts <= 60; attempts++) {
    const journal = new Journal({ run: 1, attempts, story });
    for (let line = 0; line < KEPT_LINES + 20; line++) journal.log('info', `line ${line}`, {});
    story = journal.after({ status: 'completed', ended_ms: attempts }, null);
  }
  const kept = entriesOf(story);
  assert.deepEqual(kept.map(({ attempt }) => attempt), Array.from({ length: KEPT_ATTEMPTS }, (_, index) => 61 - KEPT_ATTEMPTS + index));
  const { log = [], dropped } = kept.at(-1) ?? {};
  assert.deepEqual([log.length, dropped, log[0]?.message, log.at(-1)?.message], [KEPT_LINES, 20, 'line 20', 'line 69']);
  assert.ok(new TextEncoder().encode(String(story)).byteLength <= STORY_BYTES);
});

test('a line is bounded', () => {
  const journal = new Journal({ run: 1, attempts: 1, story: null });
  journal.log('warn', 'x'.repeat(10_000), { text: 'y'.repeat(10_000) });
  journal.log('info', '\0', null);
  const [entry] = entriesOf(journal.after({ status: 'completed', ended_ms: 1 }, null));
  const [line, nothing] = entry?.log ?? [];
  assert.deepEqual([nothing?.message, nothing?.fields], ['\ufffd', null]);
  assert.deepEqual([line?.message.length, line?.fields?.length], [LINE_LENGTH, LINE_LENGTH]);
});
