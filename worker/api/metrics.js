/** `GET /metrics`: what `GET /stats` gathers, and what has happened since it is counted, for Prometheus and what reads its format. */

import { firingAlerts } from '../alerts.js';
import { LATENCY_BOUNDS_SECONDS } from '../stores/tally.js';
import { workerVersion } from '../version.js';
import { metricsText } from './openmetrics.js';
import { UNCACHED } from './reply.js';
import { readQuery } from './request.js';
import { ageSeconds, gathered } from './stats.js';

/** @import { Backlog, Backlogs } from '../engines/engine.js' */
/** @import { EndTotals } from '../stores/tally.js' */
/** @import { Family, Labels, Sample } from './openmetrics.js' */
/** @import { Call } from './router.js' */
/** @import { Gathered } from './stats.js' */

/** Of the text (https://prometheus.io/docs/specs/om/open_metrics_spec/). */
export const METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Ends whose latency is told: a cancelled task says nothing of how long its work takes. */
const LATENCY_ENDS = new Set(['completed', 'failed']);

/** @param {Call} call */
export async function showMetrics(call) {
  readQuery(call.url, []);
  const text = metricsText(families(await gathered(call), workerVersion(call.env)));
  return new Response(text, { headers: { 'Content-Type': METRICS_TYPE, ...UNCACHED } });
}

/**
 * @param {Gathered} gathered
 * @param {string | null} version of the Worker that answers
 * @returns {Family[]} those without a sample as well: their names and what they are
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
 * @returns {{labels: Labels, backlog: Backlog}[]} of each priority, where they have queues of their own
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
 * @param {Readonly<Record<string, number>>} values by the label's value
 * @param {Labels} [labels] further ones
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
