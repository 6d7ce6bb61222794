/**
 * Groups: tasks with the same key share limits on how many of them run at once, and on how many start in a period. A handler that has limits
 * has groups of its own; the groups of the other handlers are the stack's. What is over a limit waits in the group's line, see
 * `stores/group_table.js`.
 */

import { sha256Hex } from './digest.js';

/** @import { Handlers } from './handler.js' */

/**
 * Limits as a handler's module has them.
 *
 * @typedef {{concurrency?: number, rate?: {limit: number, seconds: number}}} Limits
 */

/** A group with its limits; null: no such limit. @typedef {{name: string, concurrency: number | null, rate_limit: number | null, rate_seconds: number | null}} Group */

/** The stack's limits, as texts. @typedef {{GROUP_CONCURRENCY?: string, GROUP_RATE_LIMIT?: string, GROUP_RATE_SECONDS?: string}} GroupSettings */

/** What a key may be: visible ASCII, as an idempotency key is. */
export const GROUP_KEY = /^[!-~]{1,128}$/;
export const GROUP_KEY_IN_WORDS = '1 to 128 visible ASCII characters';

/** The group of a handler with limits whose tasks name none: all of them are in it. */
export const WHOLE_HANDLER = '*';

/** The most of each limit: at every end or start of a task as many rows of an index are read. A rate's period is as long as a message can
 * be delayed (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_CONCURRENCY = 1_000;
export const MAX_RATE_LIMIT = 1_000;
export const MAX_RATE_SECONDS = 86_400;

/** What no group may have is no limit. */
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
 * @param {string} name of a group
 * @returns {string} the key that the caller gave; the name of a handler has no slash
 */
export function groupKey(name) {
  return name.slice(name.indexOf('/') + 1);
}

/**
 * @param {string} name
 * @param {Handlers} handlers
 * @param {GroupSettings} env
 * @returns {Group} with the limits of the present deployment; without any where it has none any more
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
 * @param {string} name of a group
 * @returns {Promise<string>} how the ids of its tasks end: they are in one shard
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
 * @param {unknown} limits of a handler's module
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
