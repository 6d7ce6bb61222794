/**
 * Checks a cron expression and a time zone. The library that parses them is passed in: the Worker has its own copy, and so does the check before a
 * deployment.
 */

/** The library also accepts other numbers of fields, with seconds or years; this allows only five. */
const FIVE_FIELDS = /^\S+( +\S+){4}$/;

/** @typedef {{field: 'cron' | 'timezone', expected: string}} TimingFault */

/**
 * @param {unknown} cron undefined: none
 * @param {unknown} timezone
 * @param {(cron: string, timezone: string) => unknown} next returns the next tick, null if there is none; throws if the text is not a cron expression
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
    // not a cron expression
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
