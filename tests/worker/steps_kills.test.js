/** Steps when something fails between any two calls: the task ends as it should, and no finished step is repeated. */

import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';

import { EFFECTS, RESULT, Saga } from './model/saga.js';
import { someOf } from './worker_under_test.js';

/** @import { Fault, ShelfName } from './model/saga.js' */

const STORES = /** @type {ShelfName[]} */ (['d1', 'sharded-d1', 'durable-object', 'kv']);
const ENGINES = /** @type {const} */ (['queue', 'workflow']);
const TARGETS = /** @type {const} */ (['store', 'queue']);

/** The isolate dies before the call, or once it is done; the call is not done, or it is done and its reply is lost. */
const KINDS = /** @type {const} */ (['crash-before', 'crash-after', 'refused', 'lost']);

before(() => { for (const level of /** @type {const} */ (['log', 'warn', 'error'])) mock.method(console, level, () => {}); });
after(() => mock.restoreAll());

/**
 * @param {Saga} saga
 * @param {string} what
 */
async function assertDone(saga, what) {
  const row = await saga.run();
  assert.equal(row?.status, 'completed', `${what}: ${JSON.stringify(row)} after ${JSON.stringify(saga.effects)}`);
  assert.deepEqual(JSON.parse(String(row?.result)), RESULT, what);
  for (const [name, count] of Object.entries(EFFECTS)) {
    const had = saga.effects[name] ?? 0;
    const isKept = saga.keptAtDeath?.has(name) ?? false;
    if (isKept) assert.equal(had, saga.effectsAtDeath[name], `${what}: the finished step ${name} was repeated`);
    const most = saga.keptAtDeath ? count + 1 : count;
    assert.ok(had >= count && had <= most, `${what}: the step ${name} had its effect ${had} times`);
  }
}

for (const store of someOf(STORES)) for (const engine of ENGINES) describe(`steps with state in ${store} and engine ${engine}`, () => {
  /** @type {Record<string, number>} */
  let calls = {};
  before(async () => {
    const saga = new Saga(store, engine, null);
    await assertDone(saga, 'nothing fails');
    calls = saga.calls;
  });

  for (const kind of KINDS) test(`each call once ${kind}`, { timeout: 120_000 }, async () => {
    for (const target of TARGETS) {
      for (let number = 0; number < (calls[target] ?? 0); number++) {
        /** @type {Fault} */
        const fault = { target, after: number, kind };
        await assertDone(new Saga(store, engine, fault), JSON.stringify(fault));
      }
    }
  });

  test('there are calls to fail', () => {
    assert.ok((calls['store'] ?? 0) > 20 && (calls['queue'] ?? 0) >= 3, JSON.stringify(calls));
  });
});
