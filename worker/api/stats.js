/** `GET /stats`, `/metrics` and `/alerts`: numbers of tasks, backlogs, rates, and which alerts fire. */

import { deadLetterQueueOf } from '../dead_letter_queue.js';
import { ALERT_NAMES, alertSettings, firingAlerts, keptAlerts, resolvesBelow, valuesOf } from '../alerts.js';
import { latencyOf, quietBucket } from '../stores/buckets.js';
import { bucketsOf, RANGE_NAMES, RANGES } from '../stores/history.js';
import { firstMinute, LATENCY_BOUNDS_SECONDS, MINUTE_MS, MINUTES, RECENT_MINUTES } from '../stores/tally.js';
import { workerVersion } from '../version.js';
import { pausesView } from './actions.js';
import { isoTime, jsonReply, UNCACHED } from './reply.js';
import { readQuery, textLike } from './request.js';

/** @import { Backlog, Backlogs, Engine } from '../engines/engine.js' */
/** @import { Buckets } from '../stores/buckets.js' */
/** @import { History, Range } from '../stores/history.js' */
/** @import { EndTotals } from '../stores/tally.js' */
/** @import { Call } from './router.js' */

/** How long an answer is reused. */
const FRESH_MS = 5_000;

/** The numbers gathered at a Unix time. @typedef {Awaited<ReturnType<typeof gather>>} Gathered */

/** The numbers that this isolate gathered last. @type {Gathered | null} */
let last = null;

const RANGE = new RegExp(`^(?:${RANGE_NAMES.join('|')})$`);

/** @param {Call} call */
export async function showStatistics(call) {
  const query = readQuery(call.url, ['range']);
  const range = /** @type {Range | null} */ (textLike('range', query['range'], RANGE, `one of ${RANGE_NAMES.join(', ')}`));
  const told = await gathered(call);
  return jsonReply({ ...statisticsView(told, deadLetterQueueOf(call.env) !== null), ...(range && { history: historyView(told.told.history, range, told.now_ms) }) });
}

/**
 * @param {Call} call
 * @returns {Promise<Gathered>} numbers that are at most {@link FRESH_MS} old
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

/**
 * @param {Gathered} gathered
 * @param {boolean} readable whether dead letters can be read
 */
function statisticsView({ now_ms, told, backlogs, databases, objects, pauses, alerts }, readable) {
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
    deadLetters: backlogs && { count: backlogs.deadLetters.count, oldestAgeSeconds: ageSeconds(backlogs.deadLetters, now_ms), readable },
    recent: { minutes: RECENT_MINUTES, perMinute: throughput(minutes, now_ms), latencyMs: latencyOf(Object.values(minutes), MINUTES) },
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
 * @returns {object | null} null if the priorities have no queues of their own
 */
function prioritiesView(priorities, now_ms) {
  return priorities ? Object.fromEntries(Object.entries(priorities).map(([priority, backlog]) => [priority, backlogView(backlog, now_ms)])) : null;
}

/**
 * @param {Engine} engine
 * @returns {ReturnType<Engine['backlogs']>} the backlogs; null also if the platform does not answer, because the other numbers are useful without
 *     them
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
function ageSeconds({ oldest_ms: since_ms }, now_ms) {
  return since_ms === null ? null : Math.max(0, Math.floor((now_ms - since_ms) / 1000));
}

/**
 * @param {History} history
 * @param {Range} range
 * @param {number} now_ms
 */
function historyView(history, range, now_ms) {
  const scale = RANGES[range];
  const buckets = bucketsOf(history, range, now_ms);
  return {
    range,
    bucketSeconds: scale.width_ms / 1000,
    buckets: buckets.map(({ start_ms, isComplete, submitted, completed, failed, cancelled, ...bucket }) => (
      { start: isoTime(start_ms), submitted, completed, failed, cancelled, latencyMs: latencyOf([bucket], scale), complete: isComplete }
    )),
    latencyMs: latencyOf(buckets, scale),
  };
}

/**
 * @param {Buckets} minutes
 * @param {number} now_ms
 */
function throughput(minutes, now_ms) {
  return Array.from({ length: RECENT_MINUTES }, (_, index) => {
    const minute = firstMinute(now_ms) + index;
    const { latencies: _latencies, ...done } = minutes[minute] ?? quietBucket();
    return { minute: isoTime(minute * MINUTE_MS), ...done };
  });
}

// `GET /metrics`: the numbers of `GET /stats` and the counters, in the text format of Prometheus and compatible systems.

/** The content type (https://prometheus.io/docs/specs/om/open_metrics_spec/). */
export const METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** The ends whose latency is measured: a cancelled task does not show how long its work takes. */
const LATENCY_ENDS = new Set(['completed', 'failed']);

/** @param {Call} call */
export async function showMetrics(call) {
  readQuery(call.url, []);
  const text = metricsText(families(await gathered(call), workerVersion(call.env)));
  return new Response(text, { headers: { 'Content-Type': METRICS_TYPE, ...UNCACHED } });
}

/**
 * @param {Gathered} gathered
 * @param {string | null} version the version of the Worker that answers
 * @returns {Family[]} the metric families; those without samples are included with their name and description
 */
export function families({ now_ms, told, backlogs, databases, pauses, alerts }, version) {
  const { counts, isAll, as_of_ms, parts, former = [] } = told;
  const counted = parts.flatMap(({ name, handlers }) => Object.entries(handlers ?? {}).map(([handler, totals]) => ({ labels: { shard: name, handler }, totals })));
  const ends = counted.flatMap(({ labels, totals }) => Object.entries(totals.ends).map(([status, end]) => ({ labels: { ...labels, status }, end })));
  const queues = backlogs ? queuesOf(backlogs) : [];
  return [
    { name: 'ephemera_worker', type: 'info', help: 'The version of the Worker that answers.', samples: version === null ? [] : [{ suffix: '_info', labels: { version }, value: 1 }] },
    { name: 'ephemera_tasks', type: 'gauge', help: 'Tasks that are kept, by status, those of former stores too.', samples: byLabel('status', counts) },
    { name: 'ephemera_former_store_tasks', type: 'gauge', help: 'Tasks that a store of an earlier deployment still has, by status.', samples: former.flatMap(({ store, counts: held }) => byLabel('status', held, { store })) },
    { name: 'ephemera_tasks_all_counted', type: 'gauge', help: 'Whether ephemera_tasks has all tasks (1), or some of them (0).', samples: [sample(Number(isAll))] },
    { name: 'ephemera_tasks_counted_timestamp_seconds', type: 'gauge', unit: 'seconds', help: 'When ephemera_tasks was counted, as Unix time.', samples: as_of_ms === 0 ? [] : [sample(as_of_ms / 1000)] },
    { name: 'ephemera_shard_counted_timestamp_seconds', type: 'gauge', unit: 'seconds', help: 'Up to when the sweeper has counted the tasks of a database or object, as Unix time: it stands still when the sweeper does.', samples: parts.flatMap(({ name, counted_ms }) => (counted_ms === null ? [] : [sample(counted_ms / 1000, { shard: name })])) },
    { name: 'ephemera_submitted_tasks', type: 'counter', help: 'Tasks that were submitted.', samples: counted.map(({ labels, totals }) => ({ suffix: '_total', labels, value: totals.submitted })) },
    { name: 'ephemera_ended_tasks', type: 'counter', help: 'Runs of tasks that have ended, by how.', samples: ends.map(({ labels, end }) => ({ suffix: '_total', labels, value: end.count })) },
    { name: 'ephemera_task_latency_seconds', type: 'histogram', unit: 'seconds', help: 'From the submission of a task to its end.', samples: ends.flatMap(({ labels, end }) => (LATENCY_ENDS.has(labels.status) ? histogram(labels, end) : [])) },
    { name: 'ephemera_sweeper_tasks', type: 'counter', help: 'Tasks that the sweeper has deleted (expired), sent again, returned from lost consumers, and failed.', samples: parts.flatMap(({ name, sweeper }) => byLabel('action', sweeper, { shard: name }).map((each) => ({ ...each, suffix: '_total' }))) },
    { name: 'ephemera_queue_messages', type: 'gauge', help: 'Messages that wait in the queue, or in the queues of each priority.', samples: queues.map(({ labels, backlog }) => sample(backlog.count, labels)) },
    { name: 'ephemera_queue_oldest_message_age_seconds', type: 'gauge', unit: 'seconds', help: 'How long the oldest message waits in the queue; 0 where there is none.', samples: queues.map(({ labels, backlog }) => sample(ageSeconds(backlog, now_ms) ?? 0, labels)) },
    { name: 'ephemera_dead_letters', type: 'gauge', help: 'Messages in the dead-letter queue.', samples: backlogs ? [sample(backlogs.deadLetters.count)] : [] },
    { name: 'ephemera_dead_letters_oldest_age_seconds', type: 'gauge', unit: 'seconds', help: 'How long the oldest dead letter is there; 0 where there is none.', samples: backlogs ? [sample(ageSeconds(backlogs.deadLetters, now_ms) ?? 0)] : [] },
    { name: 'ephemera_handler_paused', type: 'gauge', help: 'Handlers whose tasks wait (1); * is every handler.', samples: pauses.map(({ handler }) => sample(1, { handler })) },
    { name: 'ephemera_alert_firing', type: 'gauge', help: 'Alerts of the stack that fire (1).', samples: alerts ? firingAlerts(alerts).map((alert) => sample(1, { alert })) : [] },
    { name: 'ephemera_database_size_bytes', type: 'gauge', unit: 'bytes', help: 'How large a database or object is.', samples: databases.map(({ name, bytes }) => sample(bytes, { shard: name })) },
    { name: 'ephemera_database_limit_bytes', type: 'gauge', unit: 'bytes', help: 'How large it may be.', samples: databases.map(({ name, limit_bytes }) => sample(limit_bytes, { shard: name })) },
  ];
}

/**
 * @param {Backlogs} backlogs
 * @returns {{labels: Labels, backlog: Backlog}[]} the backlog of each queue, by priority if priorities have queues of their own
 */
function queuesOf({ backlog, priorities }) {
  if (!priorities) return [{ labels: {}, backlog }];
  return Object.entries(priorities).map(([priority, own]) => ({ labels: { priority }, backlog: own }));
}

/**
 * @param {number} value
 * @param {Labels} [labels]
 * @returns {Sample}
 */
function sample(value, labels = {}) {
  return { suffix: '', labels, value };
}

/**
 * @param {string} label
 * @param {Readonly<Record<string, number>>} values the values by the label's value
 * @param {Labels} [labels] further labels
 */
function byLabel(label, values, labels = {}) {
  return Object.entries(values).map(([each, value]) => sample(value, { ...labels, [label]: each }));
}

/**
 * @param {Labels} labels
 * @param {EndTotals} end
 * @returns {Sample[]}
 */
function histogram(labels, { count, sum_ms, latencies }) {
  let below = 0;
  const buckets = LATENCY_BOUNDS_SECONDS.map((bound, index) => ({ suffix: '_bucket', labels: { ...labels, le: bucketBound(bound) }, value: below += latencies[index] ?? 0 }));
  return [
    ...buckets, { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
    { suffix: '_count', labels, value: count }, { suffix: '_sum', labels, value: sum_ms / 1000 },
  ];
}

/** @param {number} seconds */
function bucketBound(seconds) {
  return Number.isInteger(seconds) ? `${seconds}.0` : String(seconds);
}

// The text format of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/).

/** Labels by name; a value may be any text. @typedef {Readonly<Record<string, string>>} Labels */

/** A sample; `suffix` is what its name has after the family's name. @typedef {{suffix: string, labels: Labels, value: number}} Sample */

/** A metric family. If it has a unit, its name ends in the unit.
 *
 * @typedef {{name: string, type: 'gauge' | 'counter' | 'histogram' | 'info', unit?: string, help: string, samples: Sample[]}} Family
 */

/**
 * @param {Family[]} families
 * @returns {string}
 */
export function metricsText(families) {
  return `${families.flatMap(familyLines).join('\n')}\n# EOF\n`;
}

/**
 * @param {Family} family
 * @returns {string[]}
 */
function familyLines({ name, type, unit, help, samples }) {
  return [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escaped(help)}`,
    ...samples.map(({ suffix, labels, value }) => `${name}${suffix}${labelText(labels)} ${value}`),
  ];
}

/** @param {Labels} labels */
function labelText(labels) {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return texts.length > 0 ? `{${texts.join(',')}}` : '';
}

/** @param {string} text */
function escaped(text) {
  return text.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

// `GET /alerts`: the stack's alerts, their present values, and which of them fire.

/** @param {Call} call */
export async function showAlerts(call) {
  readQuery(call.url, []);
  const settings = alertSettings(call.env);
  if (!settings) return jsonReply({ url: null, alerts: [], untold: 0 });
  const [{ episodes, posts }, figures] = await Promise.all([keptAlerts(call.store), gathered(call)]);
  const values = valuesOf(settings, figures, call.engine.hasQueues, figures.now_ms);
  const alerts = ALERT_NAMES.filter((name) => values.has(name)).map((name) => {
    const episode = episodes[name];
    return {
      name, state: episode === undefined ? 'ok' : episode.fired_ms === null ? 'pending' : 'firing',
      value: values.get(name) ?? null, limit: settings.limits[name], resolvesBelow: resolvesBelow(settings, name),
      since: isoTime(episode?.since_ms ?? null), firedAt: isoTime(episode?.fired_ms ?? null),
    };
  });
  return jsonReply({ url: URL.parse(settings.url)?.origin ?? '', alerts, untold: posts.length });
}
