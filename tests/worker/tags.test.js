/** Tags: given with a submission, shown, and found, in every store. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { runSchedule } from '../../worker/schedules.js';
import { D1Store } from '../../worker/stores/d1.js';
import { TaskTable } from '../../worker/stores/task_table.js';
import { hasTags, MAX_TAGS } from '../../worker/tags.js';
import { newTaskId } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { metered } from './metered.js';
import { deliveryOf, newTask, startStore } from './store_under_test.js';
import { STORES, startWorker } from './worker_under_test.js';

/** @import { StoreName } from './worker_under_test.js' */

/** One submits a task with the tags that its payload says, the other one fails. */
const HANDLERS = {
  parent: 'export default (payload, context) => context.submit({ handler: "default", tags: JSON.parse(payload) });',
  failing: "export default () => { throw new RangeError('x'.repeat(300)); };",
};

/** The longest tags that there may be: of eight tags, and of all characters together. */
const LONGEST = { ...Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`k${index}`, 'v'.repeat(index === 0 ? 54 : 55)])), z: '~' };

const query = (/** @type {Record<string, string>} */ tags) => Object.entries(tags).map(([key, value]) => `&tag=${encodeURIComponent(`${key}:${value}`)}`).join('');

for (const [store, formerStores] of /** @type {[StoreName, StoreName[]][]} */ ([
  ...STORES.map((name) => [name, []]), ['sharded-d1', []], ['sharded-objects', []], ['d1', ['kv']],
])) describe(`tags with ${[store, ...formerStores].join(' and ')}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, formerStores, handlers: HANDLERS, face: 'runner' }); });
  after(() => api.stop());

  /**
   * @param {string} filter
   * @param {number} [limit]
   * @returns {Promise<any[]>} the tasks of every page
   */
  async function list(filter, limit = 2) {
    const found = [];
    for (let cursor = ''; ;) {
      const { status, body } = await api.call('GET', `/tasks?limit=${limit}${filter}${cursor}`);
      assert.equal(status, 200, JSON.stringify(body));
      assert.ok(body.tasks.length <= limit);
      found.push(...body.tasks);
      if (body.cursor === null) return found;
      cursor = `&cursor=${encodeURIComponent(body.cursor)}`;
    }
  }
  const ids = (/** @type {any[]} */ tasks) => tasks.map(({ taskId }) => taskId);

  test('a task shows its tags in the order of their keys, alone, in lists, and when it has ended; others show none', async () => {
    const tags = { zone: 'a:b/c?d=e&f', Customer: 'acme', 'a.b-c_d': "!#'~[]" };
    const taskId = await api.submit(`?${query(tags).slice(1)}`, { body: 'work' });
    const plain = await api.submit();
    assert.equal(JSON.stringify((await api.task(taskId)).tags), JSON.stringify({ Customer: 'acme', 'a.b-c_d': "!#'~[]", zone: 'a:b/c?d=e&f' }));
    assert.deepEqual((await api.task(plain)).tags, {});
    const listed = (await list('')).filter((task) => [taskId, plain].includes(task.taskId));
    assert.deepEqual(listed.map((task) => [task.taskId, task.tags]).sort(), [[taskId, tags], [plain, {}]].sort());
    for (const filter of ['&tag=Customer:acme', query(tags), '&tag=Customer:acme&status=pending&handler=default']) assert.deepEqual(ids(await list(filter)), [taskId], filter);
    assert.deepEqual((await list(query(tags)))[0].tags, tags);
    await api.call('POST', `/task/${taskId}/cancel`);
    assert.deepEqual((await api.task(taskId)).tags, tags);
    assert.deepEqual(ids(await list('&tag=Customer:acme&status=cancelled')), [taskId]);
    assert.deepEqual(ids(await list('&tag=Customer:acme&status=pending')), []);
    assert.equal((await api.call('POST', `/task/${taskId}/retry`)).status, 200);
    assert.deepEqual((await list('&tag=Customer:acme')).map((task) => [task.taskId, task.run]), [[taskId, 2]]);
  });

  test('a tag is found as a whole, and of several all must match', async () => {
    const given = [{ part: 'one', of: 'x' }, { part: 'one', of: 'y' }, { part: 'on', of: 'x' }, { of: 'one', part: 'x' }, { part: 'one.' }, { apart: 'one' }];
    const { body } = await api.call('POST', '/tasks', { body: { tasks: given.map((tags) => ({ tags })) } });
    const taskIds = ids(body.tasks);
    const found = async (/** @type {string} */ filter) => ids(await list(filter)).map((taskId) => taskIds.indexOf(taskId)).sort();
    assert.deepEqual(await found('&tag=part:one'), [0, 1]);
    assert.deepEqual(await found('&tag=part:one&tag=of:x'), [0]);
    assert.deepEqual(await found('&tag=of:x&tag=part:one'), [0]);
    assert.deepEqual(await found('&tag=of:one'), [3]);
    assert.deepEqual(await found('&tag=part:on'), [2]);
    assert.deepEqual(await found('&tag=Part:one'), []);
    assert.deepEqual(await found(`&tag=part:one&id=${taskIds[1]}`), [1]);
    for (const other of ['%25', '_ne', '*', "'OR'1"]) assert.deepEqual(await found(`&tag=part:${other}`), [], other);
  });

  test('the longest tags fit, beside a long error', async () => {
    const taskId = await api.submit(`?handler=failing&maxRetries=0${query(LONGEST)}`, { body: 'work' });
    await api.attempt(taskId);
    const { error } = (await list(query(LONGEST)))[0];
    assert.equal(error.name, 'RangeError');
    assert.deepEqual((await api.task(taskId)).tags, LONGEST);
    assert.deepEqual((await list(query(LONGEST)))[0].tags, LONGEST);
  });

  test('pages of a tag neither skip nor repeat while tasks come', async () => {
    const { body } = await api.call('POST', '/tasks', { body: { tasks: Array.from({ length: 30 }, (_, index) => (index % 3 === 0 ? { tags: { page: 'yes' } } : index % 3 === 1 ? { tags: { page: 'no' } } : {})) } });
    const expected = ids(body.tasks).filter((_, index) => index % 3 === 0).sort().reverse();
    const seen = [];
    for (let cursor = ''; ;) {
      const { body: page } = await api.call('GET', `/tasks?limit=3&tag=page:yes${cursor}`);
      seen.push(...ids(page.tasks));
      if (page.cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(page.cursor)}`;
      await api.submit('?tag=page:yes');
    }
    assert.deepEqual(seen, expected);
  });

  test('a batch, a replacement, a handler and a schedule give tags as a submission does', async () => {
    const replaced = ['?replace=pending&delaySeconds=60&tag=way:first', '?replace=pending&delaySeconds=60&tag=way:second', '?replace=pending&delaySeconds=60'];
    const headers = { 'Idempotency-Key': 'tags' };
    const seen = [];
    for (const each of replaced) {
      const taskId = await api.submit(each, { headers, body: 'work' });
      seen.push((await api.task(taskId)).tags);
    }
    assert.deepEqual(seen, [{ way: 'first' }, { way: 'second' }, {}]);
    assert.deepEqual(await list('&tag=way:second'), []);

    const keyed = { 'Idempotency-Key': 'same-tags' };
    const first = await api.submit('?tag=a:1&tag=b:2', { headers: keyed, body: 'work' });
    assert.equal(await api.submit('?tag=b:2&tag=a:1', { headers: keyed, body: 'work' }), first, 'in any order');
    for (const other of ['?tag=a:1', '?tag=a:1&tag=b:3', '']) assertRefused(await api.call('POST', `/task${other}`, { headers: keyed, body: 'work' }), 409, 'idempotency_conflict', { taskId: first });

    const parent = await api.submit('?handler=parent', { body: JSON.stringify({ way: 'handler' }) });
    await api.attempt(parent);
    assert.deepEqual((await list('&tag=way:handler')).map((task) => task.tags), [{ way: 'handler' }]);

    const { body: schedule } = await api.call('PUT', '/schedules/tagged', { body: { everySeconds: 60, tags: { way: 'tick' } } });
    assert.deepEqual(schedule.tags, { way: 'tick' });
    assert.deepEqual((await api.call('PUT', '/schedules/plain', { body: { everySeconds: 60 } })).body.tags, {});
  });

  test('an action is done to those that have all tags of its filter', async () => {
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ tags: { act: 'yes', n: '1' } }, { tags: { act: 'yes', n: '2' } }, { tags: { act: 'no' } }, {}] } });
    const taskIds = ids(body.tasks);
    const act = async (/** @type {object} */ filter) => {
      const { status, body: started } = await api.call('POST', '/actions', { body: { action: 'cancel', filter } });
      assert.equal(status, 200, JSON.stringify(started));
      for (let { body: action } = await api.call('GET', `/actions/${started.id}`); ; ({ body: action } = await api.call('GET', `/actions/${started.id}`))) {
        if (action.state !== 'running') return action;
      }
    };
    const statuses = async () => Promise.all(taskIds.map(async (taskId) => (await api.task(taskId)).status));
    const one = await act({ tags: { act: 'yes', n: '2' } });
    assert.deepEqual([one.done, one.filter.tags], [1, { act: 'yes', n: '2' }]);
    assert.deepEqual(await statuses(), ['pending', 'cancelled', 'pending', 'pending']);
    assert.equal((await act({ tags: { act: 'yes' }, ids: taskIds })).done, 1);
    assert.deepEqual(await statuses(), ['cancelled', 'cancelled', 'pending', 'pending']);
    assertRefused(await api.call('POST', '/actions', { body: { action: 'cancel', filter: { tags: {} } } }), 400, 'invalid_parameter', { parameter: 'tags' });
  });

  test('a task that is deleted has no tags any more', async () => {
    const taskId = await api.submit('?tag=gone:soon');
    await api.call('POST', `/task/${taskId}/cancel`);
    const { body: started } = await api.call('POST', '/actions', { body: { action: 'delete', filter: { ids: [taskId] } } });
    for (let state = 'running'; state === 'running';) ({ state } = (await api.call('GET', `/actions/${started.id}`)).body);
    assert.deepEqual(await list('&tag=gone:soon'), []);
  });
});

describe('tags that are refused', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi(); });
  after(() => api.stop());

  test('in a query, of a submission and of a list', async () => {
    for (const [given, sentence] of /** @type {const} */ ([
      ['tag=', 'expected tag to be a key and a value, such as customer:acme, got ""'],
      ['tag=customer', 'expected tag to be a key and a value, such as customer:acme, got "customer"'],
      ['tag=a:1&tag=a:2', 'expected tag to be one of each key, and "a" comes more than once, got ["a:1","a:2"]'],
      ['tag=:x', 'expected the key of a tag to be a letter, then up to 31 letters, digits, _, . or -, got ""'],
      ['tag=1a:x', 'expected the key of a tag to be a letter, then up to 31 letters, digits, _, . or -, got "1a"'],
      [`tag=${'k'.repeat(33)}:x`, `expected the key of a tag to be a letter, then up to 31 letters, digits, _, . or -, got "${'k'.repeat(33)}"`],
      ['tag=a:', 'expected the value of the tag a to be 1 to 64 visible ASCII characters without " and \\, got ""'],
      ['tag=a:x%20y', 'expected the value of the tag a to be 1 to 64 visible ASCII characters without " and \\, got "x y"'],
      ['tag=a:%22', 'expected the value of the tag a to be 1 to 64 visible ASCII characters without " and \\, got "\\""'],
      ['tag=a:%5C', 'expected the value of the tag a to be 1 to 64 visible ASCII characters without " and \\, got "\\\\"'],
      ['tag=a:%C3%A4', 'expected the value of the tag a to be 1 to 64 visible ASCII characters without " and \\, got "ä"'],
      ['tag=__proto__:x', 'expected the key of a tag to be a letter, then up to 31 letters, digits, _, . or -, got "__proto__"'],
      [Array.from({ length: MAX_TAGS + 1 }, (_, index) => `tag=k${index}:x`).join('&'), 'expected tag to be at most 8 tags, got 9'],
      [query({ ...LONGEST, z: '~~' }).slice(1), 'expected the keys and values of all tags to have at most 400 characters together, got 401'],
    ])) {
      for (const [method, path] of [['POST', '/task'], ['GET', '/tasks']]) {
        const refused = await api.call(String(method), `${path}?${given}`);
        assertRefused(refused, 400, 'invalid_parameter', { parameter: 'tag' });
        assert.equal(refused.body.error, sentence);
      }
    }
  });

  test('in JSON', async () => {
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [['a:1'], 'a:1', null, { a: 1 }, { a: null }, { 'ä': 'x' }, { '': 'x' }, { a: 'x\n' }].map((tags) => ({ tags })) } });
    assert.deepEqual(body.tasks.map((/** @type {any} */ { httpStatus, code, parameter }) => [httpStatus, code, parameter]), Array.from({ length: 8 }, () => [400, 'invalid_parameter', 'tags']));
    assert.equal(body.tasks[0].error, 'expected tags to be an object of texts, such as {"customer": "acme"}, got ["a:1"]');
    const { body: none } = await api.call('POST', '/tasks', { body: { tasks: [{ tags: {} }] } });
    assert.deepEqual((await api.task(none.tasks[0].taskId)).tags, {});
    assertRefused(await api.call('POST', '/tasks?tag=a:1', { body: { tasks: [{}] } }), 400, 'invalid_parameter', { parameter: 'tag' });
  });
});

test('a task has tags by their keys and values, whatever objects have of their own', () => {
  assert.equal(hasTags({ constructor: 'x' }, { constructor: 'x' }), true);
  assert.equal(hasTags({}, { constructor: 'x', toString: 'y' }), false);
  assert.equal(hasTags(undefined, { a: 'x' }), false);
});

test('a tick makes a task with the tags of its schedule', async () => {
  const task = { handler: 'default', parameters: {}, payload: 'x', is_base64: false, delay_seconds: 0, ttl_seconds: null, max_retries: null, callback: null, tags: { way: 'tick' } };
  const schedule = { cron: null, timezone: 'UTC', every_seconds: 60, overlap: 'allow', missed: 'last', paused: false, next_ms: 60_000, runs: [], task };
  /** @type {any[]} */
  const inserted = [];
  const store = /** @type {any} */ ({
    insert: async (/** @type {any[]} */ tasks) => { inserted.push(...tasks); return tasks.map(({ taskId }) => ({ taskId, isHeld: false })); }, changeSchedule: async () => true,
  });
  await runSchedule(store, /** @type {any} */ ({ submit: async () => {} }), { name: 'tagged', schedule: JSON.stringify(schedule) }, 61_000);
  assert.deepEqual(inserted.map(({ tags }) => tags), [{ way: 'tick' }]);
});

test('a task without tags costs no further statement, and names no further column', async () => {
  /** @type {string[]} */
  const texts = [];
  const table = new TaskTable(async (statements) => { texts.push(...statements.map(({ sql }) => sql)); return statements.map(() => []); }, { MAX_RETRIES: '2' });
  await table.insert([newTask(), newTask({ tags: { a: 'x' } })]);
  assert.equal(texts.length, 2);
  assert.deepEqual(texts.map((sql) => sql.includes('tags')), [false, true]);
});

describe('what tags cost', () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker(); });
  after(() => worker.stop());

  test('one row written more, when the task is stored, and nothing at its end', async () => {
    const { database, metas } = metered(await worker.database);
    const store = new D1Store({ DB: database, MAX_RETRIES: '5' });
    const written = async (/** @type {() => Promise<unknown>} */ act) => {
      metas.length = 0;
      await act();
      return metas.reduce((sum, { rows_written }) => sum + rows_written, 0);
    };
    for (const [tags, more] of /** @type {const} */ ([[null, 0], [{ a: 'x', b: 'y' }, 1], [LONGEST, 1]])) {
      const task = newTask({ tags });
      assert.equal(await written(() => store.insert([task])), 1 + more);
      const answers = await store.claim([deliveryOf(task.taskId)]);
      const { task: { run, attempts, crashes, claim } } = /** @type {any} */ (answers.get(task.taskId));
      assert.equal(await written(() => store.settle([{ taskId: task.taskId, run, attempts, crashes, claim, status: 'completed', result: 'null', progress: null, ended_ms: 0 }])), 1);
      assert.equal(await written(() => store.remove(task.taskId)), 2, 'what was counted changes, too');
    }
  });

  test('a list of a tag reads tagged tasks alone, and of these a bounded number; its pages lead to all', async () => {
    const { database, metas } = metered(await worker.database);
    const store = new D1Store({ DB: database, MAX_RETRIES: '5' });
    await worker.rows(`WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
      INSERT INTO tasks (taskId, status, expires_at, payload, tags)
      SELECT printf('01%06x-0000-7000-8000-000000000000', n), 'completed', 9999999999, CASE WHEN n % 10 = 0 THEN zeroblob(20000) END,
        CASE WHEN n % 10 = 0 THEN json_object('n', CAST(n % 1000 AS TEXT)) END FROM number`);
    const all = { status: null, handler: null, limit: 20, cursor: null };
    const list = async (/** @type {Parameters<typeof store.list>[0]} */ wanted) => {
      metas.length = 0;
      const page = await store.list(wanted);
      return { ...page, read: metas.reduce((sum, { rows_read }) => sum + rows_read, 0) };
    };
    const first = await list({ ...all, tags: { n: '500' } });
    assert.deepEqual([first.tasks.length, first.cursor !== null], [10, true]);
    assert.ok(first.read <= 2_100, `${first.read}`);
    const second = await list({ ...all, tags: { n: '500' }, cursor: first.cursor });
    assert.equal(second.tasks.length, 10);
    const last = second.cursor === null ? second : await list({ ...all, tags: { n: '500' }, cursor: second.cursor });
    assert.deepEqual([last.cursor, new Set([...first.tasks, ...second.tasks].map(({ taskId }) => taskId)).size], [null, 20]);
    assert.equal((await list({ ...all, tags: { n: '501' } })).tasks.length, 0);
    const plain = await list(all);
    assert.ok(plain.read <= 50, `${plain.read}`);
    assert.deepEqual(plain.tasks.flatMap(({ tags }) => (tags ? [tags] : [])), [{ n: '0' }, { n: '990' }]);
    const failed = await list({ ...all, tags: { n: '500' }, status: 'failed' });
    assert.ok(failed.tasks.length === 0 && failed.read <= 2_100, `${failed.read}`);
  });
});

test('an expired task has no tags any more, in the index neither', async () => {
  const store = await startStore('d1');
  try {
    const taskId = newTaskId(Date.now() - 90_000_000);
    await store.call('insert', [newTask({ taskId, tags: { old: 'yes' } })]);
    assert.deepEqual(await store.worker.rows('SELECT tags FROM tasks WHERE tags IS NOT NULL'), [{ tags: '{"old":"yes"}' }]);
    assert.equal(await store.call('expire'), 1);
    assert.deepEqual(await store.worker.rows('SELECT taskId FROM tasks INDEXED BY tasks_tagged WHERE tags IS NOT NULL'), []);
  } finally {
    await store.stop();
  }
});
