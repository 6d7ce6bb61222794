/** What statistics are made of: counts of tasks, and what became of them in each of the last minutes and in a longer history. */

import { creationTime } from '../task_id.js';
import { addBucket, addCounts, isEnd, quietBucket } from './buckets.js';
import { mergeHistories } from './history.js';

/** @import { Status } from '../task.js' */
/** @import { End } from '../callback.js' */
/** @import { Buckets, Glimpse, Scale } from './buckets.js' */
/** @import { History } from './history.js' */
/** @import { Statistics, SweepCounts } from './store.js' */

/** How far back throughput and latency are told, the present minute included. */
export const RECENT_MINUTES = 15;
export const MINUTE_MS = 60_000;

/** Of the last minutes. @type {Scale} */
export const MINUTES = { width_ms: MINUTE_MS, steps: 1 };

/** Upper bounds of the latencies that are counted for good, from a tenth of a second to a task's ordinary time to live. */
export const LATENCY_BOUNDS_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400];

/** How many handlers are counted on their own: those of earlier deployments stay. The others are counted together, under what is no
 * handler's name. */
export const COUNTED_HANDLERS = 50;
export const OTHER_HANDLERS = '_other';

/**
 * What has become of a handler's tasks since they are counted: nothing of it is ever taken back. `latencies` has how many there were up to
 * each of {@link LATENCY_BOUNDS_SECONDS} and above the one before, by its index; the last index is of those above all.
 *
 * @typedef {{count: number, sum_ms: number, latencies: Record<string, number>}} EndTotals from submission to end
 * @typedef {{submitted: number, ends: Partial<Record<End, EndTotals>>}} HandlerTotals
 * @typedef {Record<string, HandlerTotals>} Totals by handler
 */

/**
 * What a table keeps from one sweep to the next. `open` are the tasks that are followed and wait for nothing; `indexed` those that an
 * index tells: the failed and cancelled ones, and the open ones that wait for a time, or are no first attempts; counted at `at_ms`,
 * which read so many `rows`. Not `isAll`: there are more that were not counted yet. Code of before kept no `totals`, and no `history`.
 *
 * @typedef {{as_of_ms: number, isAll: boolean, minutes: Buckets, open: StatusCounts, indexed: StatusCounts & {at_ms: number, rows: number, isAll: boolean},
 *   totals?: Totals, history?: History}} Tally
 * @typedef {Record<Status, number>} StatusCounts
 */

/** What is looked at of a task. @typedef {Glimpse & {handler: string}} Glance */

/** @returns {StatusCounts} */
export function noCounts() {
  return { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
}

/** @returns {SweepCounts} */
export function noSweeps() {
  return { expired: 0, resent: 0, returned: 0, failed: 0 };
}

/** @returns {Tally} */
export function newTally() {
  return { as_of_ms: 0, isAll: false, minutes: {}, open: noCounts(), indexed: { ...noCounts(), at_ms: 0, rows: 0, isAll: true } };
}

/**
 * @param {Totals} totals
 * @param {Pick<Glance, 'handler'>} task that is counted for the first time
 */
export function addSubmission(totals, { handler }) {
  totalsOf(totals, handler).submitted++;
}

/**
 * @param {Totals} totals
 * @param {Glance} task that has ended
 */
export function addEnd(totals, { taskId, handler, status, finished_at }) {
  if (finished_at === null || !isEnd(status)) return;
  const end = totalsOf(totals, handler).ends[status] ??= { count: 0, sum_ms: 0, latencies: {} };
  const latency_ms = Math.max(0, finished_at - creationTime(taskId)); // clocks differ
  const bound = LATENCY_BOUNDS_SECONDS.findIndex((seconds) => latency_ms <= seconds * 1000);
  const index = bound < 0 ? LATENCY_BOUNDS_SECONDS.length : bound;
  end.count++;
  end.sum_ms += latency_ms;
  end.latencies[index] = (end.latencies[index] ?? 0) + 1;
}

/**
 * @param {Totals} totals
 * @param {string} handler which may be called `constructor`
 * @returns {HandlerTotals}
 */
function totalsOf(totals, handler) {
  const name = Object.hasOwn(totals, handler) || Object.keys(totals).length < COUNTED_HANDLERS ? handler : OTHER_HANDLERS;
  if (!Object.hasOwn(totals, name)) totals[name] = { submitted: 0, ends: {} };
  return /** @type {HandlerTotals} */ (totals[name]);
}

/**
 * @param {Buckets} minutes
 * @param {number} now_ms
 * @returns {Buckets} those that are told
 */
export function recentMinutes(minutes, now_ms) {
  const first = firstMinute(now_ms);
  return Object.fromEntries(Object.entries(minutes).filter(([minute]) => Number(minute) >= first));
}

/** @param {number} now_ms @returns {number} Unix time in minutes */
export function firstMinute(now_ms) {
  return Math.floor(now_ms / MINUTE_MS) - RECENT_MINUTES + 1;
}

/**
 * @param {Statistics[]} parts of one store, or of several
 * @returns {Statistics} as old as the oldest
 */
export function mergeStatistics(parts) {
  const counts = noCounts();
  /** @type {Buckets} */
  const minutes = {};
  const sweeper = noSweeps();
  for (const part of parts) {
    addCounts(counts, part.counts);
    addCounts(sweeper, part.sweeper);
    for (const [start, minute] of Object.entries(part.minutes)) addBucket(minutes[start] ??= quietBucket(), minute);
  }
  return {
    counts, minutes, sweeper,
    history: mergeHistories(parts.map(({ history }) => history)),
    parts: parts.flatMap((part) => part.parts),
    as_of_ms: Math.min(...parts.map(({ as_of_ms }) => as_of_ms)),
    fresh_until_ms: Math.max(...parts.map(({ fresh_until_ms }) => fresh_until_ms)),
    since_ms: parts.reduce((/** @type {number | null} */ first, { since_ms }) => (since_ms === null ? first : Math.min(first ?? Infinity, since_ms)), null),
    isAll: parts.every(({ isAll }) => isAll),
  };
}
