/**
 * Groups: tasks with the same key share limits on how many of them run at the same time, and on how many start in a period. A handler with limits has
 * groups of its own; tasks of all other handlers share the stack's groups. Tasks beyond a limit wait in the group's line, see
 * `stores/group_table.js`.
 */

import { sha256Hex } from './digest.js';

/** @import { Handlers } from './handler.js' */

/**
 * The limits of a handler's module.
 *
 * @typedef {{concurrency?: number, rate?: {limit: number, seconds: number}}} Limits
 */

/** A group with its limits; null: no such limit.
 * @typedef {{name: string, concurrency: number | null, rate_limit: number | null, rate_seconds: number | null}} Group */

/** The stack's limits, as texts. @typedef {{GROUP_CONCURRENCY?: string, GROUP_RATE_LIMIT?: string, GROUP_RATE_SECONDS?: string}} GroupSettings */

/** The pattern of a key: visible ASCII, like an idempotency key. */
export const GROUP_KEY = /^[!-~]{1,128}$/;
export const GROUP_KEY_IN_WORDS = '1 to 128 visible ASCII characters';

/** The key of a handler with limits whose tasks name no group: all of them share it. */
export const WHOLE_HANDLER = '*';

/** The maximum of each limit: every end or start of a task reads that many rows of an index. A rate's period is at most as long as a message's delay
 * (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_CONCURRENCY = 1_000;
export const MAX_RATE_LIMIT = 1_000;
export const MAX_RATE_SECONDS = 86_400;

/** The limits of no group: none. */
const NO_LIMITS = { concurrency: null, rate_limit: null, rate_seconds: null };

/**
 * @param {string} key
 * @param {string} handler
 * @param {Handlers} handlers
 */
export function groupName(key, handler, handlers) {
  return `${limitsOfHandler(handler, handlers) ? handler : ''}/${key}`;
}

/**
 * @param {string} name the name of a group
 * @returns {string} the caller's key; a handler's name has no slash
 */
export function groupKey(name) {
  return name.slice(name.indexOf('/') + 1);
}

/**
 * @param {string} name
 * @param {Handlers} handlers
 * @param {GroupSettings} env
 * @returns {Group} the group with the limits of the present deployment; without limits if the deployment has none any more
 */
export function groupNamed(name, handlers, env) {
  const handler = name.slice(0, name.indexOf('/'));
  const limits = handler === '' ? limitsOfStack(env) : limitsOfHandler(handler, handlers);
  return { name, ...NO_LIMITS, ...limits };
}

/** @param {Group} group */
export function hasLimits({ concurrency, rate_limit }) {
  return concurrency !== null || rate_limit !== null;
}

/**
 * @param {string} name the name of a group
 * @returns {Promise<string>} the last digits of the ids of its tasks, which puts them into one shard
 */
export async function endingOf(name) {
  return (await sha256Hex(name)).slice(0, 2);
}

/**
 * @param {string} handler
 * @param {Handlers} handlers
 * @returns {Omit<Group, 'name'> | null}
 */
function limitsOfHandler(handler, handlers) {
  const limits = Object.hasOwn(handlers, handler) ? handlers[handler]?.limits : undefined;
  return limits ? { concurrency: limits.concurrency ?? null, rate_limit: limits.rate?.limit ?? null, rate_seconds: limits.rate?.seconds ?? null } : null;
}

/**
 * @param {GroupSettings} env
 * @returns {Omit<Group, 'name'>}
 */
function limitsOfStack({ GROUP_CONCURRENCY, GROUP_RATE_LIMIT, GROUP_RATE_SECONDS }) {
  const number = (/** @type {string | undefined} */ text) => (text ? Number(text) : null);
  return { concurrency: number(GROUP_CONCURRENCY), rate_limit: number(GROUP_RATE_LIMIT), rate_seconds: number(GROUP_RATE_SECONDS) };
}

/**
 * @param {unknown} limits the limits of a handler's module
 * @returns {string | null} what is wrong with them
 */
export function faultOfLimits(limits) {
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits)) return 'expected limits to be {concurrency, rate: {limit, seconds}}';
  const { concurrency, rate, ...others } = /** @type {Record<string, any>} */ (limits);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return `expected limits to be {concurrency, rate: {limit, seconds}}, got ${unknown} too`;
  if (concurrency === undefined && rate === undefined) return 'expected limits to have concurrency, rate or both, got neither';
  if (concurrency !== undefined && !isWhole(concurrency, MAX_CONCURRENCY)) return `expected limits.concurrency to be a whole number from 1 to ${MAX_CONCURRENCY}, got ${String(concurrency)}`;
  if (rate === undefined) return null;
  if (!isWhole(rate?.limit, MAX_RATE_LIMIT)) return `expected limits.rate.limit to be a whole number from 1 to ${MAX_RATE_LIMIT}, got ${String(rate?.limit)}`;
  if (!isWhole(rate?.seconds, MAX_RATE_SECONDS)) return `expected limits.rate.seconds to be a whole number from 1 to ${MAX_RATE_SECONDS}, got ${String(rate?.seconds)}`;
  return null;
}

/**
 * @param {unknown} value
 * @param {number} largest
 */
function isWhole(value, largest) {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= largest;
}
