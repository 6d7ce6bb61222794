/** A task's children: what its handler has submitted, and its callbacks, listed in every store. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { D1Store } from '../../worker/stores/d1.js';
import { TaskTable } from '../../worker/stores/task_table.js';
import { newTaskId } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { metered } from './metered.js';
import { deliveryOf, newTask } from './store_under_test.js';
import { STORES, startWorker } from './worker_under_test.js';

/** @import { StoreName } from './worker_under_test.js' */

const HOST = 'localhost:1';

/** Submits as many tasks as its payload says. */
const HANDLERS = {
  parent: `export default async (payload, context) => {
    const ids = [];
    for (let number = 0; number < Number(payload); number++) ids.push((await context.submit({ handler: number % 2 ? 'default' : 'other', payload: String(number), tags: { number: String(number) } })).taskId);
    return ids;
  };`,
  other: 'export default () => null;',
  failing: "export default () => { throw new RangeError('x'.repeat(300)); };",
};

for (const [store, formerStores] of /** @type {[StoreName, StoreName[]][]} */ ([
  ...STORES.map((name) => [name, []]), ['sharded-d1', []], ['sharded-objects', []], ['d1', ['kv']],
])) describe(`children with ${[store, ...formerStores].join(' and ')}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, formerStores, handlers: HANDLERS, face: 'runner', settings: { HTTP_ALLOWED_HOSTS: HOST } }); });
  after(() => api.stop());

  /**
   * @param {string} filter
   * @param {number} [limit]
   * @param {() => Promise<unknown>} [meanwhile] between two pages
   * @returns {Promise<any[]>} the tasks of every page
   */
  async function list(filter, limit = 2, meanwhile = async () => {}) {
    const found = [];
    for (let cursor = ''; ;) {
      const { status, body } = await api.call('GET', `/tasks?limit=${limit}${filter}${cursor}`);
      assert.equal(status, 200, JSON.stringify(body));
      assert.ok(body.tasks.length <= limit);
      found.push(...body.tasks);
      if (body.cursor === null) return found;
      cursor = `&cursor=${encodeURIComponent(body.cursor)}`;
      await meanwhile();
    }
  }
  const ids = (/** @type {any[]} */ tasks) => tasks.map(({ taskId }) => taskId);

  test('are what its handler has submitted, in pages that neither skip nor repeat, and none of another task', async () => {
    const parents = [];
    for (const count of ['5', '3', '0']) {
      const taskId = await api.submit('?handler=parent', { body: count });
      await api.attempt(taskId);
      parents.push({ taskId, children: (await api.task(taskId)).result });
    }
    await api.submit();
    for (const { taskId, children } of parents) {
      const listed = await list(`&parent=${taskId}`, 2, () => api.submit());
      assert.deepEqual(ids(listed), children.toSorted().toReversed());
      for (const child of listed) assert.equal((await api.task(child.taskId)).parent, taskId);
    }
    const [{ taskId: parent = '', children = [] } = {}] = parents;
    assert.deepEqual(ids(await list(`&parent=${children[0]}`)), []);
    assert.deepEqual(ids(await list(`&parent=${newTaskId(Date.now())}`)), []);
    for (const [filter, expected] of /** @type {[string, number[]][]} */ ([
      ['&handler=default', [1, 3]], ['&handler=other&status=pending', [0, 2, 4]], ['&status=failed', []], ['&tag=number:3', [3]], ['&tag=number:3&handler=other', []], [`&id=${children[2]}`, [2]],
    ])) assert.deepEqual(ids(await list(`&parent=${parent}${filter}`)), expected.map((number) => children[number]).toSorted().toReversed(), filter);
    assert.deepEqual((await list(`&parent=${parent}&tag=number:3`))[0].tags, { number: '3' });
    assert.deepEqual((await list(`&parent=${parent}`)).map((child) => child.tags.number).toSorted(), ['0', '1', '2', '3', '4']);
  });

  test('are its callbacks, of each run', async () => {
    const taskId = await api.submit(`?handler=failing&maxRetries=0&callbackUrl=${encodeURIComponent(`http://${HOST}/told`)}`);
    await api.attempt(taskId);
    const first = (await api.task(taskId)).callback.taskId;
    assert.deepEqual(ids(await list(`&parent=${taskId}`)), [first]);
    await api.call('POST', `/task/${taskId}/retry`);
    await api.attempt(taskId, 2);
    const second = (await api.task(taskId)).callback.taskId;
    assert.notEqual(second, first);
    assert.deepEqual(ids(await list(`&parent=${taskId}`)), [first, second].toSorted().toReversed());
    await api.call('POST', `/task/${first}/cancel`);
    assert.deepEqual(ids(await list(`&parent=${taskId}&status=cancelled`)), [first], 'a change of it does not take it away');
  });

  test('an id that is none is refused', async () => {
    for (const wrong of ['', 'x', '01a2044f', `${newTaskId(0)}0`]) {
      const { body, ...reply } = await api.call('GET', `/tasks?parent=${wrong}`);
      assertRefused({ body, ...reply }, 400, 'invalid_parameter', { parameter: 'parent' });
      assert.match(body.error, /^expected parent to be the id of a task, got/);
    }
  });
});

test('with kv a child with the longest tags, names and errors fits beside its parent', async () => {
  const name = 'x'.repeat(64);
  const tags = { ...Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`k${index}`, 'v'.repeat(index === 0 ? 54 : 55)])), z: '~' };
  const api = await startApi({ store: 'kv', handlers: {
    parent: `export default (payload, context) => context.submit({ handler: '${name}', tags: ${JSON.stringify(tags)}, maxRetries: 100, delaySeconds: 1 });`,
    [name]: "export default (payload, { progress }) => { progress(12.345678, '🐙'.repeat(100)); throw new RangeError('🐙'.repeat(3000)); };",
  } });
  try {
    const taskId = await api.submit('?handler=parent');
    await api.attempt(taskId);
    const { result: { taskId: child } } = await api.task(taskId);
    await new Promise((resolve) => { setTimeout(resolve, 1_200); });
    await api.attempt(child);
    const { body } = await api.call('GET', `/tasks?parent=${taskId}`);
    assert.deepEqual(body.tasks.map((/** @type {any} */ task) => [task.taskId, task.tags, task.attempts]), [[child, tags, 1]]);
  } finally {
    await api.stop();
  }
});

test('a task without a parent costs no further statement, and names no further column', async () => {
  /** @type {string[]} */
  const texts = [];
  const table = new TaskTable(async (statements) => { texts.push(...statements.map(({ sql }) => sql)); return statements.map(() => []); }, { MAX_RETRIES: '2' });
  await table.insert([newTask(), newTask({ submittedBy: newTaskId(0) })]);
  assert.equal(texts.length, 2);
  assert.deepEqual(texts.map((sql) => sql.includes('submitted_by')), [false, true]);
});

test('a child costs one row written more, when it is stored; its list reads children alone', async () => {
  const worker = await startWorker();
  try {
    const { database, metas } = metered(await worker.database);
    const store = new D1Store({ DB: database, MAX_RETRIES: '5' });
    /** @param {() => Promise<unknown>} act @param {'rows_read' | 'rows_written'} what */
    const spent = async (act, what) => {
      metas.length = 0;
      await act();
      return metas.reduce((sum, meta) => sum + meta[what], 0);
    };
    const parent = newTaskId(Date.now());
    for (const [given, more] of /** @type {const} */ ([[{}, 0], [{ submittedBy: parent }, 1]])) {
      const task = newTask(given);
      assert.equal(await spent(() => store.insert([task]), 'rows_written'), 1 + more);
      const answers = await store.claim([deliveryOf(task.taskId)]);
      const { task: { run, attempts, crashes, claim } } = /** @type {any} */ (answers.get(task.taskId));
      assert.equal(await spent(() => store.settle([{ taskId: task.taskId, run, attempts, crashes, claim, status: 'completed', result: 'null', progress: null, ended_ms: 0 }]), 'rows_written'), 1);
      await store.remove(task.taskId);
    }
    await worker.rows(`WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
      INSERT INTO tasks (taskId, status, expires_at, payload, submitted_by)
      SELECT printf('01%06x-0000-7000-8000-000000000000', n), 'completed', 9999999999, CASE WHEN n % 10 = 0 THEN zeroblob(20000) END,
        CASE WHEN n % 10 = 0 THEN printf('01%06x-0000-7000-8000-000000000000', n % 1000) END FROM number`);
    const all = { status: null, handler: null, limit: 15, cursor: null, parent: '010001f4-0000-7000-8000-000000000000' };
    /** @type {any} */
    let page;
    const reads = async (/** @type {Parameters<typeof store.list>[0]} */ query, /** @type {number} */ most) => {
      const read = await spent(async () => { page = await store.list(query); }, 'rows_read');
      assert.ok(read <= most, `${read} rows`);
    };
    await reads(all, 90);
    assert.deepEqual([page.tasks.length, page.cursor !== null], [15, true]);
    const rest = await store.list({ ...all, cursor: page.cursor });
    assert.deepEqual([rest.tasks.length, rest.cursor], [5, null]);
    await reads({ ...all, status: 'failed' }, 120);
    assert.deepEqual(page, { tasks: [], cursor: null });
    await reads({ ...all, parent: '010001f5-0000-7000-8000-000000000000' }, 5);
  } finally {
    await worker.stop();
  }
});
