import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scheduler } from 'node:timers/promises';

import { findEnded } from '../../worker/watch.js';
import { InvocationSpent, StoreUnavailable } from '../../worker/stores/store_error.js';

/** @type {any} */ (globalThis).scheduler = scheduler;

/**
 * @param {Error} error of all looks but the first
 * @param {number} wait_seconds
 */
async function waitWith(error, wait_seconds) {
  let looks = 0;
  const task = { taskId: 'x', status: 'pending' };
  const find = async () => {
    if (looks++ > 0) throw error;
    return task;
  };
  const start_ms = Date.now();
  const found = await findEnded(/** @type {any} */ ({ find, tells: false }), 'x', wait_seconds);
  return { found, looks, time_ms: Date.now() - start_ms };
}

test('who waits in an invocation that may ask no more is answered with what was seen last', async () => {
  const { found, looks, time_ms } = await waitWith(new InvocationSpent('too many'), 30);
  assert.deepEqual([found?.status, looks], ['pending', 2]);
  assert.ok(time_ms < 2_000, `${time_ms} ms`);
});

test('who waits while the store is away waits on', async () => {
  const { found, looks, time_ms } = await waitWith(new StoreUnavailable('away'), 1);
  assert.equal(found?.status, 'pending');
  assert.ok(looks > 3 && time_ms > 900, `${looks} looks in ${time_ms} ms`);
});

test('a store that throws what is no fault of the platform is heard', async () => {
  await assert.rejects(waitWith(new TypeError('a mistake'), 5), { message: 'a mistake' });
});
