/** Callbacks in a table of tasks: the SQL counterpart of `callback.js`. */

import { CALLBACK_HANDLER } from '../callback.js';
import { TASK_TTL_SECONDS } from '../task.js';

/** The same as `callbackTaskId`. */
const CALLBACK_ID = (/** @type {string} */ task) => `(
  substr(printf('%012x', ${task}.finished_at), 1, 8) || '-' || substr(printf('%012x', ${task}.finished_at), 9)
  || printf('-7%03x-', ${task}.run & 4095)
  || CASE substr(${task}.taskId, 20, 1) WHEN '8' THEN '9' WHEN '9' THEN '8' WHEN 'a' THEN 'b' ELSE 'a' END || substr(${task}.taskId, 21))`;

/** The same as `callbackBody`. It concatenates texts, because SQLite parses JSON at most 1,000 levels deep, and a result may be deeper. */
const CALLBACK_BODY = `
  '{"type":"task.' || status || '","timestamp":"' || strftime('%Y-%m-%dT%H:%M:%fZ', finished_at / 1000.0, 'unixepoch')
  || '","data":{"taskId":"' || taskId || '","status":"' || status || '","handler":' || json_quote(handler)
  || ',"run":' || run || ',"attempts":' || attempts || ',"result":' || coalesce(result, 'null') || ',"error":' || coalesce(error, 'null') || '}}'`;

/**
 * Creates the callbacks of ended tasks that have one: ?1 is a JSON array of ids. It runs in the transaction that ends the tasks. An existing callback
 * stays as it is. It has a due time, so that the sweeper finds it in any state.
 */
export const MAKE_CALLBACKS = `
  INSERT INTO tasks (taskId, status, handler, parameters, payload, expires_at, due_at, parent, priority)
  SELECT ${CALLBACK_ID('tasks')}, 'pending', '${CALLBACK_HANDLER}', json_object('url', callback ->> 'url'), ${CALLBACK_BODY},
    finished_at / 1000 + ${TASK_TTL_SECONDS}, finished_at, taskId, priority
  FROM tasks
  WHERE taskId IN (SELECT value FROM json_each(?1)) AND finished_at IS NOT NULL
    AND EXISTS (SELECT 1 FROM json_each(tasks.callback, '$.on') AS told WHERE told.value = tasks.status)
  ON CONFLICT DO NOTHING`;

/** The status of a task's callback. Tasks without one cause no further read. */
export const CALLBACK_STATUS = `
  CASE WHEN tasks.callback IS NOT NULL AND tasks.finished_at IS NOT NULL THEN
    (SELECT called.status FROM tasks AS called WHERE called.taskId = ${CALLBACK_ID('tasks')}) END AS callback_status`;
