/** Decides who may work on a task. SQL stores decide in their statements, and use this only to say why a task was not claimed. */

import { ENDED, HELD_UNTIL_MS, MAX_CRASHES } from '../task.js';

/** @import { Status } from '../task.js' */
/** @import { ClaimAnswer, Delivery } from './store.js' */

/**
 * The fields that decide; times are Unix times in milliseconds.
 *
 * @typedef {object} Leased
 * @property {Status} status
 * @property {number} run
 * @property {number} attempts
 * @property {number} crashes
 * @property {number | null} max_retries
 * @property {number | null} due_at
 * @property {number | null} lease_expires_at
 * @property {string | null} holder
 * @property {number | null} delivery
 * @property {string | null} claim
 */

/** Clocks differ a little: a task that is due this soon counts as due. */
export const EARLY_MS = 50;

/**
 * @param {Pick<Leased, 'status' | 'lease_expires_at'>} task
 * @param {number} now_ms
 * @returns {boolean} whether it is unfinished and nobody works on it
 */
export function isOpen({ status, lease_expires_at }, now_ms) {
  return status === 'pending' || (status === 'processing' && (lease_expires_at ?? 0) <= now_ms);
}

/**
 * @param {Pick<Leased, 'status' | 'due_at'>} task
 * @returns {boolean} whether it must not be attempted until it is released
 */
export function isHeld({ status, due_at }) {
  return status === 'pending' && (due_at ?? 0) >= HELD_UNTIL_MS;
}

/**
 * @param {Leased} task a task in the status processing
 * @param {Pick<Delivery, 'holder' | 'delivery' | 'ended'>} delivery
 * @param {number} now_ms
 * @returns {boolean} whether the attempt that holds it is over without an outcome: its lease has expired, or its message or instance was delivered
 *   again, which happens only afterwards
 */
export function isAbandoned({ lease_expires_at, holder, delivery: delivered }, { holder: by, delivery, ended }, now_ms) {
  return (lease_expires_at ?? 0) <= now_ms || (holder === by && (delivered ?? 0) < delivery)
    || ended.some((each) => holder === each.holder && (delivered ?? Infinity) <= each.delivery);
}

/**
 * @param {Leased} task
 * @param {Delivery} delivery
 */
function isReleased({ holder, delivery: delivered }, { ended }) {
  return ended.some((each) => holder === each.holder && delivered === each.released);
}

/**
 * @param {Leased} task
 * @param {Delivery} delivery
 * @param {{now_ms: number, max_retries: number, isAlone: boolean}} settings the stack's retries, and whether the task would run alone
 * @returns {'take' | 'take over' | 'behind' | Exclude<ClaimAnswer, {kind: 'claimed' | 'absent' | 'unreachable' | 'later'}>} the verdict; `take over`
 *   is a crash; `behind`: the delivery is ahead of the task
 */
export function verdictOn(task, delivery, { now_ms, max_retries, isAlone }) {
  if (task.run > delivery.run) return { kind: 'over', hasFailed: false };
  if (task.run < delivery.run) return verdictOnRedrive(task, delivery);
  if (ENDED.has(task.status)) return { kind: 'over', hasFailed: task.status === 'failed' };
  if (isHeld(task)) return { kind: 'unreleased' };
  if (task.status === 'pending') {
    if (task.attempts > (task.max_retries ?? max_retries)) return { kind: 'spent', attempts: task.attempts };
    return (task.due_at ?? 0) <= now_ms + EARLY_MS ? 'take' : { kind: 'wait', until_ms: task.due_at ?? 0 };
  }
  if (task.claim === delivery.claim || isReleased(task, delivery)) return 'take';
  if (!isAbandoned(task, delivery, now_ms)) return { kind: 'held', isOwn: task.holder === delivery.holder };
  if (task.crashes + 1 >= MAX_CRASHES) return { kind: 'crashed', attempts: task.attempts };
  return isAlone ? 'take over' : { kind: 'suspect', crashes: task.crashes };
}

/** How long the message of a redrive waits while its task's handler is paused. The sweeper does not know of it, so it must be delivered again. */
const PAUSED_REDRIVE_MS = 10 * 60_000;

/**
 * @param {Pick<Delivery, 'run'>} delivery a delivery that could claim the task if its handler were not paused
 * @param {Pick<Leased, 'run'>} task
 * @param {number} now_ms
 * @returns {ClaimAnswer}
 */
export function whilePaused({ run }, task, now_ms) {
  return task.run < run ? { kind: 'wait', until_ms: now_ms + PAUSED_REDRIVE_MS } : { kind: 'unreleased' };
}

/**
 * @param {Leased} task a task whose run is earlier than the delivery's
 * @param {Delivery} delivery
 */
function verdictOnRedrive({ run, status }, delivery) {
  if (!delivery.redrive || run + 1 < delivery.run) return 'behind';
  if (status === 'failed') return 'take';
  return ENDED.has(status) ? { kind: /** @type {const} */ ('over'), hasFailed: false } : 'behind';
}
