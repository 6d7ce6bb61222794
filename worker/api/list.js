/** `GET /tasks`: the newest tasks first. */

import { GROUP_KEY, GROUP_KEY_IN_WORDS } from '../group.js';
import { STATUSES } from '../task.js';
import { timePrefix } from '../task_id.js';
import { invalidParameter, jsonReply, summaryView } from './reply.js';
import { fromDigits, readQuery, textLike, wholeNumber } from './request.js';
import { TAG, tagsOfQuery } from './tags.js';

/** @import { Status } from '../task.js' */
/** @import { Call } from './router.js' */

export const LIST_TASKS = /** @type {const} */ ([1, 100]);
export const DEFAULT_LIST_TASKS = 20;

/** The name of a handler, be it deployed or not: a task may be older than the deployment. */
export const HANDLER_NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** The digits that an id begins with, and what comes after all that begin so. */
export const CURSOR = /^[0-9a-f-]{1,36}g?$/;

const ERROR_TEXT = /^[^]{1,200}$/;
const STATUS = new RegExp(`^(?:${STATUSES.join('|')})$`);

/** The beginning of an id, or all of it. */
export const ID_PREFIX = /^[0-9a-f-]{1,36}$/;

/** A time with its offset, as RFC 3339 has it (https://www.rfc-editor.org/rfc/rfc3339#section-5.6). */
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Longest text that is looked for in errors, in UTF-16 code units. */
export const MAX_ERROR_TEXT_LENGTH = 200;

/** What comes after every id that begins as a text does. */
const AFTER = 'g';

/** @param {Call} call */
export async function listTasks({ url, store, env }) {
  const query = readQuery(url, ['status', 'handler', 'group', TAG, 'id', 'createdAfter', 'createdBefore', 'error', 'limit', 'cursor'], [], TAG);
  const id = textLike('id', query['id'], ID_PREFIX, 'the id of a task, or its beginning');
  const after = timeOf('createdAfter', query['createdAfter']);
  const before = timeOf('createdBefore', query['createdBefore']);
  const cursor = textLike('cursor', query['cursor'], CURSOR, 'one that a list gave');
  // Ids sort by age, so a time and the beginning of an id are both bounds of ids.
  const ends = [cursor, id && id + AFTER, before].filter((end) => end !== null).sort();
  const { tasks, cursor: next } = await store.list({
    status: /** @type {Status | null} */ (textLike('status', query['status'], STATUS, `one of ${STATUSES.join(', ')}`)),
    handler: textLike('handler', query['handler'], HANDLER_NAME, 'the name of a handler'),
    group: textLike('group', query['group'], GROUP_KEY, GROUP_KEY_IN_WORDS),
    tags: tagsOfQuery(url),
    limit: wholeNumber('limit', fromDigits(query['limit']), LIST_TASKS, DEFAULT_LIST_TASKS),
    since: [id ?? '', after ?? ''].sort()[1] ?? '',
    error: textLike('error', query['error'], ERROR_TEXT, `a text of 1 to ${MAX_ERROR_TEXT_LENGTH} characters`),
    cursor: ends[0] ?? null,
  });
  return jsonReply({ tasks: tasks.map((task) => summaryView(task, env)), cursor: next });
}

/**
 * @param {string} name
 * @param {string | undefined} text
 * @returns {string | null} what comes before every id of that millisecond
 * @throws {import('./reply.js').Refusal}
 */
function timeOf(name, text) {
  const checked = textLike(name, text, TIME, 'a time as 2026-11-30T09:00:00Z');
  if (checked === null) return null;
  const time_ms = Date.parse(checked);
  if (Number.isNaN(time_ms)) throw invalidParameter(name, 'a time that there is, as 2026-11-30T09:00:00Z', text);
  return timePrefix(Math.max(0, time_ms));
}
