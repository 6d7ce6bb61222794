import assert from 'node:assert/strict';
import { test } from 'node:test';

import { KvStore } from '../../worker/stores/kv.js';
import { newTaskId } from '../../worker/task_id.js';

/** How many keys KV lists at once (https://developers.cloudflare.com/kv/api/list-keys/). */
const LISTED_KEYS = 1_000;
const SWEEP_MS = 5 * 60_000;
const WINDOW_MS = 2 ** 20;

/**
 * A namespace that can be listed.
 *
 * @param {Map<string, {status: string}>} tasks metadata by id
 */
function namespaceOf(tasks) {
  const names = [...tasks.keys()].sort();
  return /** @type {KVNamespace} */ (/** @type {unknown} */ ({
    /** @param {{prefix: string}} options */
    async list({ prefix }) {
      const found = names.filter((name) => name.startsWith(prefix));
      const keys = found.slice(0, LISTED_KEYS).map((name) => ({ name, metadata: tasks.get(name) }));
      return { keys, list_complete: found.length <= LISTED_KEYS };
    },
  }));
}

test('the sweep finds a lost task among many more than it looks at in one go', async () => {
  const start_ms = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS;
  const ids = Array.from({ length: 8_000 }, (_, age) => newTaskId(start_ms + age * 100));
  const tasks = new Map(ids.map((taskId) => [taskId, { status: 'completed' }]));
  const lost = /** @type {string} */ (ids.at(-1));
  tasks.set(lost, { status: 'pending' });
  const store = new KvStore({ KV: namespaceOf(tasks) });
  const first_ms = Math.ceil((start_ms + WINDOW_MS) / SWEEP_MS) * SWEEP_MS;
  const open = [];
  for (let sweep = 0; sweep < 4; sweep++) open.push(...await store.sweep(first_ms + sweep * SWEEP_MS));
  assert.deepEqual(open.map(({ taskId }) => taskId), [lost]);
});
