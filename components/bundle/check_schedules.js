/**
 * Tells which cron expressions and time zones the Worker would not take, for it takes those that croner takes: reads them as JSON from
 * standard input, and writes what is wrong as JSON.
 */

import { createRequire } from 'node:module';
import { join } from 'node:path';

/** @typedef {{cron?: string, timezone?: string}} Timing */

/** @typedef {{index: number, field: 'cron' | 'timezone', fault: string}} Fault */

const FIVE_FIELDS = /^\S+( +\S+){4}$/;

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
/** @type {{toolchain: string, schedules: Timing[]}} */
const { toolchain, schedules } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
/** @type {typeof import('croner')} */
const { Cron } = createRequire(join(toolchain, 'package.json'))('croner');
process.stdout.write(JSON.stringify({ faults: schedules.flatMap(faultOf) }));

/**
 * @param {Timing} timing
 * @param {number} index
 * @returns {Fault[]}
 */
function faultOf({ cron, timezone = 'UTC' }, index) {
  if (!isTimezone(timezone)) return [{ index, field: 'timezone', fault: `expected an IANA time zone such as Europe/Berlin, got '${timezone}'` }];
  if (cron === undefined) return [];
  const next = FIVE_FIELDS.test(cron) ? nextOf(cron, timezone) : undefined;
  if (next) return [];
  const expected = next === null ? 'one that ticks at some time' : 'five fields (minute hour day month weekday) such as "0 9 * * 1-5"';
  return [{ index, field: 'cron', fault: `expected ${expected}, got '${cron}'` }];
}

/**
 * @param {string} cron
 * @param {string} timezone
 * @returns {Date | null | undefined} undefined when it is no cron expression
 */
function nextOf(cron, timezone) {
  try {
    return new Cron(cron, { timezone, mode: '5-part', paused: true }).nextRun();
  } catch {
    return undefined;
  }
}

/** @param {string} timezone */
function isTimezone(timezone) {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
