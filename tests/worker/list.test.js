import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { creationTime } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { STORES } from './worker_under_test.js';

for (const store of STORES) describe(`GET /tasks with state in ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  /** @type {string[]} ids of tasks, newest first: every third has failed, every other is echo's */
  const ids = [];
  before(async () => {
    api = await startApi({ store });
    for (let number = 0; number < 9; number++) {
      const taskId = await api.submit(`?max_retries=0&handler=${number % 2 === 0 ? 'echo' : 'default'}`, { body: 'fail' });
      ids.unshift(taskId);
    }
    for (const taskId of [0, 2, 4].map((index) => String(ids[index]))) await api.attempt(taskId);
  });
  after(() => api.stop());

  /**
   * @param {string} [query]
   * @returns {Promise<string[]>} the ids of every page
   */
  async function all(query = '') {
    const found = [];
    for (let cursor = ''; ;) {
      const { status, body } = await api.call('GET', `/tasks?limit=2${query}${cursor}`);
      assert.equal(status, 200, JSON.stringify(body));
      assert.ok(body.tasks.length <= 2);
      found.push(...body.tasks.map((/** @type {any} */ task) => task.taskId));
      if (body.cursor === null) return found;
      cursor = `&cursor=${encodeURIComponent(body.cursor)}`;
    }
  }

  test('lists tasks newest first', async () => {
    const { status, body, headers } = await api.call('GET', '/tasks');
    assert.equal(status, 200);
    assert.equal(headers.get('Cache-Control'), 'no-store');
    assert.deepEqual(Object.keys(body), ['tasks', 'cursor']);
    assert.deepEqual(body.tasks.map((/** @type {any} */ { taskId }) => taskId), ids);
    assert.equal(body.cursor, null);
  });

  test('a listed task is what GET /task/:id shows, without its result, its callback and the end of a long error', async () => {
    const { body } = await api.call('GET', '/tasks?limit=1');
    const [listed] = body.tasks;
    const { result, callback, parent, after, ...task } = await api.task(String(ids[0]));
    assert.deepEqual([result, callback, parent, after], [null, null, null, null]);
    assert.deepEqual(task.error, { name: 'RangeError', message: 'x'.repeat(300) });
    assert.deepEqual(listed, { ...task, error: { name: 'RangeError', message: `${'x'.repeat(199)}…` } });
  });

  test('pages follow each other without a gap', async () => {
    assert.deepEqual(await all(), ids);
  });

  test('a list of one status, of one handler, or both', async () => {
    const failed = [ids[0], ids[2], ids[4]];
    assert.deepEqual(await all('&status=failed'), failed);
    assert.deepEqual(await all('&status=pending'), ids.filter((id) => !failed.includes(id)));
    assert.deepEqual(await all('&status=completed'), []);
    assert.deepEqual(await all('&handler=default'), ids.filter((_, index) => index % 2 === 1));
    assert.deepEqual(await all('&handler=echo&status=pending'), [ids[6], ids[8]]);
    assert.deepEqual(await all('&handler=of-a-former-deployment'), []);
  });

  test('a list of those whose ids begin so, of a time, or whose error has a text', async () => {
    const [newest = '', second = ''] = ids;
    assert.deepEqual(await all(`&id=${newest}`), [newest]);
    assert.deepEqual(await all(`&id=${newest.slice(0, 6)}`), ids);
    assert.deepEqual(await all(`&id=${'f'.repeat(8)}`), []);
    const at = (/** @type {string} */ id) => new Date(creationTime(id)).toISOString();
    const times = ids.map(creationTime);
    assert.deepEqual(await all(`&createdAfter=${at(second)}`), ids.filter((_, index) => (times[index] ?? 0) >= creationTime(second)));
    assert.deepEqual(await all(`&createdBefore=${at(second)}`), ids.filter((_, index) => (times[index] ?? 0) < creationTime(second)));
    assert.deepEqual(await all(`&createdAfter=${at(second)}&createdBefore=${at(second)}`), []);
    assert.deepEqual(await all('&createdAfter=0001-01-01T00:00:00%2B01:00&createdBefore=9999-12-31T23:59:59Z'), ids);
    assert.deepEqual(await all('&createdAfter=9999-12-31T23:59:59Z'), []);
    const failed = [ids[0], ids[2], ids[4]];
    for (const text of ['RangeError', 'rangeerror: XXX', 'x']) assert.deepEqual(await all(`&error=${encodeURIComponent(text)}`), failed, text);
    for (const text of ['%', '_', 'RangeError: y', "' OR 1", '"', '\\']) assert.deepEqual(await all(`&error=${encodeURIComponent(text)}`), [], text);
    assert.deepEqual(await all(`&error=x&status=failed&handler=echo&id=${newest.slice(0, 6)}&createdAfter=${at(ids[4] ?? '')}`), failed);
  });

  test('pages neither skip nor repeat while tasks come', async () => {
    const seen = [];
    for (let cursor = ''; ;) {
      const { body } = await api.call('GET', `/tasks?limit=2&createdBefore=${new Date(Date.now() + 60_000).toISOString()}&handler=echo${cursor}`);
      seen.push(...body.tasks.map((/** @type {any} */ task) => task.taskId));
      if (body.cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(body.cursor)}`;
      await api.submit('?handler=default');
    }
    assert.deepEqual(seen, ids.filter((_, index) => index % 2 === 0));
  });

  test('refuses what it does not know', async () => {
    for (const [parameter, value] of /** @type {const} */ ([
      ['status', 'done'], ['status', ''], ['handler', 'Not_A_Name'], ['handler', ''], ['limit', '0'], ['limit', '101'], ['limit', 'all'],
      ['cursor', ''], ['cursor', 'zzz'], ['cursor', 'a'.repeat(100)], ['cursor', "' OR 1"], ['order', 'oldest'],
      ['id', ''], ['id', 'zz'], ['id', 'a'.repeat(37)], ['createdAfter', 'yesterday'], ['createdAfter', '2026-11-30'], ['createdBefore', '2026-13-30T00:00:00Z'],
      ['createdBefore', '2026-11-30T00:00:00'], ['error', ''], ['error', 'x'.repeat(201)],
    ])) {
      assertRefused(await api.call('GET', `/tasks?${parameter}=${encodeURIComponent(value)}`), 400, 'invalid_parameter', { parameter });
    }
    for (const cursor of ['-', 'a', 'f-f-f', '0g', String(ids[0]).slice(0, 9)]) {
      assert.equal((await api.call('GET', `/tasks?cursor=${cursor}`)).status, 200, cursor);
    }
  });
});
