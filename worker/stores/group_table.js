/**
 * Groups in a table of tasks. A task of a group comes to the group's line, where it is held, and has its turn when the limits allow: `ADMIT`
 * gives turns, and nothing else does. Every end of a turn and every start of a task is followed by it in the same transaction, or
 * in the next one; what is missed so, the sweep finds. Triggers in `migrations/` keep the books.
 */

import { withPriority } from '../priority.js';
import { HELD_UNTIL_MS, TASK_TTL_SECONDS } from '../task.js';
import { creationTime } from '../task_id.js';
import { EARLY_MS } from './lease.js';

/** @import { Submission } from '../engines/engine.js' */
/** @import { Group } from '../group.js' */
/** @import { NewTask, Outcome } from '../task.js' */
/** @import { Row } from './task_table.js' */

/** How many turns one statement gives at most; the next one gives more. */
export const MOST_TURNS = 1_000;

/** How many groups a sweep looks at, at a time. */
export const PAGE_GROUPS = 500;

/** How many groups a sweep gives turns in at once: a statement each, of those that a call of D1 has. */
export const ADMITTED_GROUPS = 20;

/** Makes groups known, and changes their limits where they are others: ?1 is a JSON array of `Group`s. */
export const PUT_GROUPS = `
  INSERT INTO groups (name, concurrency, rate_limit, rate_seconds)
  SELECT value ->> 'name', value ->> 'concurrency', value ->> 'rate_limit', value ->> 'rate_seconds' FROM json_each(?1) WHERE true
  ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, rate_limit = excluded.rate_limit, rate_seconds = excluded.rate_seconds,
    forget_at = NULL
  WHERE groups.concurrency IS NOT excluded.concurrency OR groups.rate_limit IS NOT excluded.rate_limit
    OR groups.rate_seconds IS NOT excluded.rate_seconds OR groups.forget_at IS NOT NULL`;

/** The last place of a group's line: that of a task that comes now. */
export const LAST_TURN = (/** @type {string} */ group) => `(SELECT 1 + coalesce(max(line.group_turn), 0) FROM tasks AS line WHERE line.group_key = ${group} AND line.group_turn > 0)`;

/** Brings due tasks that have not come to their group's line to it: ?1 is a JSON array of ids, ?2 now in milliseconds. */
export const JOIN = `
  UPDATE tasks SET group_turn = ${LAST_TURN('tasks.group_key')}, due_at = ${HELD_UNTIL_MS}, sent_at = ?2,
    hold = json_object('delay_seconds', 0, 'ttl_seconds', max(60, expires_at - ?2 / 1000)),
    expires_at = ${HELD_UNTIL_MS / 1000}, own_expires_at = ${HELD_UNTIL_MS / 1000}
  WHERE taskId IN (SELECT value FROM json_each(?1)) AND status = 'pending' AND coalesce(due_at, 0) <= ?2 + ${EARLY_MS}
    AND group_key IS NOT NULL AND group_turn IS NULL`;

const STARTS = (/** @type {string} */ group, more = '') => `(SELECT count(*) FROM group_starts WHERE group_key = ${group} ${more})`;

/** How many more tasks of a group may have their turn: of a row of `groups`. */
const FREE_TURNS = `max(0, min(
  coalesce(groups.concurrency - (SELECT count(*) FROM tasks AS admitted WHERE admitted.group_key = groups.name AND admitted.group_turn = 0), ${MOST_TURNS}),
  coalesce(groups.rate_limit - ${STARTS('groups.name', 'AND free_at IS NULL')}, ${MOST_TURNS})))`;

/**
 * Gives turns to the first tasks of a group's line, as many as its limits allow: ?2 is now in milliseconds. With a rate, a task is due when
 * the start whose place it takes no longer counts.
 *
 * @param {string} group SQL that gives its name
 */
export const ADMIT = (group) => `
  UPDATE tasks SET group_turn = 0, due_at = first.turn_at, hold = NULL,
    expires_at = first.turn_at / 1000 + coalesce(hold ->> 'ttl_seconds', ${TASK_TTL_SECONDS}),
    own_expires_at = first.turn_at / 1000 + coalesce(hold ->> 'ttl_seconds', ${TASK_TTL_SECONDS})
  FROM (
    SELECT line.taskId AS firstId, max(?2, coalesce(start.free_at, 0)) AS turn_at
    FROM (
      SELECT taskId, row_number() OVER (ORDER BY group_turn, taskId) AS place FROM (
        SELECT taskId, group_turn FROM tasks WHERE group_key = ${group} AND group_turn > 0 ORDER BY group_turn, taskId
        LIMIT coalesce((SELECT ${FREE_TURNS} FROM groups WHERE name = ${group}), 0))
    ) AS line
    LEFT JOIN (
      SELECT free_at, row_number() OVER (ORDER BY free_at) + (SELECT rate_limit FROM groups WHERE name = ${group}) - ${STARTS(group)} AS place
      FROM group_starts WHERE group_key = ${group} AND free_at IS NOT NULL
    ) AS start ON start.place = line.place
  ) AS first
  WHERE taskId = first.firstId
  RETURNING taskId, run, max_retries, due_at, sent_at, priority`;

export const ADMIT_GROUP = ADMIT('?1');
export const ADMIT_AFTER = ADMIT('(SELECT ended.group_key FROM tasks AS ended WHERE ended.taskId = ?1)');

/** Those of ?1, a JSON array of ids, that have their turn and have not started. */
export const TURNS = `
  SELECT taskId, run, max_retries, due_at, sent_at, priority FROM tasks
  WHERE taskId IN (SELECT value FROM json_each(?1)) AND group_turn = 0 AND status = 'pending' AND started_at IS NULL`;

/** The groups after ?1 in which tasks wait, with the limits that are known, and how many more might have their turn by these. It goes from
 * one group to the next, however many wait in each. */
export const WAITING_GROUPS = `
  WITH RECURSIVE waiting (name) AS (
    SELECT min(group_key) FROM tasks WHERE group_key > ?1 AND group_turn > 0
    UNION ALL
    SELECT (SELECT min(group_key) FROM tasks WHERE group_key > waiting.name AND group_turn > 0) FROM waiting WHERE waiting.name IS NOT NULL
  )
  SELECT waiting.name AS name, concurrency, rate_limit, rate_seconds, coalesce(${FREE_TURNS}, 1) AS free_turns
  FROM waiting LEFT JOIN groups ON groups.name = waiting.name WHERE waiting.name IS NOT NULL LIMIT ${PAGE_GROUPS}`;

/** Forgets groups that have no tasks, and no starts that count at ?1. */
export const FORGET_GROUPS = `
  DELETE FROM groups WHERE forget_at <= ?1 AND NOT EXISTS (SELECT 1 FROM tasks WHERE group_key = groups.name)`;

/** As `groupKey`. */
export const KEY_OF_GROUP = "substr(group_key, instr(group_key, '/') + 1)";

/** Whether a task's group has a rate: of a task without a group no row is read. */
export const HAS_RATE = '(SELECT rate_limit IS NOT NULL FROM groups WHERE groups.name = tasks.group_key)';

/**
 * @param {NewTask[]} tasks
 * @returns {Group[]} theirs, each once
 */
export function groupsOf(tasks) {
  return [...new Map(tasks.flatMap(({ group }) => (group ? [[group.name, group]] : []))).values()];
}

/**
 * @param {NewTask} task
 * @param {number} now_ms
 * @returns {boolean} whether it comes to its group's line as soon as it is stored; one that waits for a time, or for other tasks, comes there
 *   when that is over
 */
export function comesToLine({ taskId, group, isHeld = false, delay_seconds }, now_ms) {
  return Boolean(group) && !isHeld && creationTime(taskId) + delay_seconds * 1000 <= now_ms;
}

/**
 * @param {Outcome} outcome
 * @returns {boolean} whether the task gives its turn to the next one: a task that waits to be tried again does not
 */
export function givesTurn(outcome) {
  return outcome.group !== undefined && (outcome.status !== 'pending' || outcome.suspended === true);
}

/**
 * @param {Row} row of `WAITING_GROUPS`
 * @param {Group} group
 */
export function hasOtherLimits({ concurrency, rate_limit, rate_seconds }, group) {
  return concurrency !== group.concurrency || rate_limit !== group.rate_limit || rate_seconds !== group.rate_seconds;
}

/**
 * @param {Row[]} rows that `ADMIT` gives, or `TURNS`; the same task may come twice
 * @param {number} now_ms its ?2
 * @returns {Submission[]} the runs to hand over
 */
export function admittedRuns(rows, now_ms) {
  return [...new Map(rows.map((row) => [row['taskId'], row])).values()].map(({ taskId, run, max_retries, due_at, sent_at, priority }) => ({
    taskId, run, max_retries, delay_seconds: Math.max(0, Math.ceil((due_at - now_ms) / 1000)), ...(sent_at !== null && { wasDelivered: true }), ...withPriority(priority),
  }));
}
