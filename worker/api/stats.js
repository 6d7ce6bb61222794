/** `GET /stats`: how much there is, how much waits, and how fast it goes. */

import { alertSettings, firingAlerts, keptAlerts } from '../alerts.js';
import { firstMinute, latencyOf, MINUTE_MS, quietMinute, RECENT_MINUTES } from '../stores/tally.js';
import { pausesView } from './pauses.js';
import { isoTime, jsonReply } from './reply.js';
import { readQuery } from './request.js';

/** @import { Backlog, Backlogs, Engine } from '../engines/engine.js' */
/** @import { Minutes } from '../stores/tally.js' */
/** @import { Call } from './router.js' */

/** How long an answer is given again. */
const FRESH_MS = 5_000;

/** What was gathered at a Unix time. @typedef {Awaited<ReturnType<typeof gather>>} Gathered */

/** The last that this isolate has gathered. @type {Gathered | null} */
let last = null;

/** @param {Call} call */
export async function showStatistics(call) {
  readQuery(call.url, []);
  return jsonReply(statisticsView(await gathered(call)));
}

/**
 * @param {Call} call
 * @returns {Promise<Gathered>} of up to {@link FRESH_MS} ago
 */
export async function gathered(call) {
  const now_ms = Date.now();
  if (last === null || now_ms >= last.now_ms + FRESH_MS) last = await gather(call, now_ms);
  return last;
}

/**
 * @param {Call} call
 * @param {number} now_ms
 */
async function gather({ store, engine, env }, now_ms) {
  const [told, backlogs, databases, objects, pauses, alerts] = await Promise.all([
    store.statistics(), backlogsOf(engine), store.fill(), store.workerVersions(), store.pauses(), alertSettings(env) && keptAlerts(store),
  ]);
  return { now_ms, told, backlogs, databases, objects, pauses, alerts };
}

/** @param {Gathered} gathered */
function statisticsView({ now_ms, told, backlogs, databases, objects, pauses, alerts }) {
  const { as_of_ms, fresh_until_ms, counts, since_ms, isAll, minutes, sweeper, former = [] } = told;
  return {
    generatedAt: isoTime(now_ms),
    asOf: as_of_ms === 0 ? null : isoTime(as_of_ms),
    freshUntil: isoTime(Math.max(now_ms + FRESH_MS, fresh_until_ms)),
    counts,
    counted: { tasks: Object.values(counts).reduce((sum, count) => sum + count, 0), since: isoTime(since_ms), complete: isAll },
    former: former.map(({ store: name, counts: held, isAll: complete }) => ({ store: name, counts: held, complete })),
    databases: databases.map(({ name, bytes, limit_bytes }) => ({ name, bytes, limitBytes: limit_bytes, used: bytes / limit_bytes })),
    queue: backlogs && { ...backlogView(backlogs.backlog, now_ms), priorities: prioritiesView(backlogs.priorities, now_ms) },
    deadLetters: backlogs && { count: backlogs.deadLetters.count, oldestAgeSeconds: ageSeconds(backlogs.deadLetters, now_ms) },
    recent: { minutes: RECENT_MINUTES, perMinute: throughput(minutes, now_ms), latencyMs: latencyOf(minutes) },
    objects,
    paused: pausesView(pauses),
    firing: alerts ? firingAlerts(alerts) : [],
    sweeper,
  };
}

/**
 * @param {Backlog} backlog
 * @param {number} now_ms
 */
function backlogView(backlog, now_ms) {
  return { backlog: backlog.count, oldestAgeSeconds: ageSeconds(backlog, now_ms) };
}

/**
 * @param {Backlogs['priorities']} priorities
 * @param {number} now_ms
 * @returns {object | null} null: they have no queues of their own
 */
function prioritiesView(priorities, now_ms) {
  return priorities ? Object.fromEntries(Object.entries(priorities).map(([priority, backlog]) => [priority, backlogView(backlog, now_ms)])) : null;
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

/**
 * @param {Backlog} backlog
 * @param {number} now_ms
 */
export function ageSeconds({ oldest_ms: since_ms }, now_ms) {
  return since_ms === null ? null : Math.max(0, Math.floor((now_ms - since_ms) / 1000));
}

/**
 * @param {Minutes} minutes
 * @param {number} now_ms
 */
function throughput(minutes, now_ms) {
  return Array.from({ length: RECENT_MINUTES }, (_, index) => {
    const minute = firstMinute(now_ms) + index;
    const { latencies: _latencies, ...done } = minutes[minute] ?? quietMinute();
    return { minute: isoTime(minute * MINUTE_MS), ...done };
  });
}
