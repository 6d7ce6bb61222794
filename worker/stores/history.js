/**
 * What was done in the last hour, day and week, in ever longer buckets, which are kept with the tally of the last minutes: no write, no row and
 * no statement is there for them. Buckets begin at whole multiples of their length in UTC, whatever the time zone.
 */

import { SWEEP_GRACE_SECONDS } from '../task.js';
import { addBucket, countEvent, quietBucket } from './buckets.js';

/** @import { Bucket, Buckets, Event, Scale } from './buckets.js' */

/** @typedef {'hour' | 'day' | 'week'} Range */

/** How many steps of latency a bucket has together: four of 1.05 each, so that a percentile is exact to 11 percent. */
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
 * All is counted from `since_ms` (null: from the first task on) to `until_ms`, but for buckets that say they are `isPart`. `tally_ms` is when
 * the tally was made that it was written with: code of before writes another one, and leaves the history as it was.
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
 * @param {{as_of_ms: number, history?: History}} tally as it was kept; of time 0 where nothing was counted yet
 * @param {number} now_ms
 * @returns {History} what goes on with it, and with its buckets
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
 * @param {Event | null} event null counts nothing; one of the future, as clocks differ, counts as one of now
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
 * @param {History[]} parts of one store, or of several
 * @returns {History} complete where all of them are
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
 * Joins what was counted once with what is counted anew, of the same tasks but for those that have gone or come since: of each number the
 * larger one is nearer to the truth.
 *
 * @param {History | null} kept
 * @param {History} seen all that was done since its `since_ms`
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
 * @returns {(Bucket & {start_ms: number, isComplete: boolean})[]} oldest first, the present one last; complete where it is over, and all was counted
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
 * @returns {Buckets} those that are told, and the one after the present, which another clock may have begun
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
