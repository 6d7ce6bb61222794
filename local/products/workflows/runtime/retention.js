/** The retention of ended instances. */

import { refusal } from './limits.js';

/**
 * @typedef {number | string} Duration milliseconds, or such as "7 days"
 * @typedef {{successRetention?: Duration | null, errorRetention?: Duration | null}} Retention
 */

const DAY_MS = 86_400_000;
/** The default of the paid plan: https://developers.cloudflare.com/workflows/reference/limits/ */
export const DEFAULT_RETENTION_MS = 30 * DAY_MS;
const UNITS = /** @type {Record<string, number>} */ ({
  second: 1000, minute: 60_000, hour: 3_600_000, day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS, year: 365 * DAY_MS,
});
const DURATION = /^(\d+(?:\.\d+)?) ?(second|minute|hour|day|week|month|year)s?$/;

/** @param {Retention | undefined} retention */
export function checkRetention(retention) {
  inMilliseconds(retention ?? {});
}

/** @param {Retention} retention */
export function inMilliseconds({ successRetention, errorRetention }) {
  return { success_ms: milliseconds(successRetention), error_ms: milliseconds(errorRetention) };
}

/**
 * @param {Duration | null | undefined} duration
 * @returns {number | null}
 */
function milliseconds(duration) {
  if (duration === null || duration === undefined) return null;
  if (typeof duration === 'number' && Number.isInteger(duration) && duration > 0) return duration;
  const [, amount, unit = ''] = DURATION.exec(String(duration)) ?? [];
  if (!amount || Number(amount) === 0) {
    throw refusal('body', `A retention is a number of milliseconds or like "7 days", received ${JSON.stringify(duration)}`);
  }
  return Math.round(Number(amount) * (UNITS[unit] ?? 0));
}
