/**
 * Cron expressions as Cloudflare parses them (its own parser: github.com/cloudflare/saffron): five fields, times in UTC, days of the week from 1 =
 * Sunday to 7 = Saturday, ranges that may wrap around (`FRI-SUN`), and
 *
 * - day of the month: `L` last day, `L-3` three days before it, `15W` the weekday nearest to the 15th, `LW`, `L-3W`
 * - day of the week: `L` Saturday, `6L` the last Friday of the month, `6#2` the second Friday
 *
 * If both day fields are restricted, a day that matches one of them is enough.
 */

import { PlatformError } from './errors.js';

/**
 * @typedef {(date: Date) => boolean} Test
 * @typedef {{minute: Test, hour: Test, month: Test, dayOfMonth: Test | null, dayOfWeek: Test | null}} Cron
 *   a day field that is null says nothing (`*`)
 * @typedef {{min: number, max: number, names?: string[]}} Field
 */

/** @type {Field} */
const MINUTE = { min: 0, max: 59 };
/** @type {Field} */
const HOUR = { min: 0, max: 23 };
/** @type {Field} */
const DAY_OF_MONTH = { min: 1, max: 31 };
/** @type {Field} */
const MONTH = {
  min: 1,
  max: 12,
  names: ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'],
};
/** @type {Field} */
const DAY_OF_WEEK = { min: 1, max: 7, names: ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] };
const MAX_LAST_OFFSET = 30;
const MAX_NTH = 5;

/**
 * Throws a `bad_request` error for an expression that Cloudflare refuses.
 *
 * @param {string} expression
 * @returns {Cron}
 */
export function parseCron(expression) {
  const fields = expression.split(/[ \t]+/);
  const [minute, hour, dayOfMonth, month, dayOfWeek] = fields;
  if (fields.length !== 5 || !minute || !hour || !dayOfMonth || !month || !dayOfWeek) throw invalid(expression);
  try {
    const minutes = values(minute, MINUTE);
    const hours = values(hour, HOUR);
    const months = values(month, MONTH);
    return {
      minute: (date) => minutes.has(date.getUTCMinutes()),
      hour: (date) => hours.has(date.getUTCHours()),
      month: (date) => months.has(date.getUTCMonth() + 1),
      dayOfMonth: dayOfMonth === '*' ? null : dayOfMonthTest(dayOfMonth),
      dayOfWeek: dayOfWeek === '*' ? null : dayOfWeekTest(dayOfWeek),
    };
  } catch {
    throw invalid(expression);
  }
}

/**
 * Whether an expression matches the minute of a time.
 *
 * @param {Cron} cron
 * @param {Date} date
 */
export function cronMatches({ minute, hour, month, dayOfMonth, dayOfWeek }, date) {
  if (!minute(date) || !hour(date) || !month(date)) return false;
  if (dayOfMonth === null) return dayOfWeek === null || dayOfWeek(date);
  return dayOfMonth(date) || (dayOfWeek !== null && dayOfWeek(date));
}

/** @param {string} expression */
function invalid(expression) {
  return new PlatformError('bad_request', `"${expression}" is not a cron expression that Cloudflare takes`);
}

/**
 * Returns the set of values of a list of values, ranges and steps.
 *
 * @param {string} text
 * @param {Field} field
 * @returns {Set<number>}
 */
function values(text, field) {
  return new Set(text.split(',').flatMap((part) => range(part, field)));
}

/**
 * @param {string} part
 * @param {Field} field
 * @returns {number[]}
 */
function range(part, field) {
  const { min, max } = field;
  const [, from = '', to, step] = /^([^-/]+)(?:-([^-/]+))?(?:\/(\d+))?$/.exec(part) ?? [];
  const start = from === '*' ? min : value(from, field);
  let end = start;
  if (to !== undefined) end = value(to, field);
  else if (step !== undefined || from === '*') end = max;
  if (from === '*' && to !== undefined) throw new RangeError(part);

  const every = step === undefined ? 1 : Number(step);
  if (every < 1 || every > max) throw new RangeError(part);
  const all = [];
  const length = end >= start ? end - start : end - start + (max - min + 1);
  for (let offset = 0; offset <= length; offset += every) all.push(min + ((start - min + offset) % (max - min + 1)));
  return all;
}

/**
 * @param {string} text
 * @param {Field} field
 */
function value(text, { min, max, names = [] }) {
  const named = names.indexOf(text.toUpperCase());
  const number = named >= 0 ? named + min : whole(text);
  if (number < min || number > max) throw new RangeError(text);
  return number;
}

/** @param {string} text */
function whole(text) {
  if (!/^\d+$/.test(text)) throw new RangeError(text);
  return Number(text);
}

/**
 * @param {string} text
 * @returns {Test}
 */
function dayOfMonthTest(text) {
  const last = /^L(?:-(\d+))?(W)?$/.exec(text);
  if (last) {
    const [, offset = '0', nearestWeekday] = last;
    if (Number(offset) > MAX_LAST_OFFSET || offset === '00') throw new RangeError(text);
    /** @param {Date} date */
    const day = (date) => daysInMonth(date) - Number(offset);
    return nearestWeekday
      ? (date) => date.getUTCDate() === nearestWeekdayTo(day(date), date)
      : (date) => date.getUTCDate() === day(date);
  }
  const nearest = /^(\d+)W$/.exec(text);
  if (nearest) {
    const day = value(nearest[1] ?? '', DAY_OF_MONTH);
    return (date) => date.getUTCDate() === nearestWeekdayTo(day, date);
  }
  const days = values(text, DAY_OF_MONTH);
  return (date) => days.has(date.getUTCDate());
}

/**
 * @param {string} text
 * @returns {Test}
 */
function dayOfWeekTest(text) {
  if (text === 'L') return (date) => dayOfWeek(date) === DAY_OF_WEEK.max;
  const [, day = '', last, nth] = /^(\w+?)(?:(L)|#(\d+))$/.exec(text) ?? [];
  if (last) {
    const wanted = value(day, DAY_OF_WEEK);
    return (date) => dayOfWeek(date) === wanted && date.getUTCDate() + 7 > daysInMonth(date);
  }
  if (nth) {
    const wanted = value(day, DAY_OF_WEEK);
    if (Number(nth) < 1 || Number(nth) > MAX_NTH) throw new RangeError(text);
    return (date) => dayOfWeek(date) === wanted && Math.ceil(date.getUTCDate() / 7) === Number(nth);
  }
  const days = values(text, DAY_OF_WEEK);
  return (date) => days.has(dayOfWeek(date));
}

/** @param {Date} date */
function dayOfWeek(date) {
  return date.getUTCDay() + 1;
}

/** @param {Date} date */
function daysInMonth(date) {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}

/**
 * Returns the weekday nearest to a day of a date's month, within the month; NaN if the month has no such day.
 *
 * @param {number} day
 * @param {Date} date
 */
function nearestWeekdayTo(day, date) {
  const days = daysInMonth(date);
  if (day < 1 || day > days) return NaN;
  const weekday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), day)).getUTCDay();
  if (weekday === 6) return day > 1 ? day - 1 : day + 2;
  if (weekday === 0) return day < days ? day + 1 : day - 2;
  return day;
}
