/** Who may work on a task, for the stores that decide it in code; D1 decides it in SQL. */

/** @import { Status } from '../task.js' */

/** @typedef {{status: Status, lease_expires_at_ms: number | null}} Leased */

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
 * @param {number} deliveryAttempts of the delivery that asks for it; one that is not the first comes only after the
 *   earlier attempt has ended
 * @param {number} now_ms
 */
export function mayClaim(task, deliveryAttempts, now_ms) {
  return isOpen(task, now_ms) || (task.status === 'processing' && deliveryAttempts > 1);
}
