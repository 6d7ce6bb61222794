/** `GET /stats`: how much there is, how much waits, and how fast it goes. */

import { STATUSES } from '../task.js';
import { Allowance } from './allowance.js';
import { jsonReply } from './reply.js';
import { readQuery } from './request.js';
import { isoTime } from './task.js';

/** @import { Backlog, Engine } from '../engines/engine.js' */
/** @import { Moments } from '../stores/store.js' */
/** @import { Call } from './router.js' */

/** How far back throughput and latency are told, the present minute included. */
const RECENT_MINUTES = 15;
const MINUTE_MS = 60_000;

/** How long an answer is given again at least; longer once many were dear. */
const FRESH_MS = 5_000;

/** @typedef {{generatedAt: string | null} & Record<string, unknown>} Statistics */

/** The last answer of this isolate, and until when it is given. @type {{fresh_until_ms: number, statistics: Statistics} | null} */
let last = null;

const allowance = new Allowance();

/** @param {Call} call */
export async function showStatistics(call) {
  readQuery(call.url, []);
  const now_ms = Date.now();
  if (last === null || now_ms >= last.fresh_until_ms) {
    const { cost, ...statistics } = await makeStatistics(call, now_ms);
    const fresh_until_ms = now_ms + Math.max(FRESH_MS, allowance.spend(cost, now_ms));
    last = { fresh_until_ms, statistics: { ...statistics, freshUntil: isoTime(fresh_until_ms) } };
  }
  return jsonReply(last.statistics);
}

/**
 * @param {Call} call
 * @param {number} now_ms
 * @returns {Promise<Statistics & {cost: number}>}
 */
async function makeStatistics({ store, engine }, now_ms) {
  const [{ tasks, isAll, cost, former = [] }, backlogs, sweeper, objects] = await Promise.all([
    store.recent(), backlogsOf(engine), store.sweepCounts(), store.workerVersions(),
  ]);
  return {
    cost,
    generatedAt: isoTime(now_ms),
    counts: countByStatus(tasks),
    counted: { tasks: tasks.length, since: isoTime(oldest_ms(tasks)), complete: isAll },
    former: former.map(({ store: name, tasks: held, isAll: complete }) => ({ store: name, counts: countByStatus(held), complete })),
    queue: backlogs && { backlog: backlogs.backlog.count, oldestAgeSeconds: ageSeconds(backlogs.backlog, now_ms) },
    deadLetters: backlogs && { count: backlogs.deadLetters.count, oldestAgeSeconds: ageSeconds(backlogs.deadLetters, now_ms) },
    recent: { minutes: RECENT_MINUTES, perMinute: throughput(tasks, now_ms), latencyMs: latency(tasks, firstMinute_ms(now_ms)) },
    objects,
    sweeper,
  };
}

/**
 * @param {Engine} engine
 * @returns {ReturnType<Engine['backlogs']>} null as well while the platform does not tell: the rest is worth an answer without it
 */
async function backlogsOf(engine) {
  try {
    return await engine.backlogs();
  } catch (error) {
    console.warn('the queues did not tell what waits in them', { error: String(error) });
    return null;
  }
}

/** @param {Moments[]} tasks */
function countByStatus(tasks) {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
  for (const { status } of tasks) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** @param {Moments[]} tasks */
function oldest_ms(tasks) {
  return tasks.reduce((/** @type {number | null} */ oldest, { created_ms }) => Math.min(oldest ?? Infinity, created_ms), null);
}

/**
 * @param {Backlog} backlog
 * @param {number} now_ms
 */
function ageSeconds({ oldest_ms: since_ms }, now_ms) {
  return since_ms === null ? null : Math.max(0, Math.floor((now_ms - since_ms) / 1000));
}

/** @param {number} now_ms */
function firstMinute_ms(now_ms) {
  return (Math.floor(now_ms / MINUTE_MS) - RECENT_MINUTES + 1) * MINUTE_MS;
}

/**
 * @param {Moments[]} tasks
 * @param {number} now_ms
 */
function throughput(tasks, now_ms) {
  const minutes = Array.from({ length: RECENT_MINUTES }, (_, index) => (
    { minute: isoTime(firstMinute_ms(now_ms) + index * MINUTE_MS), submitted: 0, completed: 0, failed: 0, cancelled: 0 }
  ));
  const minuteOf = (/** @type {number} */ time_ms) => minutes[Math.floor((time_ms - firstMinute_ms(now_ms)) / MINUTE_MS)];
  for (const { status, created_ms, finished_ms } of tasks) {
    const submitted = minuteOf(created_ms);
    if (submitted) submitted.submitted++;
    const finished = finished_ms === null ? undefined : minuteOf(finished_ms);
    if (finished && (status === 'completed' || status === 'failed' || status === 'cancelled')) finished[status]++;
  }
  return minutes;
}

/**
 * @param {Moments[]} tasks
 * @param {number} since_ms
 * @returns {{samples: number, p50: number, p95: number, p99: number} | null} from submission to completion; null of none
 */
function latency(tasks, since_ms) {
  const latencies_ms = tasks.flatMap(({ status, created_ms, finished_ms }) => (
    status === 'completed' && finished_ms !== null && finished_ms >= since_ms ? [Math.max(0, finished_ms - created_ms)] : []
  )).sort((one, other) => one - other);
  if (latencies_ms.length === 0) return null;
  // The nearest rank: a latency that a task had.
  const percentile = (/** @type {number} */ percent) => latencies_ms[Math.ceil(latencies_ms.length * percent / 100) - 1] ?? NaN;
  return { samples: latencies_ms.length, p50: percentile(50), p95: percentile(95), p99: percentile(99) };
}
