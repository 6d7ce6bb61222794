/**
 * The task runner on bad days of all kinds, made up by fast-check: see `model/`. Every run is repeatable by its seed, and a
 * failing one shrinks. `MODEL_SECONDS` is how long it goes on for each store, `MODEL_SEED` where it begins.
 */

import fc from 'fast-check';
import { after, before, describe, mock, test } from 'node:test';

import { World } from './model/world.js';
import { someOf } from './worker_under_test.js';

/** @import { ShelfName, Step } from './model/world.js' */

const SECONDS = Number(process.env['MODEL_SECONDS'] ?? 5);
const SEED = Number(process.env['MODEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** After how many runs it looks at the time, and how long it shrinks a case that fails. */
const ROUND_RUNS = 10;
const SHRINK_MS = 40_000;

const act = fc.record({
  does: fc.constantFrom(/** @type {const} */ ('ok'), 'fail', 'fail', 'later', 'permanent', 'crash'),
  takes_ms: fc.constantFrom(0, 30, 2_500, 100_000),
});

/** @type {fc.Arbitrary<Step>} */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({
    kind: fc.constant(/** @type {const} */ ('submit')), acts: fc.array(act, { maxLength: 5 }),
    delay_seconds: fc.constantFrom(0, 0, 0, 5, 300), max_retries: fc.constantFrom(null, null, 0, 1, 4), isGrouped: fc.boolean(),
  }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant(/** @type {const} */ ('deliver')), most: fc.integer({ min: 1, max: 6 }), lane: fc.nat(2) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant(/** @type {const} */ ('advance')), time_ms: fc.constantFrom(20, 100, 1_000, 3_000, 20_000, 120_000, 960_000) }) },
  { weight: 10, arbitrary: fc.record({
    kind: fc.constant(/** @type {const} */ ('fault')), target: fc.constantFrom(/** @type {const} */ ('store'), 'store', 'queue', 'letters'), after: fc.nat(5),
    fault: fc.constantFrom(/** @type {const} */ ('refused'), 'lost', 'lost', 'late', 'slow', 'crash-before', 'crash-after'),
  }) },
  { weight: 2, arbitrary: fc.record({
    kind: fc.constant(/** @type {const} */ ('outage')), target: fc.constantFrom('store', 'store DB_1', 'store tasks-1', 'queue', 'letters'), seconds: fc.constantFrom(1, 4, 30, 200, 1_000),
  }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom(/** @type {const} */ ('duplicate'), 'cancel', 'retry', 'redrive'), pick: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom(/** @type {const} */ ('duplicate'), 'retry', 'redrive'), pick: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant(/** @type {const} */ ('kill')), lane: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant(/** @type {const} */ ('echo')), pick: fc.nat(9), lane: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.constant(/** @type {Step} */ ({ kind: 'lose-ack' })) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant(/** @type {const} */ ('junk')), isMalformed: fc.boolean() }) },
);

before(() => { for (const level of /** @type {const} */ (['log', 'warn', 'error'])) mock.method(console, level, () => {}); });
after(() => mock.restoreAll());

describe('nothing is lost, given up or run twice, whatever fails', () => {
  for (const store of someOf(/** @type {ShelfName[]} */ (['d1', 'sharded-d1', 'durable-object', 'kv']))) test(`with state in ${store}`, async () => {
    const counts = { runs: 0, steps: 0, tasks: 0, attempts: 0 };
    /** @type {Record<string, number>} */
    const faults = {};
    const start_ms = performance.now();
    let failed_ms = Infinity;
    const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), fc.integer(), async (steps, seed) => {
      if (performance.now() > failed_ms + SHRINK_MS) return;
      const world = new World(store, seed);
      await world.run(steps).catch((error) => {
        failed_ms = Math.min(failed_ms, performance.now());
        throw error;
      });
      counts.runs += 1;
      counts.steps += steps.length;
      counts.tasks += world.submitted.length;
      counts.attempts += world.executions.length;
      for (const [what, count] of Object.entries(world.cloud.counts)) faults[what] = (faults[what] ?? 0) + count;
    });
    let told;
    for (let round = 0; !told?.failed && performance.now() < start_ms + SECONDS * 1000; round++) {
      told = await fc.check(property, { seed: SEED + round, numRuns: ROUND_RUNS });
    }
    process.stdout.write(`${store}: seed ${SEED}, ${JSON.stringify(counts)}, ${JSON.stringify(faults)}\n`);
    if (told?.failed) throw new Error(`${fc.defaultReportMessage(told)}\n${told.errorInstance}`);
  });
});
