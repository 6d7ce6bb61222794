/** Actions on many tasks: worked off in pages, by the request and by sweeps, in every store. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { withAction, workOff } from '../../worker/actions.js';
import { newTaskId } from '../../worker/task_id.js';
import { assertRefused, startApi } from './api_under_test.js';
import { EVERY_STORE, someOf } from './worker_under_test.js';

/** @import { Action } from '../../worker/actions.js' */
/** @import { StoreName } from './worker_under_test.js' */

for (const [store, formerStores] of someOf(/** @type {[StoreName, StoreName[]][]} */ ([
  ...EVERY_STORE.map((name) => [name, []]), ['sharded-d1', []], ['sharded-objects', []], ['d1', ['kv']],
]))) describe(`actions with ${[store, ...formerStores].join(' and ')}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, formerStores, face: 'runner' }); });
  after(() => api.stop());

  const submit = (/** @type {number} */ count, query = '', body = 'work') => Promise.all(Array.from({ length: count }, () => api.submit(query, { body })));
  const statuses = async (/** @type {string[]} */ taskIds) => new Set(await Promise.all(taskIds.map(async (taskId) => (await api.task(taskId)).status)));

  /**
   * Does it, and waits for its end.
   *
   * @param {object} body
   * @returns {Promise<any>}
   */
  async function act(body) {
    const { status, body: started } = await api.call('POST', '/actions', { body });
    assert.equal(status, 200, JSON.stringify(started));
    for (let time = 0; time < 100; time++) {
      const { body: action } = await api.call('GET', `/actions/${started.id}`);
      if (action.state !== 'running') return action;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    return assert.fail('it does not end');
  }

  test('cancels, retries and deletes what a filter names, and nothing else', async () => {
    const [those, others] = [await submit(130, '?handler=echo'), await submit(3)];
    const dry = await act({ action: 'cancel', filter: { handler: 'echo' }, dryRun: true });
    assert.deepEqual([dry.state, dry.matched, dry.done, dry.dryRun], ['completed', 130, 0, true]);
    assert.deepEqual(await statuses(those), new Set(['pending']));
    const cancelled = await act({ action: 'cancel', filter: { handler: 'echo', status: 'pending' } });
    assert.deepEqual([cancelled.state, cancelled.matched, cancelled.done, cancelled.skipped], ['completed', 130, 130, 0]);
    assert.deepEqual(await statuses(those), new Set(['cancelled']));
    assert.deepEqual(await statuses(others), new Set(['pending']));
    const retried = await act({ action: 'retry', filter: { handler: 'echo' } });
    assert.equal(retried.done, 130);
    assert.deepEqual(await statuses(those), new Set(['pending']));
    assert.ok((await api.task(String(those[0]))).run === 2);
    assert.equal((await act({ action: 'delete', filter: { handler: 'echo' } })).matched, 0, 'what has not ended is not deleted');
    await act({ action: 'cancel', filter: { handler: 'echo' } });
    assert.equal((await act({ action: 'delete', filter: { handler: 'echo', status: 'cancelled' } })).done, 130);
    assertRefused(await api.call('GET', `/task/${those[0]}`), 404, 'task_not_found');
    assert.deepEqual(await statuses(others), new Set(['pending']));
  });

  test('by ids and by times', async () => {
    const [first, second] = await submit(2);
    assert.equal((await act({ action: 'cancel', filter: { ids: [first, newTaskId(Date.now())] } })).done, 1);
    assert.deepEqual([(await api.task(String(first))).status, (await api.task(String(second))).status], ['cancelled', 'pending']);
    const { createdAt } = await api.task(String(second));
    assert.equal((await act({ action: 'cancel', filter: { createdBefore: '2000-01-01T00:00:00Z' } })).matched, 0);
    assert.equal((await act({ action: 'cancel', filter: { createdAfter: new Date(Date.now() + 60_000).toISOString() } })).matched, 0);
    const { matched } = await act({ action: 'cancel', filter: { createdAfter: createdAt, createdBefore: new Date(Date.parse(createdAt) + 1).toISOString() }, dryRun: true });
    assert.ok(matched >= 1 && matched <= 2, `${matched}`);
    assert.equal((await api.call('GET', '/actions')).body.actions[0].filter.createdAfter, createdAt);
  });

  test('deleted tasks are not counted any more', async () => {
    const taskIds = await submit(3);
    await act({ action: 'cancel', filter: { ids: taskIds } });
    await act({ action: 'delete', filter: { ids: taskIds } });
    if (store === 'kv') return; // its statistics stand for a quarter of an hour
    await new Promise((resolve) => { setTimeout(resolve, 5_100); }); // an answer is given again for five seconds
    const { body: { counts } } = await api.call('GET', '/stats');
    const { body: { tasks } } = await api.call('GET', '/tasks?limit=100');
    assert.equal(Object.values(counts).reduce((sum, count) => sum + count, 0), tasks.length);
  });

  test('a sweep goes on where the request was cut off, and a stopped one does not', async () => {
    const taskIds = await submit(5, '?handler=echo');
    const { body: action } = await api.call('POST', '/actions', { body: { action: 'cancel', filter: { ids: taskIds } } });
    const { body: stopped } = await api.call('DELETE', `/actions/${action.id}`);
    assert.ok(['stopped', 'completed'].includes(stopped.state));
    assert.deepEqual((await api.call('DELETE', `/actions/${action.id}`)).body.state, stopped.state, 'twice is once');
    await api.worker.sweep();
    assert.equal((await api.call('GET', `/actions/${action.id}`)).body.state, stopped.state);
  });

  test('refuses what is none', async () => {
    for (const [body, parameter] of /** @type {[any, string][]} */ ([
      [{ action: 'cancel', filter: {} }, 'filter'],
      [{ action: 'cancel' }, 'filter'],
      [{ action: 'purge', filter: { handler: 'echo' } }, 'action'],
      [{ action: 'cancel', filter: { status: 'failed' } }, 'status'],
      [{ action: 'delete', filter: { status: 'pending' } }, 'status'],
      [{ action: 'retry', filter: { status: 'completed' } }, 'status'],
      [{ action: 'retry', filter: { status: 7 } }, 'status'],
      [{ action: 'retry', filter: { handler: 'Echo' } }, 'handler'],
      [{ action: 'retry', filter: { createdAfter: 'yesterday' } }, 'createdAfter'],
      [{ action: 'retry', filter: { createdBefore: '2026-11-30T09:00:00' } }, 'createdBefore'],
      [{ action: 'retry', filter: { createdBefore: '2026-13-30T09:00:00Z' } }, 'createdBefore'],
      [{ action: 'retry', filter: { ids: [] } }, 'ids'],
      [{ action: 'retry', filter: { ids: ['x'] } }, 'ids'],
      [{ action: 'retry', filter: { tag: 'x' } }, 'tag'],
      [{ action: 'retry', filter: { handler: 'echo' }, dryRun: 'yes' }, 'dryRun'],
      [{ action: 'retry', filter: { handler: 'echo' }, limit: 1 }, 'limit'],
      [[], 'the body'],
    ])) assertRefused(await api.call('POST', '/actions', { body }), 400, 'invalid_parameter', { parameter });
    for (const method of ['GET', 'DELETE']) assertRefused(await api.call(method, '/actions/none'), 404, 'action_not_found');
  });
});

/** @param {Partial<Action>} [parts] @returns {Action} */
function action(parts) {
  return {
    id: 'a', action: 'cancel', dry_run: false, state: 'running', cursor: null, matched: 0, done: 0, skipped: 0, created_ms: Date.now(), finished_ms: null,
    filter: { status: null, handler: 'echo', created_after_ms: null, created_before_ms: null, ids: null }, ...parts,
  };
}

/** A store of three pages, whose calls can be cut off. */
class PagedStore {
  note_ = /** @type {string | null} */ (JSON.stringify([action()]));
  cancelled = /** @type {string[]} */ ([]);
  cutAfter = Infinity;
  calls = 0;

  #call() {
    if (++this.calls > this.cutAfter) throw new Error('cut off');
  }

  async note() {
    this.#call();
    return this.note_;
  }

  async changeNote(/** @type {string} */ _name, /** @type {string | null} */ before, /** @type {string} */ after) {
    this.#call();
    if (this.note_ !== before) return false;
    this.note_ = after;
    return true;
  }

  async list(/** @type {{cursor: string}} */ { cursor }) {
    this.#call();
    const page = /^\d$/.test(cursor) ? Number(cursor) : 0;
    return { tasks: [{ taskId: `${newTaskId(0).slice(0, -1)}${page}`, status: 'pending', handler: 'echo', run: 1, max_retries: null }], cursor: page < 2 ? String(page + 1) : null };
  }

  async cancel(/** @type {string} */ taskId) {
    this.#call();
    if (this.cancelled.some((each) => each.at(-1) === taskId.at(-1))) return null;
    this.cancelled.push(taskId);
    return { runs: [] };
  }
}

test('an action that is cut off after any call is finished by the next sweeps, with each task cancelled once', async () => {
  for (let cut = 0; cut < 20; cut++) {
    const store = new PagedStore();
    store.cutAfter = cut;
    await workOff(/** @type {any} */ (store), /** @type {any} */ ({}), Infinity).catch(() => {});
    store.cutAfter = Infinity;
    await workOff(/** @type {any} */ (store), /** @type {any} */ ({}), Infinity);
    const [{ state, matched, done, skipped }] = JSON.parse(String(store.note_));
    assert.deepEqual([state, matched, done + skipped, store.cancelled.length], ['completed', 3, 3, 3], `cut off after ${cut}`);
  }
});

test('two who work off an action at the same time count each page once', async () => {
  const store = new PagedStore();
  await Promise.all([1, 2].map(() => workOff(/** @type {any} */ (store), /** @type {any} */ ({}), Infinity)));
  const [{ state, matched }] = JSON.parse(String(store.note_));
  assert.deepEqual([state, matched, store.cancelled.length], ['completed', 3, 3]);
});

test('one that is stopped while a page is worked off ends with that page', async () => {
  const store = new PagedStore();
  store.cancel = async () => {
    const [first] = JSON.parse(String(store.note_));
    store.note_ = JSON.stringify([{ ...first, state: 'stopped', finished_ms: 1 }]);
    return { runs: [] };
  };
  await workOff(/** @type {any} */ (store), /** @type {any} */ ({}), Infinity);
  const [{ state, done }] = JSON.parse(String(store.note_));
  assert.deepEqual([state, done], ['stopped', 1]);
});

test('old actions are forgotten, and not those that run', () => {
  const now_ms = Date.now();
  const old = action({ id: 'old', state: 'completed', finished_ms: now_ms - 8 * 86_400_000 });
  const running = action({ id: 'running', created_ms: 0 });
  assert.deepEqual(withAction([old, running], action({ id: 'new' }), now_ms).map(({ id }) => id), ['new', 'running']);
});
