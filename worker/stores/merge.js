/** Joins what several stores say, for those that are made of others. */

/** @import { Moments, Page, SweepCounts } from './store.js' */

/**
 * @param {Page[]} pages each newest first
 * @param {number} limit
 * @returns {Page}
 */
export function mergePages(pages, limit) {
  // A store has looked at its tasks down to its cursor, so below the newest of the cursors something may be missing.
  const cut = pages.reduce((newest, { cursor }) => (cursor && cursor > newest ? cursor : newest), '');
  const tasks = pages.flatMap((page) => page.tasks)
    .filter(({ taskId }) => taskId >= cut)
    .sort((one, other) => (one.taskId < other.taskId ? 1 : -1));
  if (tasks.length > limit) return { tasks: tasks.slice(0, limit), cursor: tasks[limit - 1]?.taskId ?? null };
  return { tasks, cursor: cut || null };
}

/**
 * @param {{tasks: Moments[], isAll: boolean}[]} parts each newest first
 * @returns {{tasks: Moments[], isAll: boolean}} down to where one of them ends that does not have all
 */
export function mergeRecent(parts) {
  const cut_ms = Math.max(-Infinity, ...parts.map(({ tasks, isAll }) => (isAll ? -Infinity : tasks.at(-1)?.created_ms ?? -Infinity)));
  const tasks = parts.flatMap((part) => part.tasks).filter(({ created_ms }) => created_ms >= cut_ms);
  return { tasks: tasks.sort((one, other) => other.created_ms - one.created_ms), isAll: parts.every(({ isAll }) => isAll) };
}

/**
 * @param {SweepCounts[]} parts
 * @returns {SweepCounts}
 */
export function sumCounts(parts) {
  const sum = { expired: 0, resent: 0, returned: 0, failed: 0 };
  for (const { expired, resent, returned, failed } of parts) {
    sum.expired += expired;
    sum.resent += resent;
    sum.returned += returned;
    sum.failed += failed;
  }
  return sum;
}

/**
 * @template Item
 * @param {Set<Item>[]} sets
 */
export function union(sets) {
  return new Set(sets.flatMap((set) => [...set]));
}
