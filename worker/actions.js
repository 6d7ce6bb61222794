/**
 * Actions on many tasks: cancel, retry or delete all tasks that a filter selects. An action works through the tasks in pages, from the newest to the
 * oldest. The request that asks for it does the first pages, sweeps do the rest. The progress is stored after each page. If the work is cut off, the
 * last page is repeated; that is harmless, because a task that was already done is recognised.
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

/** A filter: selects tasks that match all fields that are not null. Times are Unix times in milliseconds, the first one included. Earlier code stored
 * no `tags`.
 *
 * @typedef {{status: Status | null, handler: string | null, tags?: Tags | null, created_after_ms: number | null, created_before_ms: number | null,
 *   ids: string[] | null}} Filter
 */

/**
 * An action as it is stored. `cursor`: where the next page begins, null at the start; `matched` counts the tasks that the filter selects and whose
 * status allows the action, `done` those on which it succeeded, `skipped` those that changed in the meantime.
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

/** The statuses that each action may be applied to. @type {Readonly<Record<Act, readonly Status[]>>} */
export const ALLOWED = { cancel: ['pending', 'processing'], retry: ['failed', 'cancelled'], delete: ['completed', 'failed', 'cancelled'] };

/** How many tasks a page has: each takes a few operations of the store, out of the 1,000 of an invocation
 * (https://developers.cloudflare.com/workers/platform/limits/). */
const PAGE_TASKS = 100;

/** The most pages that one sweep works through. */
const MAX_PAGES = 20;

/** How many actions are remembered, for how long, and how many may wait for their turn. */
const KEPT_ACTIONS = 20;
const KEPT_MS = 7 * 86_400_000;
export const MAX_RUNNING = 5;

/** How often a change is tried when concurrent changes get in its way. */
const TRIES = 5;

/** The name of the note that stores the actions. */
const NOTE = 'actions';

/**
 * @param {Store} store
 * @returns {Promise<Action[]>} the actions, newest first
 */
export async function actionsOf(store) {
  return JSON.parse(await store.note(NOTE) ?? '[]');
}

/** @param {string | null} note @returns {boolean} whether an action has work left */
export function hasWork(note) {
  return note !== null && /** @type {Action[]} */ (JSON.parse(note)).some(isRunning);
}

/**
 * Changes the stored actions by compare-and-set.
 *
 * @param {Store} store
 * @param {(actions: Action[]) => Action[]} make makes the new list from the present one, newest first
 * @returns {Promise<Action[]>}
 * @throws {Error} concurrent changes got in the way each time
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
 * @param {Action} action a new action
 * @param {number} now_ms
 * @returns {Action[]} the actions without those that are too old
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
 * Works through the actions, the oldest first, page by page.
 *
 * @param {Store} store the whole store
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
      // If another sweep has done the page as well, that sweep has counted it.
      if (each.id !== action.id || each.cursor !== action.cursor) return each;
      const progressed = { ...each, cursor: page.cursor, matched: each.matched + page.tasks.length, done: each.done + counts.done, skipped: each.skipped + counts.skipped };
      return page.cursor === null && isRunning(each) ? { ...progressed, state: 'completed', finished_ms: Date.now() } : progressed;
    }));
  }
}

/**
 * @param {Store} store
 * @param {Action} action
 * @returns {Promise<{tasks: TaskSummary[], cursor: string | null}>} the next page of tasks; null when there are no more
 */
async function pageOf(store, { action, filter, cursor, created_ms }) {
  const { status, handler, tags = null, created_after_ms, created_before_ms, ids } = filter;
  const before_ms = created_before_ms ?? created_ms; // tasks submitted later are not selected
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
 * Does all tasks of a page concurrently: a store joins concurrent operations into one.
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

/** Each returns the follow-up of the change; null if the task has changed in the meantime. */
const ACTS = {
  cancel: async (/** @type {Store} */ store, /** @type {TaskSummary} */ { taskId }) => store.cancel(taskId),
  retry: async (/** @type {Store} */ store, /** @type {TaskSummary} */ { taskId, run: former, max_retries, priority }) => {
    const run = await store.retry(taskId, former);
    return run === null ? null : followUpOf({ runs: [{ taskId, run, max_retries, delay_seconds: 0, ...withPriority(priority) }] });
  },
  delete: async (/** @type {Store} */ store, /** @type {TaskSummary} */ { taskId }) => (await store.remove(taskId) ? followUpOf() : null),
};
