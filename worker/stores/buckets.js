/** Counts in equal intervals of time: how many tasks were submitted, how many ended, and the latencies of those that completed. */

import { creationTime } from '../task_id.js';
import { ENDED } from '../task.js';

/** @import { Status } from '../task.js' */

/** Latencies are counted in steps, each this many times as long as the one before: a percentile of single steps is exact to 2.5 percent. */
const STEP_RATIO = 1.05;

/**
 * The counts of one interval; `latencies` has the number of completed tasks by the step of their latency. `isPart`: not everything in the interval
 * was counted.
 *
 * @typedef {{submitted: number, completed: number, failed: number, cancelled: number, latencies: Record<string, number>, isPart?: boolean}} Bucket
 */

/** Buckets by the Unix time at which they begin, in units of their length. @typedef {Record<string, Bucket>} Buckets */

/** The length of each bucket, and how many latency steps are counted together. @typedef {{width_ms: number, steps: number}} Scale */

/** The columns of a task that may have ended. @typedef {{taskId: string, status: Status, finished_at: number | null}} Glimpse */

/** What a bucket counts. @typedef {'submitted' | 'completed' | 'failed' | 'cancelled'} Deed */

/** An event at a Unix time; `latency_ms` only of a completion. @typedef {{deed: Deed, time_ms: number, latency_ms?: number}} Event */

/** @returns {Bucket} */
export function quietBucket() {
  return { submitted: 0, completed: 0, failed: 0, cancelled: 0, latencies: {} };
}

/**
 * @param {Pick<Glimpse, 'taskId'>} task
 * @returns {Event}
 */
export function submissionOf({ taskId }) {
  return { deed: 'submitted', time_ms: creationTime(taskId) };
}

/**
 * @param {Glimpse} task
 * @returns {Event | null} null: it has not ended
 */
export function endOf({ taskId, status, finished_at }) {
  if (finished_at === null || !isEnd(status)) return null;
  return { deed: status, time_ms: finished_at, ...(status === 'completed' && { latency_ms: finished_at - creationTime(taskId) }) };
}

/**
 * @param {Status} status
 * @returns {status is 'completed' | 'failed' | 'cancelled'}
 */
export function isEnd(status) {
  return ENDED.has(status);
}

/**
 * @param {Buckets} buckets
 * @param {Event} event
 * @param {Scale} scale
 */
export function countEvent(buckets, { deed, time_ms, latency_ms }, { width_ms, steps }) {
  const bucket = buckets[Math.floor(time_ms / width_ms)] ??= quietBucket();
  bucket[deed]++;
  if (latency_ms === undefined) return;
  const step = Math.floor(stepOf(latency_ms) / steps);
  bucket.latencies[step] = (bucket.latencies[step] ?? 0) + 1;
}

/**
 * @param {Bucket} sum
 * @param {Bucket} bucket
 */
export function addBucket(sum, { latencies, isPart = false, ...counts }) {
  addCounts(sum, counts);
  addCounts(sum.latencies, latencies);
  if (isPart) sum.isPart = true;
}

/**
 * Adds counts to those of the same names; a new name starts at zero.
 *
 * @param {Record<string, any>} sum
 * @param {Readonly<Record<string, number>>} counts
 */
export function addCounts(sum, counts) {
  for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
}

/**
 * @param {Pick<Bucket, 'latencies'>[]} buckets
 * @param {Pick<Scale, 'steps'>} scale
 * @returns {{samples: number, p50: number, p95: number, p99: number} | null} the latency in milliseconds, by the nearest rank; null if there are none
 */
export function latencyOf(buckets, { steps }) {
  /** @type {Record<string, number>} */
  const all = {};
  for (const { latencies } of buckets) addCounts(all, latencies);
  const sorted = Object.entries(all).map(([step, count]) => /** @type {const} */ ([Number(step), count])).sort(([one], [other]) => one - other);
  const samples = sorted.reduce((sum, [, count]) => sum + count, 0);
  if (samples === 0) return null;
  const percentile = (/** @type {number} */ percent) => {
    let before = 0;
    const [step = 0] = sorted.find(([, count]) => (before += count) >= samples * percent / 100) ?? [];
    return Math.round(STEP_RATIO ** (step * steps + (steps - 1) / 2));
  };
  return { samples, p50: percentile(50), p95: percentile(95), p99: percentile(99) };
}

/** @param {number} latency_ms it may be negative, because clocks differ */
function stepOf(latency_ms) {
  return Math.round(Math.log(Math.max(latency_ms, 1)) / Math.log(STEP_RATIO));
}
