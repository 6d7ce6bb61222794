/** Operations on many tasks: `/actions` cancels, retries or deletes them; `/pauses` pauses their handlers. */

import { actionsOf, ALLOWED, changeActions, isRunning, MAX_RUNNING, withAction, workOff } from '../actions.js';
import { ALL_HANDLERS } from '../stores/pause_table.js';
import { TASK_ID } from '../task_id.js';
import { invalidParameter, isoTime, jsonReply, quoted, Refusal } from './reply.js';
import { isObject, parseJson, readBody, readQuery, requireKnown, textLike, toPayload } from './request.js';
import { findHandler, tagsOfField } from './submission.js';
import { HANDLER_NAME } from './task.js';

/** @import { Act, Action, Filter } from '../actions.js' */
/** @import { Pause, Store } from '../stores/store.js' */
/** @import { Status } from '../task.js' */
/** @import { Call } from './router.js' */

export const ACTS = /** @type {Act[]} */ (Object.keys(ALLOWED));

/** The most ids in a filter, and the longest body. */
export const MAX_IDS = 500;
const MAX_BYTES = 64 * 1024;

const FILTER_FIELDS = ['status', 'handler', 'tags', 'createdAfter', 'createdBefore', 'ids'];

/** An ISO 8601 time with a UTC offset. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** How long the request itself works on the action, after its answer; sweeps do the rest. */
const WORK_MS = 10_000;

/** @param {Call} call */
export async function listActions({ url, store }) {
  readQuery(url, []);
  return jsonReply({ actions: (await actionsOf(store)).map(view) });
}

/** @param {Call} call */
export async function startAction({ request, url, store, engine, invocation }) {
  readQuery(url, []);
  const asked = read(parseJson(toPayload(await readBody(request, MAX_BYTES)), 'POST /actions takes it'));
  const now_ms = Date.now();
  /** @type {Action} */
  const action = {
    ...asked, id: crypto.randomUUID(), state: 'running', cursor: null, matched: 0, done: 0, skipped: 0, created_ms: now_ms, finished_ms: null,
  };
  await changeActions(store, (actions) => {
    if (actions.filter(isRunning).length >= MAX_RUNNING) {
      throw new Refusal('too_many_actions', `expected at most ${MAX_RUNNING} actions at the same time, got another one: wait for one, or stop it`);
    }
    return withAction(actions, action, now_ms);
  });
  invocation.waitUntil(workOff(store, engine, now_ms + WORK_MS).catch((error) => {
    console.error('an action could not be worked off; the next sweep goes on', { action: action.id, error: String(error) });
  }));
  return jsonReply(view(action));
}

/**
 * @param {Call} call
 * @param {string} id
 */
export async function showAction({ url, store }, id) {
  readQuery(url, []);
  return jsonReply(view(find(await actionsOf(store), id)));
}

/**
 * The present page is finished first. An action that has ended stays as it is.
 *
 * @param {Call} call
 * @param {string} id
 */
export async function stopAction({ url, store }, id) {
  readQuery(url, []);
  const actions = await changeActions(store, (before) => {
    find(before, id);
    return before.map((each) => (each.id === id && isRunning(each) ? { ...each, state: 'stopped', finished_ms: Date.now() } : each));
  });
  return jsonReply(view(find(actions, id)));
}

/**
 * @param {Action[]} actions
 * @param {string} id
 * @throws {Refusal}
 */
function find(actions, id) {
  const found = actions.find((each) => each.id === id);
  if (!found) throw new Refusal('action_not_found', `there is no action ${quoted(id)}: GET /actions lists them`);
  return found;
}

/**
 * @param {unknown} body
 * @returns {Pick<Action, 'action' | 'filter' | 'dry_run'>}
 * @throws {Refusal}
 */
function read(body) {
  if (!isObject(body)) throw invalidParameter('the body', 'an object with an action', body);
  for (const name of Object.keys(body)) requireKnown(name, ['action', 'filter', 'dryRun'], 'field');
  const { action: word, filter: given, dryRun = false } = body;
  const action = ACTS.find((each) => each === word);
  if (!action) throw invalidParameter('action', `one of ${ACTS.join(', ')}`, word);
  if (typeof dryRun !== 'boolean') throw invalidParameter('dryRun', 'true or false', dryRun);
  return { action, dry_run: dryRun, filter: readFilter(given, action) };
}

/**
 * @param {unknown} given
 * @param {Act} action
 * @returns {Filter}
 * @throws {Refusal}
 */
function readFilter(given, action) {
  if (!isObject(given)) throw invalidParameter('filter', 'an object', given);
  for (const name of Object.keys(given)) requireKnown(name, FILTER_FIELDS, 'field');
  if (Object.keys(given).length === 0) throw invalidParameter('filter', `one with some of ${FILTER_FIELDS.join(', ')}: it would be all tasks`, given);
  const { status, handler, tags: givenTags, createdAfter, createdBefore, ids } = given;
  const tags = tagsOfField(givenTags);
  if (givenTags !== undefined && tags === null) throw invalidParameter('tags', 'some tags, such as {"customer": "acme"}: none would be all tasks', givenTags);
  if (status !== undefined && !ALLOWED[action].some((each) => each === status)) {
    throw invalidParameter('status', `one of ${ALLOWED[action].join(', ')}, which can be ${PARTICIPLES[action]}`, status);
  }
  return {
    status: /** @type {Status | undefined} */ (status) ?? null,
    handler: handler === undefined ? null : text('handler', handler, HANDLER_NAME, 'the name of a handler'),
    tags,
    created_after_ms: time('createdAfter', createdAfter),
    created_before_ms: time('createdBefore', createdBefore),
    ids: ids === undefined ? null : readIds(ids),
  };
}

const PARTICIPLES = { cancel: 'cancelled', retry: 'run again', delete: 'deleted' };

/**
 * @param {unknown} ids
 * @returns {string[]}
 */
function readIds(ids) {
  const isGood = Array.isArray(ids) && ids.length > 0 && ids.length <= MAX_IDS && ids.every((id) => typeof id === 'string' && TASK_ID.test(id));
  if (!isGood) throw invalidParameter('ids', `a list of 1 to ${MAX_IDS} ids of tasks`, ids);
  return [...new Set(ids)];
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {number | null} the Unix time in milliseconds
 */
function time(name, value) {
  if (value === undefined) return null;
  const at_ms = Date.parse(text(name, value, TIME, 'an ISO 8601 time with its offset, such as 2026-11-30T09:00:00Z'));
  if (Number.isNaN(at_ms)) throw invalidParameter(name, 'an ISO 8601 time with its offset, such as 2026-11-30T09:00:00Z', value);
  return at_ms;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {RegExp} pattern
 * @param {string} what
 * @returns {string}
 */
function text(name, value, pattern, what) {
  if (typeof value !== 'string') throw invalidParameter(name, what, value);
  return /** @type {string} */ (textLike(name, value, pattern, what));
}

/** @param {Action} action */
function view({ id, action, filter, dry_run, state, matched, done, skipped, created_ms, finished_ms }) {
  return {
    id, action, dryRun: dry_run, state, matched, done, skipped, createdAt: isoTime(created_ms), finishedAt: isoTime(finished_ms),
    filter: {
      status: filter.status, handler: filter.handler, tags: filter.tags ?? null, createdAfter: isoTime(filter.created_after_ms), createdBefore: isoTime(filter.created_before_ms),
      ids: filter.ids,
    },
  };
}

// `/pauses`: handlers whose tasks wait until they are resumed.

/** @param {Call} call */
export async function listPauses({ url, store }) {
  readQuery(url, []);
  return jsonReply(await pausesOf(store));
}

/**
 * @param {Call} call
 * @param {string} [handler] all handlers if it is missing
 */
export async function pause({ url, store, handlers }, handler) {
  readQuery(url, []);
  if (handler !== undefined) findHandler(handlers, handler);
  await store.setPause(handler ?? ALL_HANDLERS, Date.now());
  return jsonReply(await pausesOf(store));
}

/**
 * A handler that was removed from the Worker can be resumed too: its tasks then fail with that error.
 *
 * @param {Call} call
 * @param {string} [handler]
 */
export async function resume({ url, store }, handler) {
  readQuery(url, []);
  if (handler !== undefined && !HANDLER_NAME.test(handler)) throw invalidParameter('handler', 'the name of a handler', handler);
  await store.setPause(handler ?? ALL_HANDLERS, null);
  return jsonReply(await pausesOf(store));
}

/** @param {Store} store */
async function pausesOf(store) {
  return { pauses: pausesView(await store.pauses()) };
}

/**
 * @param {Pause[]} pauses
 * @returns {{handler: string | null, since: string | null}[]} the pauses; `handler` null means all handlers
 */
export function pausesView(pauses) {
  return pauses.map(({ handler, paused_ms }) => ({ handler: handler === ALL_HANDLERS ? null : handler, since: isoTime(paused_ms) }));
}
