/**
 * What is wrong with a cron expression or a time zone. The library that reads them is given: the Worker has its own, and so has the check
 * before a deployment.
 */

/** Other numbers of fields the library reads as well, with seconds or years. */
const FIVE_FIELDS = /^\S+( +\S+){4}$/;

/** @typedef {{field: 'cron' | 'timezone', expected: string}} TimingFault */

/**
 * @param {unknown} cron undefined: none
 * @param {unknown} timezone
 * @param {(cron: string, timezone: string) => unknown} next the next tick, null when there is none any more; throws when it is no cron
 *   expression
 * @returns {TimingFault | null}
 */
export function faultOfTiming(cron, timezone, next) {
  if (typeof timezone !== 'string' || !isTimezone(timezone)) return { field: 'timezone', expected: 'an IANA time zone such as Europe/Berlin' };
  if (cron === undefined) return null;
  try {
    if (typeof cron === 'string' && FIVE_FIELDS.test(cron)) {
      return next(cron, timezone) === null ? { field: 'cron', expected: 'one that ticks at some time' } : null;
    }
  } catch {
    // It is none.
  }
  return { field: 'cron', expected: 'five fields (minute hour day month weekday) such as "0 9 * * 1-5"' };
}

/** @param {string} timezone */
function isTimezone(timezone) {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
