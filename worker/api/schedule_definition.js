/** What a schedule is to be, as a `PUT` or the stack's settings say it. */

import { withPriority } from '../priority.js';
import { MAX_MISSED_TICKS, nextTick } from '../schedules.js';
import { faultOfTiming } from '../timing.js';
import { OWN_FIELDS, readItem } from './batch.js';
import { invalidParameter, Refusal } from './reply.js';
import { isObject, requireKnown, wholeNumber } from './request.js';
import { newTask } from './submission.js';

/** @import { Definition, TaskOfTick, Timing } from '../schedules.js' */
/** @import { NewTask } from '../task.js' */
/** @import { Call } from './router.js' */

export const SCHEDULE_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
export const OVERLAPS = /** @type {const} */ (['skip', 'allow']);
export const MISSED = /** @type {const} */ (['skip', 'last', 'all']);

/** The sweeper comes once a minute, so nothing ticks faster; the longest interval is a year. */
export const EVERY_SECONDS = /** @type {const} */ ([60, 31_536_000]);

/** Most schedules, which a sweep reads together. */
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

/** In the description of the API. */
export const MISSED_IN_WORDS = 'What is done about ticks that were missed by more than two minutes: nothing (skip), one task in their place '
  + `unless a tick is due in time (last), or a task for each of the latest ${MAX_MISSED_TICKS} (all, with overlap allow).`;
