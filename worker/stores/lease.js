/** Who may work on a task, for the store that decides it in code; the others decide it in SQL. */

/** @import { Status } from '../task.js' */
/** @import { Delivery } from './store.js' */

/** @typedef {{status: Status, run: number, lease_expires_at_ms: number | null}} Leased */

/**
 * @param {Leased} task
 * @param {number} now_ms
 * @returns {boolean} whether it is unfinished and nobody works on it
 */
export function isOpen({ status, lease_expires_at_ms }, now_ms) {
  return status === 'pending' || (status === 'processing' && (lease_expires_at_ms ?? 0) <= now_ms);
}

/**
 * @param {Leased} task
 * @param {Delivery} delivery that asks for it; one that is not the first comes only after the earlier attempt has ended
 * @param {number} now_ms
 */
export function mayClaim(task, delivery, now_ms) {
  if (task.run !== delivery.run) return delivery.redrive && task.status === 'failed' && task.run + 1 === delivery.run;
  return isOpen(task, now_ms) || (task.status === 'processing' && delivery.attempts > 1);
}
