/**
 * What happened in the last hour, day and week, in buckets of growing length. They are stored with the tally of the last minutes, so that they need
 * no write, row or statement of their own. Buckets begin at whole multiples of their length in UTC, whatever the time zone.
 */

import { SWEEP_GRACE_SECONDS } from '../task.js';
import { addBucket, countEvent, quietBucket } from './buckets.js';

/** @import { Bucket, Buckets, Event, Scale } from './buckets.js' */

/** @typedef {'hour' | 'day' | 'week'} Range */

/** How many latency steps a bucket joins: four of 1.05 each, so that a percentile is exact to 11 percent. */
const STEPS = 4;

/**
 * `count` is how many buckets are told, the present one included. At most one more of each is kept, so 119 in all; a bucket has at most some
 * 140 latencies, from a millisecond to a few years, which is less than 256 KB in all.
 *
 * @type {Record<Range, Scale & {count: number}>}
 */
export const RANGES = {
  hour: { width_ms: 300_000, count: 12, steps: STEPS },
  day: { width_ms: 1_800_000, count: 48, steps: STEPS },
  week: { width_ms: 10_800_000, count: 56, steps: STEPS },
};

export const RANGE_NAMES = /** @type {Range[]} */ (Object.keys(RANGES));

/**
 * Everything is counted from `since_ms` (null: from the first task on) to `until_ms`, except in buckets with `isPart`. `tally_ms` is the time of the
 * tally with which it was stored: earlier code writes a new tally, and leaves the history unchanged.
 *
 * @typedef {{since_ms: number | null, until_ms: number, tally_ms: number, buckets: Record<Range, Buckets>}} History
 */

/**
 * @param {number | null} [since_ms]
 * @returns {History}
 */
export function newHistory(since_ms = null) {
  return { since_ms, until_ms: 0, tally_ms: 0, buckets: { hour: {}, day: {}, week: {} } };
}

/**
 * @param {{as_of_ms: number, history?: History}} tally the stored tally; its time is 0 if nothing was counted yet
 * @param {number} now_ms
 * @returns {History} the history to be continued, with its buckets
 */
export function continuedHistory({ as_of_ms, history }, now_ms) {
  const counted_ms = as_of_ms + SWEEP_GRACE_SECONDS * 1000;
  if (!history) return newHistory(as_of_ms === 0 ? null : counted_ms);
  const next = { ...history, buckets: mapRanges((range) => toldBuckets(history.buckets[range], range, now_ms)) };
  if (history.tally_ms !== as_of_ms) markGap(next, history.tally_ms, counted_ms, now_ms);
  return next;
}

/**
 * @param {History} history
 * @param {Event | null} event null is ignored; an event in the future, because clocks differ, counts as one of now
 * @param {number} now_ms
 */
export function countInHistory(history, event, now_ms) {
  if (event === null) return;
  const time_ms = Math.min(event.time_ms, now_ms);
  for (const range of RANGE_NAMES) {
    if (time_ms >= firstBucket(range, now_ms) * RANGES[range].width_ms) countEvent(history.buckets[range], { ...event, time_ms }, RANGES[range]);
  }
}

/**
 * @param {History[]} parts the histories of parts of one store, or of several stores
 * @returns {History} the merged history; a bucket is complete if it is in all parts
 */
export function mergeHistories(parts) {
  const merged = newHistory();
  for (const { since_ms, buckets } of parts) {
    if (since_ms !== null) merged.since_ms = Math.max(merged.since_ms ?? 0, since_ms);
    for (const range of RANGE_NAMES) {
      for (const [start, bucket] of Object.entries(buckets[range])) addBucket(merged.buckets[range][start] ??= quietBucket(), bucket);
    }
  }
  merged.until_ms = Math.min(...parts.map(({ until_ms }) => until_ms));
  return merged;
}

/**
 * Merges earlier counts with new counts of the same tasks, some of which have expired or were added since. For each number the larger one is closer
 * to the truth.
 *
 * @param {History | null} kept
 * @param {History} seen everything since its `since_ms`
 * @param {number} now_ms
 * @returns {History}
 */
export function joinHistories(kept, seen, now_ms) {
  if (!kept) return seen;
  const seen_ms = seen.since_ms ?? 0;
  const next = { ...seen, since_ms: Math.min(kept.since_ms ?? 0, seen_ms), buckets: mapRanges((range) => toldBuckets(kept.buckets[range], range, now_ms)) };
  if (seen_ms > kept.until_ms) markGap(next, kept.until_ms, seen_ms, now_ms);
  for (const range of RANGE_NAMES) {
    const joined = next.buckets[range];
    for (const [start, bucket] of Object.entries(joined)) if (Number(start) * RANGES[range].width_ms >= seen_ms) delete bucket.isPart;
    for (const [start, bucket] of Object.entries(seen.buckets[range])) joined[start] = fuller(joined[start] ?? quietBucket(), bucket);
  }
  return next;
}

/**
 * @param {Bucket} kept
 * @param {Bucket} seen
 * @returns {Bucket}
 */
function fuller(kept, seen) {
  const { submitted, completed, failed, cancelled } = seen;
  return {
    submitted: Math.max(kept.submitted, submitted), completed: Math.max(kept.completed, completed),
    failed: Math.max(kept.failed, failed), cancelled: Math.max(kept.cancelled, cancelled),
    latencies: kept.completed > completed ? kept.latencies : seen.latencies,
    ...(kept.isPart && { isPart: true }),
  };
}

/**
 * @param {History} history
 * @param {Range} range
 * @param {number} now_ms
 * @returns {(Bucket & {start_ms: number, isComplete: boolean})[]} the buckets, oldest first, the present one last; a bucket is complete if its time
 *   is over and everything in it was counted
 */
export function bucketsOf({ since_ms, until_ms, buckets }, range, now_ms) {
  const { width_ms, count } = RANGES[range];
  return Array.from({ length: count }, (_, index) => {
    const start = firstBucket(range, now_ms) + index;
    const bucket = buckets[range][start] ?? quietBucket();
    const start_ms = start * width_ms;
    return { ...bucket, start_ms, isComplete: !bucket.isPart && start_ms >= (since_ms ?? 0) && start_ms + width_ms <= until_ms };
  });
}

/**
 * @param {History | undefined} history
 * @returns {number} the Unix time at which its newest bucket of a week is told no more; 0 where there is none
 */
export function toldUntil_ms(history) {
  const { width_ms, count } = RANGES.week;
  const starts = Object.keys(history?.buckets.week ?? {}).map(Number);
  return starts.length === 0 ? 0 : (Math.max(...starts) + count) * width_ms;
}

/**
 * @param {History} history
 * @param {number} from_ms
 * @param {number} to_ms
 * @param {number} now_ms
 */
function markGap(history, from_ms, to_ms, now_ms) {
  for (const range of RANGE_NAMES) {
    const { width_ms } = RANGES[range];
    const last = Math.floor(Math.min(to_ms, now_ms) / width_ms);
    for (let start = Math.max(firstBucket(range, now_ms), Math.floor(from_ms / width_ms)); start <= last; start++) {
      (history.buckets[range][start] ??= quietBucket()).isPart = true;
    }
  }
}

/**
 * @param {Buckets} buckets
 * @param {Range} range
 * @param {number} now_ms
 * @returns {Buckets} the buckets that are shown, and the one after the present, which may have begun by another clock
 */
function toldBuckets(buckets, range, now_ms) {
  const first = firstBucket(range, now_ms);
  return Object.fromEntries(Object.entries(buckets).filter(([start]) => Number(start) >= first && Number(start) <= first + RANGES[range].count));
}

/** @param {Range} range @param {number} now_ms */
function firstBucket(range, now_ms) {
  const { width_ms, count } = RANGES[range];
  return Math.floor(now_ms / width_ms) - count + 1;
}

/**
 * @param {(range: Range) => Buckets} bucketsIn
 * @returns {Record<Range, Buckets>}
 */
function mapRanges(bucketsIn) {
  return { hour: bucketsIn('hour'), day: bucketsIn('day'), week: bucketsIn('week') };
}
