/** The sweep: checks the alerts, submits the tasks of schedules, rescues unfinished tasks whose message or consumer was lost, and deletes expired
 * tasks. */

import { hasWork, workOff } from './actions.js';
import { checkAlerts } from './alerts.js';
import { lookAtWaiting } from './dependencies.js';
import { handOverFollowUp } from './follow_up.js';
import { groupNamed } from './group.js';
import { runSchedules } from './schedules.js';
import { keepStackSchedules } from './stack_schedules.js';
import { noSweeps } from './stores/tally.js';
import { SWEEP_GRACE_SECONDS } from './task.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Reading } from './stack_schedules.js' */
/** @import { Store } from './stores/store.js' */

/** When a sweep stops rescuing and begins to work on actions, from its start, and how long it works in all; the next sweep comes after a minute. */
const RESCUE_MS = 25_000;
const ACTIONS_MS = 35_000;
const SWEEP_MS = 45_000;

/** From this part of its limit on, a database is reported in the log. */
export const NEARLY_FULL = 0.8;

/**
 * Does all chores of the sweep, each on its own: if one fails, the others still run.
 *
 * @param {Store} store
 * @param {Engine} engine
 * @param {Reading} reading
 * @param {() => {store: Store, engine: Engine}} [whole] returns the whole store, if this one is only one of several objects
 */
export async function sweep(store, engine, reading, whole) {
  const isWhole = whole === undefined;
  const all = whole?.() ?? { store, engine };
  const start_ms = Date.now();
  const counts = noSweeps();
  const groupOf = (/** @type {string} */ name) => groupNamed(name, reading.handlers, reading.env);
  if (isWhole) await chore('alerts', () => checkAlerts(store, engine, reading.env)); // first: later there may be no time or no calls left
  await chore('schedules', async () => {
    const swept = await store.sweptSchedules();
    await runSchedules(store, engine, swept, { groupOf, all: all.store });
    await chore('schedules of the stack', () => keepStackSchedules(store, reading, { swept, isWhole }));
  });
  await chore('waiting tasks', async () => handOverFollowUp(all.engine, await lookAtWaiting(store, all.store)));
  await chore('rescue', () => rescue(store, engine, counts, start_ms + RESCUE_MS));
  await chore('parts that a deployment has changed', () => store.carryOver());
  await chore('actions', async () => {
    if (!hasWork(await store.note('actions'))) return;
    await workOff(all.store, all.engine, start_ms + ACTIONS_MS);
  });
  await chore('expiry', async () => { counts.expired = await store.expire(() => Date.now() > start_ms + SWEEP_MS); });
  await chore('groups', async () => handOverFollowUp(engine, await store.refreshGroups(groupOf))); // after the expiry, which ends turns
  await chore('statistics', () => store.tally());
  await chore('look at the size', async () => {
    for (const { name, bytes, limit_bytes } of await store.fill()) {
      if (bytes >= limit_bytes * NEARLY_FULL) console.warn('a database is nearly full', { database: name, bytes, limit_bytes });
    }
  });
  if (Object.values(counts).every((count) => count === 0)) return;
  console.log('swept', counts);
  await chore('count', () => store.countSweep(counts));
}

/**
 * Does the work of the cron trigger if each part of the store sweeps itself once it has tasks: checks the alerts, and creates the stack's schedules.
 *
 * @param {Store} store
 * @param {Engine} engine
 * @param {Reading} reading
 */
export async function oversee(store, engine, reading) {
  await chore('alerts', () => checkAlerts(store, engine, reading.env));
  await chore('schedules of the stack', () => keepStackSchedules(store, reading, { swept: null, isWhole: true }));
}

/**
 * @param {Store} store
 * @param {Engine} engine
 * @param {{resent: number, returned: number, failed: number}} counts
 * @param {number} end_ms
 */
async function rescue(store, engine, counts, end_ms) {
  for await (const tasks of store.open(Date.now() - SWEEP_GRACE_SECONDS * 1000)) {
    const { resent, returned, failed } = await engine.rescue(tasks);
    counts.resent += resent;
    counts.returned += returned;
    counts.failed += failed;
    if (Date.now() > end_ms) return;
  }
}

/**
 * @param {string} name
 * @param {() => Promise<void>} work
 */
async function chore(name, work) {
  try {
    await work();
  } catch (error) {
    console.error('a part of the sweep failed; the next one comes in a minute', { part: name, error: String(error) });
  }
}
