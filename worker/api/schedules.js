/** `/schedules`: manages schedules, which submit tasks at set times. Also reads their definitions from a `PUT` or from the stack's settings. */

import { groupKey } from '../group.js';
import { withPriority } from '../priority.js';
import { MAX_MISSED_TICKS, nextTick, redefined } from '../schedules.js';
import { refusedSchedules } from '../stack_schedules.js';
import { NO_TAGS } from '../tags.js';
import { faultOfTiming } from '../timing.js';
import { OWN_FIELDS, readItem } from './batches.js';
import { invalidParameter, isoTime, jsonReply, quoted, Refusal } from './reply.js';
import { isObject, parseJson, readBody, readQuery, requireKnown, toPayload, wholeNumber } from './request.js';
import { newTask } from './submission.js';

/** @import { Definition, Schedule, TaskOfTick, Timing } from '../schedules.js' */
/** @import { KeptSchedule, Store } from '../stores/store.js' */
/** @import { NewTask } from '../task.js' */
/** @import { Call } from './router.js' */

/** The longest request body. */
const MAX_SCHEDULE_BYTES = 64 * 1024;

/** How many future ticks are shown. */
const SHOWN_TICKS = 3;

/** How often a change is tried when a concurrent change, or a sweep, gets in its way. */
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
 * An edit submits no task at once: the next tick is in the future, unless the timing is unchanged.
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
 * Ticks missed during the pause are not made up for.
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
 * Changes a schedule by compare-and-set; a sweep may move it on at the same time.
 *
 * @param {Store} store
 * @param {string} name
 * @param {(before: Schedule | null, count: number) => Schedule | null} make makes the new schedule; null deletes it
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
 * @throws {Refusal} the schedule belongs to the stack
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
 * Hides what may be a secret: the payload, and all of the callback URL except its origin.
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

// The definition of a schedule, from a `PUT` or from the stack's settings.

export const SCHEDULE_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
export const OVERLAPS = /** @type {const} */ (['skip', 'allow']);
export const MISSED = /** @type {const} */ (['skip', 'last', 'all']);

/** The sweeper runs once a minute, so nothing ticks faster; the longest interval is a year. */
export const EVERY_SECONDS = /** @type {const} */ ([60, 31_536_000]);

/** The most schedules; a sweep reads all of them together. */
export const MAX_SCHEDULES = 100;

const TIMING_FIELDS = ['cron', 'timezone', 'everySeconds', 'overlap', 'missed'];

/** @param {string} name */
export function requireScheduleName(name) {
  if (SCHEDULE_NAME.test(name)) return;
  throw invalidParameter('the name of a schedule', 'a lower-case letter, then up to 63 of those, digits, - or _', name);
}

/**
 * @param {unknown} given JSON
 * @param {Pick<Call, 'handlers' | 'env' | 'Validator' | 'store'>} call
 * @returns {Promise<Definition>}
 * @throws {Refusal}
 */
export async function readSchedule(given, call) {
  if (!isObject(given)) throw invalidParameter('the body', 'an object with a schedule', given);
  for (const name of Object.keys(given)) requireKnown(name, [...TIMING_FIELDS, ...OWN_FIELDS], 'field');
  const timing = readTiming(given);
  const overlap = oneOf('overlap', given['overlap'], OVERLAPS, 'skip');
  const missed = oneOf('missed', given['missed'], MISSED, 'last');
  if (missed === 'all' && overlap === 'skip') {
    throw new Refusal('invalid_parameter', 'expected overlap allow with missed all, got skip: of several ticks at once it would make one task only', {
      extras: { parameter: 'overlap' },
    });
  }
  const item = Object.fromEntries(Object.entries(given).filter(([name]) => OWN_FIELDS.includes(name)));
  return { ...timing, overlap, missed, task: taskOfTick(await newTask(readItem(item, call.handlers), call)) };
}

/**
 * @param {Record<string, unknown>} given
 * @returns {Timing}
 * @throws {Refusal}
 */
function readTiming({ cron, timezone = 'UTC', everySeconds }) {
  if ((cron === undefined) === (everySeconds === undefined)) {
    const got = cron === undefined ? 'neither' : 'both';
    throw new Refusal('invalid_parameter', `expected either cron, such as "0 9 * * 1-5", or everySeconds, got ${got}`, { extras: { parameter: 'cron' } });
  }
  if (everySeconds !== undefined) {
    if (timezone !== 'UTC') throw invalidParameter('timezone', 'left out with everySeconds, whose ticks are the same in each', timezone);
    return { cron: null, timezone, every_seconds: wholeNumber('everySeconds', everySeconds, EVERY_SECONDS, null) };
  }
  const fault = faultOfTiming(cron, timezone, (expression, zone) => nextTick({ cron: expression, timezone: zone, every_seconds: null }, Date.now()));
  if (fault) throw invalidParameter(fault.field, fault.expected, fault.field === 'cron' ? cron : timezone);
  return { cron: String(cron), timezone: String(timezone), every_seconds: null };
}

/**
 * @template {string} Word
 * @param {string} name
 * @param {unknown} value
 * @param {readonly Word[]} words
 * @param {Word} otherwise
 * @returns {Word}
 * @throws {Refusal}
 */
function oneOf(name, value, words, otherwise) {
  if (value === undefined) return otherwise;
  const word = words.find((each) => each === value);
  if (word === undefined) throw invalidParameter(name, `one of ${words.join(', ')}`, value);
  return word;
}

/**
 * @param {NewTask} task
 * @returns {TaskOfTick}
 */
function taskOfTick({ handler, parameters, payload, delay_seconds, ttl_seconds, max_retries, callback = null, group = null, tags = null, priority }) {
  const isText = typeof payload === 'string';
  return {
    handler, parameters, delay_seconds, ttl_seconds, max_retries, callback, ...(group && { group: group.name }), ...(tags && { tags }), ...withPriority(priority),
    payload: isText ? payload : payload.toBase64(), is_base64: !isText,
  };
}

/** For the description of the API. */
export const MISSED_IN_WORDS = 'What is done about ticks that were missed by more than two minutes: nothing (skip), one task in their place '
  + `unless a tick is due in time (last), or a task for each of the latest ${MAX_MISSED_TICKS} (all, with overlap allow).`;
