/** `/schedules`: what makes tasks at set times. */

import { groupKey } from '../group.js';
import { nextTick, redefined } from '../schedules.js';
import { refusedSchedules } from '../stack_schedules.js';
import { NO_TAGS } from '../tags.js';
import { parseJson, toPayload } from './payload.js';
import { isoTime, jsonReply, quoted, Refusal } from './reply.js';
import { readBody, readQuery } from './request.js';
import { MAX_SCHEDULES, readSchedule, requireScheduleName } from './schedule_definition.js';

/** @import { Schedule } from '../schedules.js' */
/** @import { KeptSchedule, Store } from '../stores/store.js' */
/** @import { Call } from './router.js' */

/** The longest body. */
const MAX_SCHEDULE_BYTES = 64 * 1024;

/** How many of the next ticks are shown. */
const SHOWN_TICKS = 3;

/** How often a change is tried that another one, or a sweep, gets in the way of. */
const TRIES = 5;

/** @param {Call} call */
export async function listSchedules({ url, store, env }) {
  readQuery(url, []);
  const [schedules, refused] = await Promise.all([store.schedules(), refusedSchedules(store, env)]);
  return jsonReply({ schedules: schedules.map(view), refused });
}

/**
 * @param {Call} call
 * @param {string} name
 */
export async function showSchedule({ url, store }, name) {
  readQuery(url, []);
  return jsonReply(view(await find(store, name)));
}

/**
 * An edit makes no task at once: the schedule's next tick is after now, unless its timing stays as it was.
 *
 * @param {Call} call
 * @param {string} name
 */
export async function putSchedule(call, name) {
  readQuery(call.url, []);
  requireScheduleName(name);
  const given = parseJson(toPayload(await readBody(call.request, MAX_SCHEDULE_BYTES)), 'PUT /schedules/{name} takes it');
  const asked = await readSchedule(given, call);
  return jsonReply(view(await change(call.store, name, (before, count) => {
    if (!before && count >= MAX_SCHEDULES) {
      throw new Refusal('too_many_schedules', `expected at most ${MAX_SCHEDULES} schedules, got another one: delete one that is not needed`);
    }
    requireOfApi(name, before);
    return redefined(before, asked, Date.now());
  })));
}

/**
 * @param {Call} call
 * @param {string} name
 */
export async function deleteSchedule({ url, store }, name) {
  readQuery(url, []);
  const before = await find(store, name);
  await change(store, name, (found) => {
    if (!found) throw scheduleNotFound(name);
    requireOfApi(name, found);
    return null;
  });
  return jsonReply(view(before));
}

/**
 * @param {Call} call
 * @param {string} name
 */
export function pauseSchedule(call, name) {
  return setPaused(call, name, true);
}

/**
 * What would have been made meanwhile is not made up for.
 *
 * @param {Call} call
 * @param {string} name
 */
export function resumeSchedule(call, name) {
  return setPaused(call, name, false);
}

/**
 * @param {Call} call
 * @param {string} name
 * @param {boolean} paused
 */
async function setPaused({ url, store }, name, paused) {
  readQuery(url, []);
  return jsonReply(view(await change(store, name, (found) => {
    if (!found) throw scheduleNotFound(name);
    return found.paused === paused ? found : { ...found, paused, next_ms: paused ? null : nextTick(found, Date.now()) };
  })));
}

/**
 * Changes a schedule as it is at that moment; a sweep may move it on meanwhile.
 *
 * @param {Store} store
 * @param {string} name
 * @param {(before: Schedule | null, count: number) => Schedule | null} make null: it is to go
 * @returns {Promise<KeptSchedule>}
 * @throws {Refusal}
 */
async function change(store, name, make) {
  for (let time = 0; time < TRIES; time++) {
    const all = await store.schedules();
    const before = all.find((kept) => kept.name === name)?.schedule ?? null;
    const after = make(before === null ? null : JSON.parse(before), all.length);
    const schedule = after && JSON.stringify(after);
    if (schedule === before || await store.changeSchedule(name, before, schedule)) return { name, schedule: schedule ?? '' };
  }
  throw new Refusal('store_unavailable', 'the schedule is being changed by others at the same time; try again', { headers: { 'Retry-After': '1' } });
}

/**
 * @param {Store} store
 * @param {string} name
 * @returns {Promise<KeptSchedule>}
 * @throws {Refusal}
 */
async function find(store, name) {
  const kept = (await store.schedules()).find((each) => each.name === name);
  if (!kept) throw scheduleNotFound(name);
  return kept;
}

/**
 * @param {string} name
 * @param {Schedule | null} schedule
 * @throws {Refusal} it is the stack's
 */
function requireOfApi(name, schedule) {
  if (schedule?.declared === undefined) return;
  throw new Refusal('schedule_of_stack', `schedule ${quoted(name)} is declared by the stack: change it in the setting schedules and deploy; it can be paused and resumed here`);
}

/** @param {string} name */
function scheduleNotFound(name) {
  return new Refusal('schedule_not_found', `there is no schedule ${quoted(name)}: GET /schedules lists them`);
}

/**
 * What of it may be a secret is not shown: the payload, and of a callback all but its origin.
 *
 * @param {KeptSchedule} kept
 */
function view({ name, schedule: text }) {
  /** @type {Schedule} */
  const schedule = JSON.parse(text);
  const { declared, cron, timezone, every_seconds, overlap, missed, paused, next_ms, runs, task } = schedule;
  /** @type {(number | null)[]} */
  const ticks = next_ms === null ? [] : [next_ms];
  while (ticks.length > 0 && ticks.length < SHOWN_TICKS && ticks.at(-1)) ticks.push(nextTick(schedule, Number(ticks.at(-1))));
  return {
    name, owner: declared === undefined ? 'api' : 'stack', cron, timezone, everySeconds: every_seconds, overlap, missed, paused,
    handler: task.handler, delaySeconds: task.delay_seconds, ttlSeconds: task.ttl_seconds, maxRetries: task.max_retries,
    group: task.group ? groupKey(task.group) : null, tags: task.tags ?? NO_TAGS, priority: task.priority ?? 'normal',
    callbackUrl: task.callback && (URL.parse(task.callback.url)?.origin ?? ''),
    nextRuns: ticks.filter((tick) => tick !== null).map(isoTime),
    lastRuns: runs.toReversed().map(({ taskId, tick_ms }) => ({ taskId, scheduledAt: isoTime(tick_ms) })),
  };
}
