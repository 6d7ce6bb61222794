/** Dead letters by the API: looked at, redriven and purged, and never lost. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { MAX_REQUESTS } from '../../worker/dead_letter_round.js';
import { newTaskId } from '../../worker/task_id.js';
import { apiTokens, assertRefused, startApi } from './api_under_test.js';
import { ACCOUNT_ID, FakeDeadLetterApi, QUEUE_ID, TOKEN } from './fakes/dead_letter_api.js';
import { EVERY_STORE, someOf } from './worker_under_test.js';

/** @import { ApiUnderTest } from './api_under_test.js' */
/** @import { Fault } from './fakes/dead_letter_api.js' */
/** @import { StoreName } from './worker_under_test.js' */

/** Fails, unless it is told to work. */
const HANDLER = `export default (payload, { attempt }) => { if (payload !== 'good') throw new RangeError('no such picture'); return attempt; };`;

/** The Worker, whose dead-letter queue is the one of the fake API, and which tells what it has sent to its queues. */
const FACE = `(() => {
  const sent = [];
  let isFull = false;
  class SeenEngine extends QueueEngine {
    async redrive(runs) {
      if (isFull) throw new HandoverRefused('full', { retry_after_seconds: 3 });
      await super.redrive(runs);
      sent.push(...runs);
    }
  }
  const runner = taskRunner({ Store, Engine: SeenEngine, Consumer: QueueEngine, handlers, sweep, Validator });
  const base64 = (body, contentType) => contentType === 'text' ? body : (contentType === 'json' ? new TextEncoder().encode(JSON.stringify(body)) : body).toBase64();
  return {
    ...runner,
    async fetch(request, env, ctx) {
      const { pathname } = new URL(request.url);
      if (pathname === '/sent') return Response.json(sent.splice(0));
      if (pathname === '/full') { isFull = !isFull; return Response.json(isFull); }
      const sendBatch = async (messages) => {
        const copies = messages.map(({ body, contentType }) => ({ contentType, body: base64(body, contentType) }));
        await fetch(env.DEAD_LETTER_API_URL + '/queues/x/send', { method: 'POST', body: JSON.stringify(copies) });
      };
      return runner.fetch(request, { ...env, TASK_DLQ: { sendBatch, metrics: () => env.TASK_DLQ.metrics() } }, ctx);
    },
  };
})()`;

const READER = 'a-token-that-may-look-at-this-test-alone';
const OPERATOR = 'a-token-that-opens-nothing-but-this-test';

const settingsOf = (/** @type {FakeDeadLetterApi} */ { url }) => ({
  DEAD_LETTER_API_TOKEN: TOKEN, DEAD_LETTER_API_URL: url, DEAD_LETTER_ACCOUNT_ID: ACCOUNT_ID, DEAD_LETTER_QUEUE_ID: QUEUE_ID,
});

const cloud = new FakeDeadLetterApi();
before(() => cloud.start());
after(() => cloud.stop());
afterEach(() => cloud.reset());

for (const store of someOf(/** @type {StoreName[]} */ ([...EVERY_STORE, 'sharded-d1']))) describe(`dead letters with ${store}`, () => {
  /** @type {ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, face: FACE, handlers: { default: HANDLER }, settings: { ...settingsOf(cloud), API_TOKENS: apiTokens({ me: OPERATOR, watcher: [READER, 'read'] }) } }); });
  after(() => api.stop());

  const call = (/** @type {string} */ method, /** @type {string} */ path, /** @type {unknown} */ body = undefined, token = OPERATOR) => (
    api.call(method, path, { body, headers: { Authorization: `Bearer ${token}` } })
  );
  const task = async (/** @type {string} */ taskId) => (await call('GET', `/task/${taskId}`)).body;
  const sent = async () => (await call('GET', '/sent')).body;

  async function submit(body = 'bad') {
    const { body: { taskId } } = await call('POST', '/task?maxRetries=0', body);
    return String(taskId);
  }

  /** @returns {Promise<string>} the id of a task that has failed, whose letter is buried */
  async function fail() {
    const taskId = await submit();
    await api.attempt(taskId);
    cloud.bury({ taskId, run: 1 });
    return taskId;
  }

  test('are looked at with their tasks, which uses nothing up', async () => {
    const failed = await fail();
    const [completed, pending, gone] = [await submit('good'), await submit(), newTaskId(Date.now())];
    await api.attempt(completed);
    for (const taskId of [completed, pending, gone, 'no id']) cloud.bury({ taskId });
    cloud.bury({ taskId: failed, run: 2, redrive: true });
    for (const body of ['x'.repeat(300), { poison: 1 }, [1], { taskId: 7 }, { taskId: failed, run: 0 }]) cloud.bury(body);
    const { status, body } = await call('GET', '/dead-letters');
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.deadLetters.map((/** @type {any} */ each) => each.state), ['failed', 'stale', 'unfinished', 'gone', 'gone', 'failed', ...Array(5).fill('malformed')]);
    assert.equal(body.total, 11);
    assert.equal((await call('GET', '/stats')).body.deadLetters.readable, true);
    assert.deepEqual(body.deadLetters[0], {
      letterId: cloud.letters[0]?.id, state: 'failed', attempts: 0, sentAt: '2026-11-30T09:00:00.000Z', contentType: 'json', taskId: failed, run: 1,
      task: { status: 'failed', run: 1, handler: 'default', error: { name: 'RangeError', message: 'no such picture' } }, body: null,
    });
    assert.deepEqual(body.deadLetters[3].task, null);
    assert.deepEqual([body.deadLetters[6].body.length, body.deadLetters[7].body], [200, '{"poison":1}']);
    const seen = (await call('GET', '/dead-letters?limit=100', undefined, READER)).body;
    assert.ok(seen.deadLetters.every((/** @type {any} */ each) => each.body === null), 'whoever may look alone sees no bodies');
    assert.equal((await call('GET', '/dead-letters?limit=2')).body.deadLetters.length, 2);
    assert.deepEqual(new Set(cloud.letters.map(({ attempts }) => attempts)), new Set([0]));
  });

  test('are redriven: each task runs again, once, and its letter goes', async () => {
    const [first, second, third] = [await fail(), await fail(), await fail()];
    const [id] = cloud.letters.map((letter) => letter.id);
    const { body } = await call('POST', '/dead-letters/redrive', { ids: [id, 'letter-none'] });
    assert.deepEqual(body, { redriven: 1, stale: 0, unfinished: 0, gone: 0, malformed: 0, repeated: 0, missing: 1, more: false });
    assert.deepEqual(cloud.letters.map(({ attempts }) => attempts), [0, 0], 'the others are not even pulled');
    assert.deepEqual((await sent()).map((/** @type {any} */ { taskId, run }) => [taskId, run]), [[first, 2]]);
    await api.worker.deliver({ body: { taskId: first, run: 2, redrive: true } });
    const { status, run } = await task(first);
    assert.deepEqual([status, run], ['failed', 2]);
    cloud.bury({ taskId: second, run: 1 }); // a letter that came twice
    cloud.bury({ taskId: first, run: 1 });
    cloud.bury('poison');
    const all = (await call('POST', '/dead-letters/redrive', { all: true })).body;
    assert.deepEqual(all, { redriven: 2, stale: 1, unfinished: 0, gone: 0, malformed: 1, repeated: 0, missing: 0, more: false });
    assert.deepEqual((await sent()).map((/** @type {any} */ { taskId, run: next }) => [taskId, next]), [[second, 2], [third, 2]]);
    assert.equal(cloud.letters.length, 2);
    assert.ok(cloud.letters.every(({ lease_id }) => lease_id === null), 'what stays can be pulled');
    assert.equal((await call('POST', '/dead-letters/redrive', { all: true })).body.redriven, 0);
  });

  test('are found in whatever order the queue gives them', async () => {
    const [first] = [await fail(), await fail(), await fail()];
    cloud.isReversed = true;
    const [id] = cloud.letters.map((letter) => letter.id);
    const { body } = await call('POST', '/dead-letters/redrive', { ids: [id] });
    assert.deepEqual(body, { redriven: 1, stale: 0, unfinished: 0, gone: 0, malformed: 0, repeated: 0, missing: 0, more: false });
    assert.deepEqual((await sent()).map((/** @type {any} */ { taskId }) => taskId), [first]);
    assert.ok(cloud.letters.every(({ lease_id }) => lease_id === null));
    const [, last] = cloud.letters.map((letter) => letter.id);
    assert.deepEqual((await call('POST', '/dead-letters/purge', { ids: [last] })).body, { purged: 1, missing: 0, more: false });
  });

  test('of a task that is cancelled, completed or at work are left', async () => {
    const [done, pending] = [await submit('good'), await submit()];
    await api.attempt(done);
    for (const taskId of [done, pending, newTaskId(Date.now())]) cloud.bury({ taskId, run: 1 });
    const { body } = await call('POST', '/dead-letters/redrive', { ids: cloud.letters.map(({ id }) => id) });
    assert.deepEqual(body, { redriven: 0, stale: 1, unfinished: 1, gone: 1, malformed: 0, repeated: 0, missing: 0, more: false });
    assert.deepEqual([await sent(), cloud.letters.length], [[], 3]);
    assert.deepEqual((await call('POST', '/dead-letters/purge', { stale: true })).body, { purged: 2, missing: 0, more: false });
    assert.equal(cloud.letters.length, 1);
  });

  test('are purged: those that were chosen, or all', async () => {
    const ids = ['one', 'two', 'three', 'four'].map((text) => cloud.bury(text));
    assert.deepEqual((await call('POST', '/dead-letters/purge', { ids: [ids[1], 'letter-none'] })).body, { purged: 1, missing: 1, more: false });
    assert.deepEqual(cloud.letters.map(({ id, attempts }) => [id, attempts]), [[ids[0], 1], [ids[2], 0], [ids[3], 0]]);
    assert.deepEqual((await call('POST', '/dead-letters/purge', { all: true })).body, { purged: 3, missing: 0, more: false });
    assert.deepEqual(cloud.letters, []);
  });

  test('a call works on a hundred, and makes a bounded number of requests', async () => {
    const taskIds = await Promise.all(Array.from({ length: 130 }, () => submit()));
    for (let start = 0; start < taskIds.length; start += 10) await api.worker.deliver(...taskIds.slice(start, start + 10).map((taskId) => ({ body: { taskId, run: 1 } })));
    for (const taskId of taskIds) cloud.bury({ taskId, run: 1 });
    const redriven = [];
    for (let more = true; more;) {
      cloud.requests = [];
      const { body } = await call('POST', '/dead-letters/redrive', { all: true });
      redriven.push(body.redriven);
      ({ more } = body);
      assert.ok(cloud.requests.length <= MAX_REQUESTS, cloud.requests.join());
    }
    assert.deepEqual([redriven, cloud.letters.length], [[100, 30], 0]);
    const runs = await sent();
    assert.deepEqual([runs.length, new Set(runs.map((/** @type {any} */ { taskId }) => taskId))], [130, new Set(taskIds)]);
  });

  test('whenever Cloudflare fails, each letter is there, or its task runs again', async () => {
    /** @type {Fault['kind'][]} */
    const kinds = ['lost', 'away', 'cut', 500];
    for (const kind of kinds) {
      for (let from = 0, isHit = true; isHit; from++) {
        assert.ok(from < 20);
        const taskIds = [await fail(), await fail(), await fail()];
        cloud.bury('poison');
        cloud.max_retries = 1;
        cloud.requests = [];
        cloud.fault = { from, kind };
        await call('POST', '/dead-letters/redrive', { all: true });
        isHit = cloud.requests.length > from;
        cloud.fault = null;
        const runs = new Set((await sent()).map((/** @type {any} */ { taskId }) => taskId));
        cloud.endLeases();
        const buried = new Set((await call('GET', '/dead-letters')).body.deadLetters.map((/** @type {any} */ { taskId }) => taskId));
        for (const taskId of taskIds) assert.ok(runs.has(taskId) || buried.has(taskId), `${kind} at request ${from}: a task has no letter and no run`);
        assert.ok(buried.has(null), `${kind} at request ${from}: a letter is lost that was not meant`);
        const { body } = await call('POST', '/dead-letters/redrive', { all: true });
        assert.equal(body.redriven, buried.size - 1, `${kind} at request ${from}: ${JSON.stringify(body)}`);
        for (const { taskId } of await sent()) runs.add(taskId);
        assert.deepEqual(runs, new Set(taskIds));
        cloud.reset();
      }
    }
  });

  test('where the queue takes no tasks, the letters stay', async () => {
    await fail();
    await call('POST', '/full');
    const refused = await call('POST', '/dead-letters/redrive', { all: true });
    await call('POST', '/full');
    assertRefused(refused, 503, 'backlog_full');
    assert.equal(refused.headers.get('Retry-After'), '3');
    assert.deepEqual([cloud.letters.length, cloud.letters[0]?.lease_id], [1, null]);
  });

  test('one that has spent its attempts is not dropped for having been looked through', async () => {
    cloud.max_retries = 2;
    const bytes = btoa('\0\xff');
    cloud.bury('poison');
    cloud.bury({ poison: 1 });
    cloud.bury(7);
    cloud.bury('', { body: bytes, content_type: 'bytes' });
    const before_ = cloud.letters.map(({ body, content_type }) => `${content_type} ${body}`).sort();
    const last = await fail();
    for (let time = 0; time < 5; time++) {
      cloud.bury({ taskId: last, run: 1 });
      assert.equal((await call('POST', '/dead-letters/redrive', { all: true })).body.malformed, 4);
    }
    assert.deepEqual(cloud.letters.map(({ body, content_type }) => `${content_type} ${body}`).sort(), before_);
    await sent();
  });

  test('a pull that finds nothing is tried again', async () => {
    const taskId = await fail();
    cloud.emptyPulls = 2;
    assert.equal((await call('POST', '/dead-letters/redrive', { all: true })).body.redriven, 1);
    assert.deepEqual((await sent()).map((/** @type {any} */ each) => each.taskId), [taskId]);
    await fail();
    cloud.emptyPulls = 3;
    const { body } = await call('POST', '/dead-letters/redrive', { ids: cloud.letters.map(({ id }) => id) });
    assert.deepEqual([body.redriven, body.missing, body.more], [0, 1, true]);
  });

  test('more letters than Cloudflare shows are gone through', async () => {
    cloud.shown = 2;
    for (const text of ['one', 'two', 'three']) cloud.bury(text);
    const taskId = await fail();
    const { body } = await call('POST', '/dead-letters/redrive', { all: true });
    assert.deepEqual([body.redriven, body.malformed, body.more], [1, 3, false]);
    assert.deepEqual((await sent()).map((/** @type {any} */ each) => each.taskId), [taskId]);
    assert.equal(cloud.letters.length, 3);
  });

  test('a selection that is none is refused', async () => {
    for (const [path, body, parameter] of /** @type {[string, unknown, string][]} */ ([
      ['redrive', {}, 'the body'], ['redrive', [], 'the body'], ['redrive', { all: false }, 'all'], ['redrive', { all: 1 }, 'all'], ['redrive', { ids: [] }, 'ids'],
      ['redrive', { ids: 'all' }, 'ids'], ['redrive', { ids: [7] }, 'ids'], ['redrive', { ids: ['a b'] }, 'ids'], ['redrive', { ids: Array(101).fill('a') }, 'ids'],
      ['redrive', { ids: ['a'], all: true }, 'the body'], ['redrive', { stale: true }, 'stale'], ['purge', {}, 'the body'], ['purge', { stale: 'yes' }, 'stale'],
      ['purge', { stale: true, all: true }, 'the body'], ['purge', { tasks: ['a'] }, 'tasks'],
    ])) assertRefused(await call('POST', `/dead-letters/${path}`, body), 400, 'invalid_parameter', { parameter });
    assertRefused(await call('POST', '/dead-letters/purge', ''), 400, 'invalid_parameter', { parameter: 'the body' });
    assertRefused(await call('POST', '/dead-letters/purge', 'all'), 400, 'invalid_json');
    for (const limit of ['0', '101', 'x']) assertRefused(await call('GET', `/dead-letters?limit=${limit}`), 400, 'invalid_parameter', { parameter: 'limit' });
    assert.deepEqual(cloud.requests, []);
  });

  test('who may look alone does not act', async () => {
    for (const path of ['redrive', 'purge']) assertRefused(await call('POST', `/dead-letters/${path}`, { all: true }, READER), 403, 'forbidden');
    assert.deepEqual(cloud.requests, []);
  });

  test('what Cloudflare refuses is told, with what to do, and without the token', async () => {
    cloud.bury('poison');
    for (const [kind, status, code, retryAfter] of /** @type {[Fault['kind'], number, string, string | null][]} */ ([
      [401, 502, 'dead_letter_token_refused', null], [403, 502, 'dead_letter_token_refused', null], [400, 502, 'dead_letter_token_refused', null],
      [429, 503, 'dead_letter_queue_unavailable', '7'], [500, 503, 'dead_letter_queue_unavailable', '7'], ['away', 503, 'dead_letter_queue_unavailable', '5'],
    ])) {
      for (const [method, path, body] of /** @type {[string, string, unknown][]} */ ([['GET', '', undefined], ['POST', '/redrive', { all: true }], ['POST', '/purge', { all: true }]])) {
        cloud.fault = { from: 0, kind };
        cloud.requests = [];
        const reply = await call(method, `/dead-letters${path}`, body);
        assertRefused(reply, status, code);
        assert.equal(reply.headers.get('Retry-After'), retryAfter);
        assert.ok(!JSON.stringify(reply.body).includes(TOKEN));
        if (code === 'dead_letter_token_refused') assert.match(reply.body.error, /dead_letter_api_token.*Queues Edit.*deploy/);
      }
    }
    assert.equal(cloud.letters.length, 1);
  });
});

test('letters of a queue that the stack had before it had workflows begin the next run there', async () => {
  const bindings = { TASK_DLQ: { type: 'queue', name: 'dead-tasks' } };
  const api = await startApi({ engine: 'workflow', face: 'runner', handlers: { default: HANDLER }, settings: settingsOf(cloud), bindings });
  try {
    const taskId = await api.submit('?maxRetries=0', { body: 'bad' });
    const failedIn = async (/** @type {number} */ run) => {
      for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
        const task = await api.task(taskId);
        if (task.run === run && task.status === 'failed') return;
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
      assert.fail(`run ${run} has not failed`);
    };
    await failedIn(1);
    cloud.bury({ taskId, run: 1 });
    assert.equal((await api.call('POST', '/dead-letters/redrive', { body: { all: true } })).body.redriven, 1);
    await failedIn(2);
    assert.deepEqual(cloud.letters, []);
  } finally {
    await api.stop();
  }
});

describe('dead letters that the Worker may not read', () => {
  for (const [engine, expected] of /** @type {['queue' | 'workflow', RegExp][]} */ ([['queue', /set dead_letter_api_token.*python -m ops dlq/], ['workflow', /has no dead-letter queue.*POST \/actions/]])) {
    test(`with engine ${engine}`, async () => {
      const api = await startApi({ engine, face: 'runner' });
      try {
        for (const [method, path, body] of /** @type {[string, string, unknown][]} */ ([['GET', '', undefined], ['POST', '/redrive', { all: true }], ['POST', '/purge', { all: true }]])) {
          const reply = await api.call(method, `/dead-letters${path}`, { body });
          assertRefused(reply, 409, 'dead_letters_off');
          assert.match(reply.body.error, expected);
        }
        assert.equal((await api.call('GET', '/stats')).body.deadLetters?.readable, engine === 'queue' ? false : undefined);
      } finally {
        await api.stop();
      }
    });
  }

  test('because its token or its queue is another one', async () => {
    for (const [settings, code] of /** @type {[Record<string, string>, string][]} */ ([
      [{ DEAD_LETTER_API_TOKEN: 'another' }, 'dead_letter_token_refused'], [{ DEAD_LETTER_QUEUE_ID: 'another' }, 'dead_letter_queue_refused'],
    ])) {
      const api = await startApi({ face: 'runner', settings: { ...settingsOf(cloud), ...settings } });
      try {
        assertRefused(await api.call('GET', '/dead-letters'), 502, code);
      } finally {
        await api.stop();
      }
    }
  });

  test('handlers do not see the token', async () => {
    const api = await startApi({ settings: settingsOf(cloud) });
    try {
      const { status, body } = await api.call('POST', '/task?handler=echo&param.tone=bindings', { body: 'x' });
      assert.equal(status, 400);
      assert.match(body.error, /DEAD_LETTER_QUEUE_ID/);
      assert.doesNotMatch(body.error, /DEAD_LETTER_API_TOKEN/);
    } finally {
      await api.stop();
    }
  });
});
