/**
 * Checks cron expressions and time zones with croner, the library that the Worker uses. Reads them as JSON from standard input, and writes those that
 * croner refuses, with the reasons, as JSON to standard output.
 */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** @typedef {{cron?: string, timezone?: string}} Timing */

/** @typedef {{index: number, field: 'cron' | 'timezone', fault: string}} Fault */

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
/** @type {{toolchain: string, workerFolder: string, schedules: Timing[]}} */
const { toolchain, workerFolder, schedules } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
/** @type {typeof import('croner')} */
const { Cron } = createRequire(join(toolchain, 'package.json'))('croner');
/** @type {typeof import('../../worker/timing.js')} */
const { faultOfTiming } = await import(pathToFileURL(join(workerFolder, 'timing.js')).href);
process.stdout.write(JSON.stringify({ faults: schedules.flatMap(faultOf) }));

/**
 * @param {Timing} timing
 * @param {number} index
 * @returns {Fault[]}
 */
function faultOf({ cron, timezone = 'UTC' }, index) {
  const fault = faultOfTiming(cron, timezone, (expression, zone) => new Cron(expression, { timezone: zone, mode: '5-part', paused: true }).nextRun());
  return fault ? [{ index, field: fault.field, fault: `expected ${fault.expected}, got '${fault.field === 'cron' ? cron : timezone}'` }] : [];
}
