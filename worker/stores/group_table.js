/**
 * Groups in a table of tasks. A task of a group joins the group's line, where it is held until the limits give it a turn. Only `ADMIT` gives turns.
 * It runs after every end of a turn and every start of a task, in the same transaction or in the next one; the sweep repairs what is missed. Triggers
 * in `migrations/` keep the counts.
 */

import { withPriority } from '../priority.js';
import { HELD_UNTIL_MS, TASK_TTL_SECONDS } from '../task.js';
import { creationTime } from '../task_id.js';
import { EARLY_MS } from './lease.js';

/** @import { Submission } from '../engines/engine.js' */
/** @import { Group } from '../group.js' */
/** @import { NewTask, Outcome } from '../task.js' */
/** @import { Row } from './task_table.js' */

/** The most turns that one statement gives; the next one gives more. */
export const MOST_TURNS = 1_000;

/** How many groups a sweep reads at a time. */
export const PAGE_GROUPS = 500;

/** In how many groups a sweep gives turns at once: one statement for each, within the limit of a D1 call. */
export const ADMITTED_GROUPS = 20;

/** Stores groups, and updates limits that have changed: ?1 is a JSON array of `Group`s. */
export const PUT_GROUPS = `
  INSERT INTO groups (name, concurrency, rate_limit, rate_seconds)
  SELECT value ->> 'name', value ->> 'concurrency', value ->> 'rate_limit', value ->> 'rate_seconds' FROM json_each(?1) WHERE true
  ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, rate_limit = excluded.rate_limit, rate_seconds = excluded.rate_seconds,
    forget_at = NULL
  WHERE groups.concurrency IS NOT excluded.concurrency OR groups.rate_limit IS NOT excluded.rate_limit
    OR groups.rate_seconds IS NOT excluded.rate_seconds OR groups.forget_at IS NOT NULL`;

/** The last place of a group's line, for a task that joins now. */
export const LAST_TURN = (/** @type {string} */ group) => `(SELECT 1 + coalesce(max(line.group_turn), 0) FROM tasks AS line WHERE line.group_key = ${group} AND line.group_turn > 0)`;

/** Lets due tasks join their group's line if they have not yet: ?1 is a JSON array of ids, ?2 now in milliseconds. */
export const JOIN = `
  UPDATE tasks SET group_turn = ${LAST_TURN('tasks.group_key')}, due_at = ${HELD_UNTIL_MS}, sent_at = ?2,
    hold = json_object('delay_seconds', 0, 'ttl_seconds', max(60, expires_at - ?2 / 1000)),
    expires_at = ${HELD_UNTIL_MS / 1000}, own_expires_at = ${HELD_UNTIL_MS / 1000}
  WHERE taskId IN (SELECT value FROM json_each(?1)) AND status = 'pending' AND coalesce(due_at, 0) <= ?2 + ${EARLY_MS}
    AND group_key IS NOT NULL AND group_turn IS NULL`;

const STARTS = (/** @type {string} */ group, more = '') => `(SELECT count(*) FROM group_starts WHERE group_key = ${group} ${more})`;

/** How many more turns a group may give, from a row of `groups`. */
const FREE_TURNS = `max(0, min(
  coalesce(groups.concurrency - (SELECT count(*) FROM tasks AS admitted WHERE admitted.group_key = groups.name AND admitted.group_turn = 0), ${MOST_TURNS}),
  coalesce(groups.rate_limit - ${STARTS('groups.name', 'AND free_at IS NULL')}, ${MOST_TURNS})))`;

/**
 * Gives turns to the first tasks of a group's line, as many as its limits allow: ?2 is now in milliseconds. With a rate, a task is due when the start
 * that it replaces no longer counts.
 *
 * @param {string} group SQL that returns the group's name
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

/** The tasks of ?1, a JSON array of ids, that have a turn and have not started. */
export const TURNS = `
  SELECT taskId, run, max_retries, due_at, sent_at, priority FROM tasks
  WHERE taskId IN (SELECT value FROM json_each(?1)) AND group_turn = 0 AND status = 'pending' AND started_at IS NULL`;

/** The groups after ?1 in which tasks wait, with their stored limits and how many more turns these allow. It jumps from group to group, however many
 * tasks wait in each. */
export const WAITING_GROUPS = `
  WITH RECURSIVE waiting (name) AS (
    SELECT min(group_key) FROM tasks WHERE group_key > ?1 AND group_turn > 0
    UNION ALL
    SELECT (SELECT min(group_key) FROM tasks WHERE group_key > waiting.name AND group_turn > 0) FROM waiting WHERE waiting.name IS NOT NULL
  )
  SELECT waiting.name AS name, concurrency, rate_limit, rate_seconds, coalesce(${FREE_TURNS}, 1) AS free_turns
  FROM waiting LEFT JOIN groups ON groups.name = waiting.name WHERE waiting.name IS NOT NULL LIMIT ${PAGE_GROUPS}`;

/** Deletes groups that have no tasks, and no starts that still count at ?1. */
export const FORGET_GROUPS = `
  DELETE FROM groups WHERE forget_at <= ?1 AND NOT EXISTS (SELECT 1 FROM tasks WHERE group_key = groups.name)`;

/** The same as `groupKey`. */
export const KEY_OF_GROUP = "substr(group_key, instr(group_key, '/') + 1)";

/** Whether a task's group has a rate. For a task without a group no row is read. */
export const HAS_RATE = '(SELECT rate_limit IS NOT NULL FROM groups WHERE groups.name = tasks.group_key)';

/**
 * @param {NewTask[]} tasks
 * @returns {Group[]} the groups of the tasks, each once
 */
export function groupsOf(tasks) {
  return [...new Map(tasks.flatMap(({ group }) => (group ? [[group.name, group]] : []))).values()];
}

/**
 * @param {NewTask} task
 * @param {number} now_ms
 * @returns {boolean} whether it joins its group's line when it is stored; a task that waits for a time, or for other tasks, joins after that
 */
export function comesToLine({ taskId, group, isHeld = false, delay_seconds }, now_ms) {
  return Boolean(group) && !isHeld && creationTime(taskId) + delay_seconds * 1000 <= now_ms;
}

/**
 * @param {Outcome} outcome
 * @returns {boolean} whether the task gives its turn to the next one; a task that waits for a retry does not
 */
export function givesTurn(outcome) {
  return outcome.group !== undefined && (outcome.status !== 'pending' || outcome.suspended === true);
}

/**
 * @param {Row} row a row of `WAITING_GROUPS`
 * @param {Group} group
 */
export function hasOtherLimits({ concurrency, rate_limit, rate_seconds }, group) {
  return concurrency !== group.concurrency || rate_limit !== group.rate_limit || rate_seconds !== group.rate_seconds;
}

/**
 * @param {Row[]} rows rows of `ADMIT` or of `TURNS`; the same task may occur twice
 * @param {number} now_ms the ?2 of the statement
 * @returns {Submission[]} the runs to submit
 */
export function admittedRuns(rows, now_ms) {
  return [...new Map(rows.map((row) => [row['taskId'], row])).values()].map(({ taskId, run, max_retries, due_at, sent_at, priority }) => ({
    taskId, run, max_retries, delay_seconds: Math.max(0, Math.ceil((due_at - now_ms) / 1000)), ...(sent_at !== null && { wasDelivered: true }), ...withPriority(priority),
  }));
}
