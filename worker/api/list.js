/** `GET /tasks`: the newest tasks first. */

import { STATUSES } from '../task.js';
import { jsonReply, summaryView } from './reply.js';
import { fromDigits, readQuery, textLike, wholeNumber } from './request.js';

/** @import { Status } from '../task.js' */
/** @import { Call } from './router.js' */

export const LIST_TASKS = /** @type {const} */ ([1, 100]);
export const DEFAULT_LIST_TASKS = 20;

/** The name of a handler, be it deployed or not: a task may be older than the deployment. */
export const HANDLER_NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** The digits that an id begins with, and what comes after all that begin so. */
export const CURSOR = /^[0-9a-f-]{1,36}g?$/;

const STATUS = new RegExp(`^(?:${STATUSES.join('|')})$`);

/** @param {Call} call */
export async function listTasks({ url, store, env }) {
  const query = readQuery(url, ['status', 'handler', 'limit', 'cursor']);
  const { tasks, cursor } = await store.list({
    status: /** @type {Status | null} */ (textLike('status', query['status'], STATUS, `one of ${STATUSES.join(', ')}`)),
    handler: textLike('handler', query['handler'], HANDLER_NAME, 'the name of a handler'),
    limit: wholeNumber('limit', fromDigits(query['limit']), LIST_TASKS, DEFAULT_LIST_TASKS),
    cursor: textLike('cursor', query['cursor'], CURSOR, 'one that a list gave'),
  });
  return jsonReply({ tasks: tasks.map((task) => summaryView(task, env)), cursor });
}
