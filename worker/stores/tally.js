/** The counts behind statistics: tasks by status, and what happened in each of the last minutes and in a longer history. */

import { creationTime } from '../task_id.js';
import { addBucket, addCounts, isEnd, quietBucket } from './buckets.js';
import { mergeHistories } from './history.js';

/** @import { Status } from '../task.js' */
/** @import { End } from '../callback.js' */
/** @import { Buckets, Glimpse, Scale } from './buckets.js' */
/** @import { History } from './history.js' */
/** @import { Statistics, SweepCounts } from './store.js' */

/** How many minutes back throughput and latency are shown, the present minute included. */
export const RECENT_MINUTES = 15;
export const MINUTE_MS = 60_000;

/** The buckets of the last minutes. @type {Scale} */
export const MINUTES = { width_ms: MINUTE_MS, steps: 1 };

/** The upper bounds of the latency buckets of the counters, from a tenth of a second to a task's default time to live. */
export const LATENCY_BOUNDS_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400];

/** How many handlers have counters of their own; those of earlier deployments stay. All further handlers share one counter, whose name cannot be a
 * handler's. */
export const COUNTED_HANDLERS = 50;
export const OTHER_HANDLERS = '_other';

/**
 * The counters of a handler's tasks; they only grow. `latencies[i]` is the number of latencies up to {@link LATENCY_BOUNDS_SECONDS}[i] and above the
 * bound before it; the last index counts those above all bounds.
 *
 * @typedef {{count: number, sum_ms: number, latencies: Record<string, number>}} EndTotals from submission to end
 * @typedef {{submitted: number, ends: Partial<Record<End, EndTotals>>}} HandlerTotals
 * @typedef {Record<string, HandlerTotals>} Totals by handler
 */

/**
 * What a table stores from one sweep to the next. `open` has the followed tasks that wait for nothing. `indexed` has those that an index can count:
 * failed and cancelled tasks, and open ones that wait for a time or are not at their first attempt; they were counted at `at_ms`, which read `rows`
 * rows. Not `isAll`: there are more tasks that were not counted yet. Earlier code stored no `totals` and no `history`.
 *
 * @typedef {{as_of_ms: number, isAll: boolean, minutes: Buckets, open: StatusCounts, indexed: StatusCounts & {at_ms: number, rows: number, isAll: boolean},
 *   totals?: Totals, history?: History}} Tally
 * @typedef {Record<Status, number>} StatusCounts
 */

/** The columns of a task that are read for counting. @typedef {Glimpse & {handler: string}} Glance */

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
 * @param {Pick<Glance, 'handler'>} task a task that is counted for the first time
 */
export function addSubmission(totals, { handler }) {
  totalsOf(totals, handler).submitted++;
}

/**
 * @param {Totals} totals
 * @param {Glance} task a task that has ended
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
 * @param {string} handler a handler's name, which may be `constructor`
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
 * @returns {Buckets} the minutes that are shown
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
 * @param {Statistics[]} parts the statistics of parts of one store, or of several stores
 * @returns {Statistics} the merged statistics, as old as the oldest part
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
