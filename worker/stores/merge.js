/** Merges the answers of several stores, for stores that consist of others. */

import { mergeFollowUps } from '../follow_up.js';

/** @import { Status } from '../task.js' */
/** @import { ClaimAnswer, Delivery, Page, Settled, Standing, Store } from './store.js' */

/**
 * @param {Page[]} pages the pages, each newest first
 * @param {number} limit
 * @returns {Page}
 */
export function mergePages(pages, limit) {
  // Each store has searched its tasks down to its cursor, so tasks may be missing below the newest of the cursors.
  const cut = pages.reduce((newest, { cursor }) => (cursor && cursor > newest ? cursor : newest), '');
  const tasks = pages.flatMap((page) => page.tasks)
    .filter(({ taskId }) => taskId >= cut)
    .sort((one, other) => (one.taskId < other.taskId ? 1 : -1));
  if (tasks.length > limit) return { tasks: tasks.slice(0, limit), cursor: tasks[limit - 1]?.taskId ?? null };
  return { tasks, cursor: cut || null };
}

/**
 * Calls several parts of a store, and waits for all of them before it throws the error of one.
 *
 * @template Part, Answer
 * @param {Part[]} parts
 * @param {(part: Part) => Promise<Answer>} ask
 * @returns {Promise<Answer[]>}
 * @throws  the first error
 */
export async function askAll(parts, ask) {
  const answers = await Promise.allSettled(parts.map(ask));
  return answers.map((answer) => {
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value;
  });
}

/**
 * Yields the pages of several parts of a store, one part after the other, even if another part fails.
 *
 * @template Page
 * @param {AsyncGenerator<Page>[]} parts
 * @returns {AsyncGenerator<Page>}
 * @throws  the first error, at the end
 */
export async function* pagesOf(parts) {
  /** @type {unknown[]} */
  const errors = [];
  for (const pages of parts) {
    try {
      yield* pages;
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/**
 * Claims tasks in a part of a store. If the part does not answer, it returns `unreachable` for each task.
 *
 * @param {Pick<Store, 'claim'>} part
 * @param {Delivery[]} deliveries
 * @param {boolean} isAlone
 * @returns {Promise<Map<string, ClaimAnswer>>}
 */
export async function claimFrom(part, deliveries, isAlone) {
  try {
    return await part.claim(deliveries, isAlone);
  } catch (thrown) {
    const error = /** @type {Error} */ (thrown);
    return new Map(deliveries.map(({ taskId }) => [taskId, { kind: 'unreachable', error }]));
  }
}

/** Answers to a write, by how much they say; an attempt's task is in one place only. @type {readonly Standing[]} */
const TELLING = ['superseded', 'lost', 'ours'];

/**
 * @param {Map<string, Standing>[]} parts
 * @returns {Map<string, Standing>} for each task the answer that says most
 */
export function mergeStandings(parts) {
  /** @type {Map<string, Standing>} */
  const merged = new Map();
  for (const [taskId, standing] of parts.flatMap((part) => [...part])) {
    const known = merged.get(taskId);
    if (!known || TELLING.indexOf(standing) > TELLING.indexOf(known)) merged.set(taskId, standing);
  }
  return merged;
}

/**
 * @param {Settled[]} parts
 * @returns {Settled}
 */
export function mergeSettled(parts) {
  return { standings: mergeStandings(parts.map(({ standings }) => standings)), followUp: mergeFollowUps(parts.map(({ followUp }) => followUp)) };
}

/** @param {Map<string, Status>[]} parts */
export function mergeStatuses(parts) {
  return new Map(parts.flatMap((part) => [...part]));
}
