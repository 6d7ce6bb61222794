import assert from 'node:assert/strict';
import { test } from 'node:test';

import { KvStore } from '../../worker/stores/kv.js';
import { newTaskId, timePrefix } from '../../worker/task_id.js';
import { FakeKv } from './fakes/kv.js';

const SWEEP_MS = 10 * 60_000;
const WINDOW_MS = 2 ** 20;

/**
 * A namespace whose values are what is told of them.
 *
 * @param {Map<string, object>} tasks by key, metadata and value in one
 */
function namespaceOf(tasks) {
  const kv = new FakeKv();
  for (const [name, metadata] of tasks) kv.values.set(name, { text: JSON.stringify(metadata), metadata, expiration: Infinity });
  return /** @type {FakeKv & KVNamespace} */ (kv);
}

test('the sweep finds a lost task among many more than it looks at in one go', async () => {
  const start_ms = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS;
  const ids = Array.from({ length: 8_000 }, (_, age) => newTaskId(start_ms + age * 100));
  /** @type {Map<string, object>} */
  const tasks = new Map(ids.map((taskId) => [taskId, { status: 'completed' }]));
  const lost = /** @type {string} */ (ids.at(-1));
  tasks.set(lost, { status: 'pending', expires_at: 9_999_999_999 });
  const store = new KvStore({ KV: namespaceOf(tasks), MAX_RETRIES: '5' });
  const first_ms = Math.ceil((start_ms + WINDOW_MS) / SWEEP_MS) * SWEEP_MS;
  const open = [];
  for (let sweep = 0; sweep < 4; sweep++) open.push(...(await Array.fromAsync(store.open(first_ms + sweep * SWEEP_MS))).flat());
  assert.deepEqual(open.map(({ taskId }) => taskId), [lost]);
});

test('the sweep finds a lost task that was due behind many that have ended, and forgets those', async () => {
  const now_ms = Math.ceil(Date.now() / SWEEP_MS) * SWEEP_MS;
  const ids = Array.from({ length: 300 }, () => newTaskId(now_ms - 24 * SWEEP_MS));
  const lost = newTaskId(now_ms - 24 * SWEEP_MS);
  /** @type {Map<string, object>} */
  const tasks = new Map([[lost, { status: 'pending', expires_at: 9_999_999_999 }]]);
  const due = (/** @type {string} */ taskId, /** @type {number} */ due_ms) => `due:${timePrefix(due_ms)}:${taskId}`;
  for (const taskId of ids) tasks.set(taskId, { status: 'completed' }).set(due(taskId, now_ms - 3 * SWEEP_MS), {});
  for (const due_ms of [now_ms - 2 * SWEEP_MS, now_ms - 2 * SWEEP_MS + 1]) tasks.set(due(lost, due_ms), {});
  const kv = namespaceOf(tasks);
  const open = (await Array.fromAsync(new KvStore({ KV: kv, MAX_RETRIES: '5' }).open(now_ms))).flat();
  assert.deepEqual(open.map(({ taskId }) => taskId), [lost]);
  assert.deepEqual([...kv.values.keys()].filter((name) => name.startsWith('due:')).map((name) => name.slice(-36)), [lost, lost]);
});
