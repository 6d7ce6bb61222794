/**
 * Actions on many tasks: to cancel, retry or delete those that a filter names. An action is worked off in pages, from the newest task to
 * the oldest, by the request that asks for it and then by sweeps. How far it has come is kept after each page, so that one that is cut off
 * is done again from there: a task that was done then is found done.
 */

import { creationTime, timePrefix } from './task_id.js';
import { followUpOf, handOverFollowUp, mergeFollowUps } from './follow_up.js';
import { hasTags } from './tags.js';
import { withPriority } from './priority.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */
/** @import { Tags } from './tags.js' */
/** @import { Status, TaskSummary } from './task.js' */

/** @typedef {'cancel' | 'retry' | 'delete'} Act */

/** Which tasks: all that fit whatever is not null. Times are Unix times in milliseconds, the first one included. Code of before kept no `tags`.
 *
 * @typedef {{status: Status | null, handler: string | null, tags?: Tags | null, created_after_ms: number | null, created_before_ms: number | null, ids: string[] | null}} Filter
 */

/**
 * An action as it is kept. `cursor`: where the next page begins, null at the start; `matched` are tasks that the filter names and whose
 * status allows it, `done` those that it was done to, `skipped` those that have moved on meanwhile.
 *
 * @typedef {object} Action
 * @property {string} id
 * @property {Act} action
 * @property {Filter} filter
 * @property {boolean} dry_run
 * @property {'running' | 'completed' | 'stopped'} state
 * @property {string | null} cursor
 * @property {number} matched
 * @property {number} done
 * @property {number} skipped
 * @property {number} created_ms
 * @property {number | null} finished_ms
 */

/** The statuses that each may be done to. @type {Readonly<Record<Act, readonly Status[]>>} */
export const ALLOWED = { cancel: ['pending', 'processing'], retry: ['failed', 'cancelled'], delete: ['completed', 'failed', 'cancelled'] };

/** How many tasks a page has: each takes a few operations of the store, of the 1,000 that an invocation has
 * (https://developers.cloudflare.com/workers/platform/limits/). */
const PAGE_TASKS = 100;

/** How many pages are worked off in a sweep at most. */
const MAX_PAGES = 20;

/** How many actions are remembered, for how long, and how many may wait for their turn. */
const KEPT_ACTIONS = 20;
const KEPT_MS = 7 * 86_400_000;
export const MAX_RUNNING = 5;

/** How often a change is tried that another one gets in the way of. */
const TRIES = 5;

/** The note that has them. */
const NOTE = 'actions';

/**
 * @param {Store} store
 * @returns {Promise<Action[]>} newest first
 */
export async function actionsOf(store) {
  return JSON.parse(await store.note(NOTE) ?? '[]');
}

/** @param {string | null} note @returns {boolean} whether there is one to work off */
export function hasWork(note) {
  return note !== null && /** @type {Action[]} */ (JSON.parse(note)).some(isRunning);
}

/**
 * Changes what is kept of actions, as it is at that moment.
 *
 * @param {Store} store
 * @param {(actions: Action[]) => Action[]} make newest first
 * @returns {Promise<Action[]>}
 * @throws {Error} others change it all the time
 */
export async function changeActions(store, make) {
  for (let time = 0; time < TRIES; time++) {
    const before = await store.note(NOTE);
    const actions = make(JSON.parse(before ?? '[]'));
    const after = JSON.stringify(actions);
    if (after === before || await store.changeNote(NOTE, before, after)) return actions;
  }
  throw new Error('actions are being changed by others at the same time');
}

/**
 * @param {Action[]} actions
 * @param {Action} action a new one
 * @param {number} now_ms
 * @returns {Action[]} without those that are too old
 */
export function withAction(actions, action, now_ms) {
  const kept = actions.filter((each) => isRunning(each) || Number(each.finished_ms) > now_ms - KEPT_MS);
  return [action, ...kept].slice(0, KEPT_ACTIONS);
}

/** @param {Pick<Action, 'state'>} action */
export function isRunning({ state }) {
  return state === 'running';
}

/**
 * Works off the actions, the oldest first, page by page.
 *
 * @param {Store} store all of it
 * @param {Engine} engine
 * @param {number} end_ms Unix time after which no page is begun
 */
export async function workOff(store, engine, end_ms) {
  for (let pages = 0; pages < MAX_PAGES && Date.now() < end_ms; pages++) {
    const action = (await actionsOf(store)).findLast(isRunning);
    if (!action) return;
    const page = await pageOf(store, action);
    const counts = action.dry_run ? { done: 0, skipped: 0 } : await act(store, engine, action.action, page.tasks);
    await changeActions(store, (actions) => actions.map((each) => {
      // Where another sweep has worked off the page as well, it has counted it.
      if (each.id !== action.id || each.cursor !== action.cursor) return each;
      const progressed = { ...each, cursor: page.cursor, matched: each.matched + page.tasks.length, done: each.done + counts.done, skipped: each.skipped + counts.skipped };
      return page.cursor === null && isRunning(each) ? { ...progressed, state: 'completed', finished_ms: Date.now() } : progressed;
    }));
  }
}

/**
 * @param {Store} store
 * @param {Action} action
 * @returns {Promise<{tasks: TaskSummary[], cursor: string | null}>} null: there are no more
 */
async function pageOf(store, { action, filter, cursor, created_ms }) {
  const { status, handler, tags = null, created_after_ms, created_before_ms, ids } = filter;
  const before_ms = created_before_ms ?? created_ms; // what is submitted later is not meant
  const isMeant = (/** @type {TaskSummary} */ task) => (
    ALLOWED[action].includes(task.status) && (status === null || task.status === status) && (handler === null || task.handler === handler)
    && (tags === null || hasTags(task.tags, tags))
    && creationTime(task.taskId) >= (created_after_ms ?? 0) && (ids !== null || creationTime(task.taskId) < before_ms)
  );
  if (ids !== null) {
    const start = cursor === null ? 0 : Number(cursor);
    const found = await Promise.all(ids.slice(start, start + PAGE_TASKS).map((taskId) => store.find(taskId)));
    const next = start + PAGE_TASKS;
    return { tasks: found.filter((task) => task !== null).filter(isMeant), cursor: next < ids.length ? String(next) : null };
  }
  const page = await store.list({ status, handler, tags, limit: PAGE_TASKS, cursor: cursor ?? timePrefix(before_ms) });
  const isOver = page.cursor !== null && created_after_ms !== null && page.cursor < timePrefix(created_after_ms);
  return { tasks: page.tasks.filter(isMeant), cursor: isOver ? null : page.cursor };
}

/**
 * All of a page at the same time: a store joins what is asked at the same time.
 *
 * @param {Store} store
 * @param {Engine} engine
 * @param {Act} action
 * @param {TaskSummary[]} tasks
 * @returns {Promise<{done: number, skipped: number}>}
 */
async function act(store, engine, action, tasks) {
  const results = await Promise.all(tasks.map((task) => ACTS[action](store, task)));
  const done = results.filter((followUp) => followUp !== null);
  await handOverFollowUp(engine, mergeFollowUps(done));
  return { done: done.length, skipped: results.length - done.length };
}

/** Each gives what follows; null: the task has moved on. */
const ACTS = {
  cancel: async (/** @type {Store} */ store, /** @type {TaskSummary} */ { taskId }) => store.cancel(taskId),
  retry: async (/** @type {Store} */ store, /** @type {TaskSummary} */ { taskId, run: former, max_retries, priority }) => {
    const run = await store.retry(taskId, former);
    return run === null ? null : followUpOf({ runs: [{ taskId, run, max_retries, delay_seconds: 0, ...withPriority(priority) }] });
  },
  delete: async (/** @type {Store} */ store, /** @type {TaskSummary} */ { taskId }) => (await store.remove(taskId) ? followUpOf() : null),
};
