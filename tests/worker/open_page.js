/** A page of the dashboard that is open, as it asks again and again. */

import { Allowance } from '../../worker/api/allowance.js';

/** How often it asks at most; `POLL_MS` in `worker/page/dashboard.js`, `FRESH_MS` in `worker/api/stats.js`. */
const POLL_MS = 5_000;

/**
 * @param {number} hours for how long it is open
 * @param {number} cost of one answer, as the store tells
 * @returns {number} how often it has an answer made
 */
export function answersOfOpenPage(hours, cost) {
  const allowance = new Allowance();
  const end_ms = hours * 3_600_000;
  let answers = 0;
  for (let now_ms = 0; now_ms < end_ms; answers++) now_ms += Math.max(POLL_MS, allowance.spend(cost, now_ms));
  return answers;
}
