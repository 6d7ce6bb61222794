/**
 * Task state in a table of SQLite, either D1's or a Durable Object's. All tasks of a batch change in one conditional UPDATE with one JSON parameter
 * (a statement takes at most 100 parameters, https://developers.cloudflare.com/d1/platform/limits/). `migrations/` has the schema.
 */

import { callbackRuns, callbackTaskId, tellsOf } from '../callback.js';
import { followUpOf, mergeFollowUps } from '../follow_up.js';
import { groupKey } from '../group.js';
import { withPriority } from '../priority.js';
import { ENDED, HELD_UNTIL_MS, LEASE_SECONDS, MAX_CRASHES, SWEEP_GRACE_SECONDS, TASK_TTL_SECONDS, MAX_PAYLOAD_BYTES } from '../task.js';
import { NO_TAGS } from '../tags.js';
import { creationTime, timePrefix } from '../task_id.js';
import { bounded } from '../text.js';
import { countEvent, endOf, submissionOf } from './buckets.js';
import { CALLBACK_STATUS, MAKE_CALLBACKS } from './callback_table.js';
import { childrenWindow } from './child_table.js';
import {
  CANCEL_WAITING, DEPENDENTS, KEEP_DEPENDENTS, MARK_AWAITED, RELEASE_TOLD, RESULTS, STATUSES_OF, SWEPT_LINKS, TELL_WAITING, TOLD_TASKS, toldOf, WAITING,
  WAITING_ADVANCE, WAITING_POSITION,
} from './dependency_table.js';
import {
  ADMIT_AFTER, ADMIT_GROUP, ADMITTED_GROUPS, admittedRuns, comesToLine, FORGET_GROUPS, givesTurn, groupsOf, HAS_RATE, hasOtherLimits, JOIN, KEY_OF_GROUP, LAST_TURN, PAGE_GROUPS, PUT_GROUPS, TURNS,
  WAITING_GROUPS,
} from './group_table.js';
import { continuedHistory, countInHistory } from './history.js';
import { heldColumns, IS_HELD, RELEASE, releasedRuns } from './hold_table.js';
import { EARLY_MS, isHeld, verdictOn, whilePaused } from './lease.js';
import { changeOfNote, NOTE } from './note_table.js';
import { changeOfPause, IS_PAUSED, PAUSES } from './pause_table.js';
import { changeOfSchedule, SCHEDULES } from './schedule_table.js';
import { hasAllTags, TAGGED_WINDOW, TAGS_OF, tagTexts } from './tag_table.js';
import { CRASHED_STORY } from '../story.js';
import { isStoreError } from './store_error.js';
import { addEnd, addSubmission, MINUTE_MS, MINUTES, newTally, noCounts, recentMinutes } from './tally.js';

/** @import { AfterState, AttemptName, CallbackState, NewTask, Outcome, Payload, Progress, Status, StepRecord, TaskError, TaskEvent, TaskRecord, TaskSummary } from '../task.js' */
/** @import { Group } from '../group.js' */
/** @import { Leased } from './lease.js' */
/** @import { Abandoned, ClaimAnswer, Delivery, EventReceipt, Fill, Insertion, KeptPayload, KeptSchedule, KeptStory, OpenTask, Page, PartTotals, Pause, Probe, Query, RunningVersion, Settled, Standing, Statistics, Store, SweepCounts, TaskResult } from './store.js' */
/** @import { Callback } from '../callback.js' */
/** @import { Submission } from '../engines/engine.js' */
/** @import { FollowUp } from '../follow_up.js' */
/** @import { Link, LinkEnd } from '../dependencies.js' */
/** @import { Event } from './buckets.js' */
/** @import { Glance, StatusCounts, Tally } from './tally.js' */

/** A statement; `answer_bytes` is the largest size of its rows, if they may be large.
 *
 * @typedef {{sql: string, parameters: (string | number | null | Uint8Array)[], answer_bytes?: number}} Statement
 */

/** Runs statements. How: together with those of other requests (`joined`); `alone`, for statements that take long; `once`, for statements that must
 * not be repeated. @typedef {'joined' | 'alone' | 'once'} Way */

/**
 * @typedef {Record<string, any>} Row
 * @typedef {(statements: Statement[], way?: Way) => Promise<Row[][]>} Run runs statements in one transaction; gives the rows of
 *   each. It asks again when the platform fails, unless they may be run only once
 */

/** The Worker's settings that a table needs. @typedef {{MAX_RETRIES?: string, KEEP_PAYLOAD?: string}} TableSettings */

/** How many bytes of payloads are claimed at once: an isolate has 128 MB (https://developers.cloudflare.com/workers/platform/limits/), and D1 sends
 * bytes that are not text as JSON, which is several times as long. */
const CLAIM_BYTES = 8 * 1024 * 1024;

/** The largest size of one payload in D1's answer. */
const ANSWERED_PAYLOAD_BYTES = 4 * MAX_PAYLOAD_BYTES;

/** The most rows that a sweep reads at once, which limits its cost, and the most tasks that it rescues at once. */
const WINDOW_ROWS = 10_000;
const SWEEP_ROWS = 50_000;
const PAGE_TASKS = 1_000;

/** How many rows, and how many bytes of rows, are deleted at once. The numbers are halved each time a deletion takes longer than this, or fails (a
 * query may take 30 s, https://developers.cloudflare.com/d1/platform/limits/). */
const EXPIRE_ROWS = 1_000;
const EXPIRE_BYTES = 64 * 1024 * 1024;
const EXPIRE_LONG_MS = 2_000;

/** How many rows a filtered list examines. */
const LIST_ROWS = 1_000;

/** How many parameters a list's window and filter have before those of its tags. */
const WINDOW_PARAMETERS = 4;
const FILTER_PARAMETERS = 9;
const WITH_TAGS = (/** @type {number} */ count) => (count > 0 ? `WHERE ${hasAllTags(count, FILTER_PARAMETERS + 1)}` : '');

/** How many open tasks are followed, so that their ends count for throughput; how many tasks one sweep counts for the first time, and how many of them
 * at once. Further tasks wait for the next sweep, and count as pending until then. */
const FOLLOWED_TASKS = 2_000;
const TALLY_ROWS = 50_000;
const TALLY_CHUNK_ROWS = 5_000;

/** How many rows of an index are counted, and how many a minute on average: the more rows there are, the less often they are counted. */
const INDEXED_ROWS = 10_000;
const INDEXED_ROWS_A_MINUTE = 500;

/** How many rows of each kind an answer reads to be up to date. If there are more, it is as old as the last sweep. A page that asks every five seconds
 * then reads about half of the 5 million rows a day of the Free plan (https://developers.cloudflare.com/d1/platform/pricing/). */
const LIVE_ROWS = 50;

/** Tasks that wait for a time are followed if the time is within this range, which is longer than a lease. */
const FOLLOWED_MS = LEASE_SECONDS * 1000 + MINUTE_MS;

/** The longest error message in a list, in characters. */
const LISTED_ERROR_LENGTH = 200;

/** The longest JSON parameter: a D1 value may have 2 MB, and a character up to 3 bytes. */
const PARAMETER_LENGTH = 600_000;

/** The sweeper deletes the task itself, and counts it. */
const FORGET_EXPIRED_KEYS = `
  UPDATE tasks SET idempotency_key = NULL, fingerprint = NULL
  WHERE idempotency_key IN (SELECT value FROM json_each(?1)) AND expires_at <= ?2`;

/** A repeated insert finds its own task. A submission whose key is taken finds the task with the key. */
const UNLESS_THERE = 'ON CONFLICT DO NOTHING';

const IS_UNSTARTED = "tasks.status = 'pending' AND tasks.started_at IS NULL";

/**
 * The end of an insert of a task with `replacesPending`. It replaces the pending task with its key. If that task is due earlier, its message is early
 * enough. If the new one is due earlier, or has another priority, it begins another run, for which another message is sent. A held task stays held.
 *
 * @param {number} before the number of parameters before its own: the due time, the expiry, and both in the form of `hold`
 */
const REPLACE_PENDING = (before) => {
  const [due_at, expires_at, hold] = [1, 2, 3].map((place) => `?${before + place}`);
  const unlessHeld = (/** @type {string} */ kept, /** @type {unknown} */ given) => `CASE WHEN ${IS_HELD('tasks')} THEN ${kept} ELSE ${given} END`;
  return `
    ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO UPDATE SET
      handler = excluded.handler, parameters = excluded.parameters, payload = excluded.payload, max_retries = excluded.max_retries,
      callback = excluded.callback, tags = excluded.tags, fingerprint = excluded.fingerprint, priority = excluded.priority, sent_at = NULL, hold = CASE WHEN hold IS NOT NULL THEN ${hold} END,
      run = ${unlessHeld('run', `run + (${due_at} < coalesce(due_at, 0) OR priority IS NOT excluded.priority)`)}, due_at = ${unlessHeld('due_at', due_at)},
      expires_at = ${unlessHeld('expires_at', expires_at)}, own_expires_at = ${unlessHeld('own_expires_at', expires_at)}
    WHERE ${IS_UNSTARTED}
    ON CONFLICT DO NOTHING`;
};

/**
 * Takes the keys ?1 from tasks that have started, so that tasks with `replacesPending` can have them. It does not take a key from a task of the same
 * submission that started after the submission: that task may be the submission's own, and its reply was lost.
 */
const RELEASE_KEYS = `
  UPDATE tasks SET idempotency_key = NULL, fingerprint = NULL FROM json_each(?1) AS asked
  WHERE idempotency_key = asked.value ->> 'key' AND NOT (${IS_UNSTARTED})
    AND NOT (fingerprint = asked.value ->> 'fingerprint' AND coalesce(started_at >= asked.value ->> 'created_ms', 0))`;

/** Counts a task that is older than what was counted so far: the task of a tick that is made up for. It does nothing if the task exists already. */
const COUNT_LATE = `
  UPDATE sweep_progress SET counted = counted + 1, unscanned = unscanned + (?1 > scanned_to),
    followed = CASE WHEN ?1 > scanned_to THEN followed ELSE json_insert(followed, '$[#]', ?1) END
  WHERE counted_to >= ?1 AND NOT EXISTS (SELECT 1 FROM tasks WHERE taskId = ?1)`;

const FIND_KEYS = `
  SELECT idempotency_key, fingerprint, taskId, run, status, ${IS_HELD('tasks')} AS isHeld, ${IS_UNSTARTED} AS isUnstarted FROM tasks
  WHERE idempotency_key IN (SELECT value FROM json_each(?1))`;

/** Group and priority are read last. If a task has none, SQLite sees that in the row's header, and does not read the payload, which comes before them. */
const SUMMARY = `taskId, status, handler, run, attempts, crashes, max_retries, progress, started_at, finished_at, due_at, expires_at, group_key, group_turn, priority`;

const FIND = `SELECT ${SUMMARY}, error, result, callback, parent, submitted_by, starts_after, waits_for, tags, ${CALLBACK_STATUS} FROM tasks WHERE taskId = ?1 AND expires_at > ?2`;

/** The columns that a list reads; the row's header shows whether a task has tags. */
const LISTED = `${SUMMARY}, error, tags IS NOT NULL AS isTagged`;

const PAYLOAD = 'SELECT payload FROM tasks WHERE taskId = ?1 AND expires_at > ?2';
const STORY = 'SELECT story, lease_expires_at, parameters FROM tasks WHERE taskId = ?1 AND expires_at > ?2';

/** The same as `isAbandoned` in `lease.js`. */
const IS_ABANDONED = (/** @type {string} */ task, /** @type {string} */ by) => `(${task}.lease_expires_at <= ?3
  OR (${task}.holder = ${by}.value ->> 'holder' AND ${task}.delivery < ${by}.value ->> 'delivery')
  OR EXISTS (SELECT 1 FROM json_each(${by}.value, '$.ended') AS ended
    WHERE ${task}.holder = ended.value ->> 'holder' AND ${task}.delivery <= ended.value ->> 'delivery'))`;

/** The same claim again, or one that was released. */
const IS_HELD_BY_ASKED = `(wanted.claim IS asked.value ->> 'claim' OR EXISTS (SELECT 1 FROM json_each(asked.value, '$.ended') AS ended
  WHERE wanted.holder = ended.value ->> 'holder' AND wanted.delivery = ended.value ->> 'released'))`;

/**
 * Which tasks can be claimed, as in `verdictOn` in `lease.js`: ?3 is now in milliseconds, ?4 in seconds, ?6 the stack's retries, ?7 whether the task
 * would run alone. A task of a group must have its turn. `bytes_before` adds up the payloads before it in the batch, so that the claimed tasks fit in
 * memory.
 */
const CLAIMABLE = `
  SELECT wanted.taskId AS wantedId, asked.value AS value, octet_length(payload) AS bytes,
    sum(octet_length(payload)) OVER (ORDER BY asked.key) - octet_length(payload) AS bytes_before,
    wanted.status = 'processing' AND NOT ${IS_HELD_BY_ASKED} AS isCrash
  FROM json_each(?1) AS asked JOIN tasks AS wanted ON wanted.taskId = asked.value ->> 'taskId'
  WHERE expires_at > ?4 AND CASE WHEN run = asked.value ->> 'run' THEN CASE wanted.status
      WHEN 'pending' THEN coalesce(due_at, 0) <= ?3 + ${EARLY_MS} AND attempts <= coalesce(max_retries, ?6) AND (group_key IS NULL OR group_turn = 0) AND NOT ${IS_PAUSED('wanted')}
      WHEN 'processing' THEN ${IS_HELD_BY_ASKED}
        OR (?7 AND crashes + 1 < ${MAX_CRASHES} AND ${IS_ABANDONED('wanted', 'asked')} AND NOT ${IS_PAUSED('wanted')})
      END
    ELSE wanted.status = 'failed' AND asked.value ->> 'redrive' AND run + 1 = asked.value ->> 'run' AND group_key IS NULL AND NOT ${IS_PAUSED('wanted')} END`;

/** A redrive starts a new run of a failed task, as `RETRY` does, and claims it at once. */
const CLAIM = `
  UPDATE tasks SET status = 'processing', run = delivery.value ->> 'run', lease_expires_at = ?2,
    attempts = CASE status WHEN 'failed' THEN 1 WHEN 'pending' THEN tasks.attempts + 1 ELSE tasks.attempts END,
    crashes = CASE WHEN status = 'failed' THEN 0 ELSE crashes + delivery.isCrash END,
    holder = delivery.value ->> 'holder', delivery = delivery.value ->> 'delivery', claim = delivery.value ->> 'claim',
    started_at = CASE WHEN status = 'failed' THEN ?3 ELSE coalesce(started_at, ?3) END,
    due_at = CASE WHEN status = 'failed' OR due_at IS NOT NULL THEN ?2 END,
    error = CASE WHEN status = 'failed' THEN NULL ELSE error END,
    expires_at = CASE WHEN status = 'failed' THEN max(expires_at, ?5) ELSE expires_at END,
    own_expires_at = CASE WHEN status = 'failed' THEN max(expires_at, ?5) ELSE own_expires_at END,
    finished_at = NULL, progress = NULL,
    story = CASE WHEN delivery.isCrash THEN ${CRASHED_STORY} ELSE story END
  FROM (${CLAIMABLE}) AS delivery
  WHERE taskId = delivery.wantedId AND (delivery.bytes_before = 0 OR delivery.bytes_before + delivery.bytes <= ${CLAIM_BYTES})
  RETURNING taskId, run, attempts, crashes, claim, handler, parameters, payload, max_retries, callback, parent, story, starts_after, group_key, priority, ${HAS_RATE} AS hasRate`;

const LEASED = `SELECT taskId, status, run, attempts, crashes, max_retries, due_at, lease_expires_at, holder, delivery, claim, expires_at,
    group_key, group_turn, ${IS_PAUSED('tasks')} AS isPaused
  FROM tasks WHERE taskId IN (SELECT value ->> 'taskId' FROM json_each(?1))`;

const IS_AT_CLAIM = (/** @type {string} */ name) => `
  taskId = ${name}.value ->> 'taskId' AND run = ${name}.value ->> 'run' AND claim = ${name}.value ->> 'claim'`;

/** The task may have the new status already. Then this outcome was written before, because no other outcome has the claim's name. */
const SETTLE = `
  UPDATE tasks SET status = outcome.value ->> 'status', result = outcome.value ->> 'result',
    error = outcome.value ->> 'error', progress = coalesce(outcome.value ->> 'progress', progress),
    due_at = outcome.value ->> 'next_attempt_ms', lease_expires_at = NULL,
    finished_at = CASE outcome.value ->> 'status' WHEN 'pending' THEN NULL ELSE outcome.value ->> 'ended_ms' END,
    payload = CASE WHEN outcome.value ->> 'status' = 'completed' AND NOT ?2 THEN NULL ELSE payload END,
    story = coalesce(outcome.value ->> 'story', story)
  FROM json_each(?1) AS outcome
  WHERE ${IS_AT_CLAIM('outcome')} AND status IN ('processing', outcome.value ->> 'status')
  RETURNING taskId, is_awaited`;

const REPORT = `
  UPDATE tasks SET progress = coalesce(report.value ->> 'progress', progress) FROM json_each(?1) AS report
  WHERE ${IS_AT_CLAIM('report')} AND status = 'processing'
  RETURNING taskId`;

/** Suspends tasks that `SETTLE` has just written. A suspended attempt is not counted, and its task lives for a day after it is due. It gives its turn
 * in its group to the next task. */
const SUSPEND = `
  UPDATE tasks SET attempts = outcome.value ->> 'attempts' - 1, group_turn = NULL,
    due_at = CASE WHEN EXISTS (SELECT 1 FROM events WHERE events.taskId = tasks.taskId AND name IN (SELECT value FROM json_each(outcome.value, '$.events')))
      THEN outcome.value ->> 'ended_ms' ELSE due_at END,
    expires_at = max(expires_at, due_at / 1000 + ${TASK_TTL_SECONDS}), own_expires_at = max(expires_at, due_at / 1000 + ${TASK_TTL_SECONDS})
  FROM json_each(?1) AS outcome
  WHERE ${IS_AT_CLAIM('outcome')} AND status = 'pending'`;

const STEPS = 'SELECT * FROM steps WHERE taskId = ?1';

const IS_CLAIMED = "SELECT 1 FROM tasks WHERE taskId = ?1 AND run = ?2 AND claim = ?3 AND status = 'processing'";

const KEEP_STEP = `
  INSERT OR REPLACE INTO steps (taskId, run, name, kind, status, attempts, started_at, finished_at, due_at, error, result)
  SELECT ?1, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 WHERE EXISTS (${IS_CLAIMED})`;

const EVENT = 'SELECT payload, received_at AS received_ms FROM events WHERE taskId = ?1 AND name = ?2';

const PUT_EVENT = `
  INSERT INTO events (taskId, name, received_at, payload)
  SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM tasks WHERE taskId = ?1 AND status IN ('pending', 'processing') AND expires_at > ?5)
  ON CONFLICT DO NOTHING`;

const IS_WAITING = "EXISTS (SELECT 1 FROM steps WHERE steps.taskId = ?1 AND name = ?2 AND kind = 'event' AND steps.status = 'waiting')";

const WAKE = `UPDATE tasks SET due_at = ?3 WHERE taskId = ?1 AND status = 'pending' AND due_at > ?3 AND due_at < ${HELD_UNTIL_MS} AND ${IS_WAITING}`;

const RECEIPT = `
  SELECT run, max_retries, priority, status = 'pending' AND ${IS_WAITING} AS isWaiting, received_at, events.payload AS payload
  FROM tasks JOIN events ON events.taskId = tasks.taskId AND name = ?2
  WHERE tasks.taskId = ?1 AND status IN ('pending', 'processing')`;

const BELONGING = `SELECT taskId FROM tasks, json_each(?1) AS report WHERE ${IS_AT_CLAIM('report')} AND status = 'processing'`;

/** The columns of an ended task from which its follow-up is computed. */
const ENDED_TASK = 'taskId, status, run, finished_at, callback, is_awaited, priority';

const CANCEL = `
  UPDATE tasks SET status = 'cancelled', finished_at = ?2, lease_expires_at = NULL, due_at = NULL
  WHERE taskId = ?1 AND status IN ('pending', 'processing') AND expires_at > ?3
  RETURNING ${ENDED_TASK}`;

const RETRY = `
  UPDATE tasks SET status = 'pending', run = run + 1, attempts = 0, crashes = 0, due_at = ?2,
    expires_at = max(expires_at, ?4), own_expires_at = max(expires_at, ?4), sent_at = NULL, started_at = NULL,
    finished_at = NULL, progress = NULL, error = NULL, holder = NULL, delivery = NULL, claim = NULL
  WHERE taskId = ?1 AND run = ?5 AND status IN ('failed', 'cancelled') AND expires_at > ?3`;

const RUN = 'SELECT run FROM tasks WHERE taskId = ?1 AND expires_at > ?2';

const ABANDON = `
  UPDATE tasks SET status = 'failed', error = ?2, finished_at = ?3, lease_expires_at = NULL, due_at = NULL,
    crashes = crashes + (status = 'processing'), story = CASE status WHEN 'processing' THEN ${CRASHED_STORY} ELSE story END
  FROM json_each(?1) AS lost
  WHERE taskId = lost.value ->> 'taskId' AND run = lost.value ->> 'run' AND attempts = lost.value ->> 'attempts'
    AND (status = 'pending' OR (status = 'processing' AND ${IS_ABANDONED('tasks', 'lost')}))
  RETURNING ${ENDED_TASK}`;

const MARK_SENT = `UPDATE tasks SET sent_at = ?2 WHERE taskId IN (SELECT value FROM json_each(?1))`;

/** The range of ids that may be deleted next: at most this many rows and bytes. */
const EXPIRE_END = `
  SELECT max(taskId) AS last FROM (
    SELECT taskId, bytes, sum(bytes) OVER (ORDER BY taskId) AS total FROM (
      SELECT taskId, coalesce(octet_length(payload), 0) + coalesce(octet_length(result), 0) AS bytes FROM tasks
      WHERE taskId > (SELECT expire_cursor FROM sweep_progress) AND taskId < ?1 ORDER BY taskId LIMIT ?2))
  WHERE total - bytes < ?3`;

/** Subtracts the rows to be deleted from what was counted. */
const EXPIRE_COUNTED = (/** @type {string} */ expired) => `
  UPDATE sweep_progress SET
    counted = counted - (SELECT count(*) FROM tasks WHERE ${expired} AND taskId <= counted_to),
    unscanned = max(0, unscanned - (SELECT count(*) FROM tasks WHERE ${expired} AND taskId > scanned_to AND taskId <= counted_to))`;

const EXPIRED = 'own_expires_at IS NULL AND taskId > (SELECT expire_cursor FROM sweep_progress) AND taskId <= ?1';
const EXPIRE = `DELETE FROM tasks WHERE ${EXPIRED} RETURNING 1`;

const EXPIRE_ADVANCE = 'UPDATE sweep_progress SET expire_cursor = ?1';

const REMOVED = "taskId = ?1 AND status IN ('completed', 'failed', 'cancelled')";
const REMOVE = `DELETE FROM tasks WHERE ${REMOVED} RETURNING 1`;

const EXPIRED_OWN = `taskId IN (
  SELECT taskId FROM (
    SELECT taskId, bytes, sum(bytes) OVER (ORDER BY own_expires_at, taskId) AS total FROM (
      SELECT taskId, own_expires_at, coalesce(octet_length(payload), 0) + coalesce(octet_length(result), 0) AS bytes FROM tasks
      WHERE own_expires_at <= ?1 ORDER BY own_expires_at, taskId LIMIT ?2))
  WHERE total - bytes < ?3)`;
const EXPIRE_OWN = `DELETE FROM tasks WHERE ${EXPIRED_OWN} RETURNING 1`;

const OPEN = `taskId, run, attempts, max_retries, sent_at AS sent_at_ms, due_at, priority, status = 'processing' AS isHeld`;

const OPEN_DUE = `
  SELECT ${OPEN} FROM tasks WHERE due_at IS NOT NULL AND due_at < ?1 AND (due_at, taskId) > (?2, ?3) AND expires_at > ?4 AND NOT ${IS_PAUSED('tasks')}
  ORDER BY due_at, taskId LIMIT ${PAGE_TASKS}`;

/** A window of rows after an id that are old enough, oldest first: the open ones, and the total number. */
const WINDOW = `
  WITH swept AS (SELECT taskId, status, handler, run, attempts, max_retries, sent_at, due_at, lease_expires_at, expires_at, priority FROM tasks
    WHERE taskId > ?1 AND taskId < ?2 ORDER BY taskId LIMIT ${WINDOW_ROWS})`;
const OPEN_IN_WINDOW = `${WINDOW}
  SELECT ${OPEN} FROM swept WHERE due_at IS NULL AND expires_at > ?4
    AND (status = 'pending' OR (status = 'processing' AND lease_expires_at <= ?3)) AND NOT ${IS_PAUSED('swept')} ORDER BY taskId`;
const WHOLE_WINDOW = `${WINDOW}
  SELECT count(*) AS rows, max(taskId) AS last,
    min(CASE WHEN due_at IS NULL AND status IN ('pending', 'processing') THEN taskId END) AS open FROM swept`;

const SWEEP_POSITION = 'SELECT cursor, first_open FROM sweep_progress';
const SWEEP_ADVANCE = 'UPDATE sweep_progress SET cursor = ?1, first_open = ?2';

const PROBES = 'SELECT probes FROM sweep_progress';
const SET_PROBES = 'UPDATE sweep_progress SET probes = ?1';

const COUNT_SWEEP = `
  UPDATE sweep_progress SET expired = expired + ?1, resent = resent + ?2, returned = returned + ?3, failed = failed + ?4`;

const GLANCE = 'taskId, status, handler, finished_at, due_at';

const TALLY = `
  SELECT counted_to, counted, scanned_to, unscanned, tally, expired, resent, returned, failed, (SELECT min(taskId) FROM tasks) AS first
  FROM sweep_progress`;
const FOLLOWED = `
  SELECT ${GLANCE} FROM tasks WHERE taskId IN (SELECT value FROM json_each((SELECT followed FROM sweep_progress)) LIMIT ?1)`;
const WAITING_SOON = `
  SELECT ${GLANCE} FROM tasks WHERE due_at IS NOT NULL AND due_at < ?1 AND taskId <= (SELECT scanned_to FROM sweep_progress)
  ORDER BY due_at LIMIT ?2`;
const UNSCANNED = `
  SELECT ${GLANCE} FROM tasks WHERE taskId > coalesce(?1, (SELECT scanned_to FROM sweep_progress))
    AND taskId <= (SELECT counted_to FROM sweep_progress) ORDER BY taskId LIMIT ?2`;
const UNCOUNTED = `
  SELECT ${GLANCE} FROM tasks WHERE taskId > coalesce(?1, (SELECT counted_to FROM sweep_progress)) AND taskId < ?2 ORDER BY taskId LIMIT ?3`;

/** The tasks that indexes can count; see `indexed` of a `Tally`. */
const INDEXED = `
  SELECT status, count(*) AS count FROM (SELECT status FROM tasks WHERE status IN ('failed', 'cancelled') LIMIT ?1) GROUP BY status
  UNION ALL SELECT status, count(*) FROM (SELECT status FROM tasks WHERE due_at IS NOT NULL LIMIT ?1) GROUP BY status`;

/** It changes nothing if another sweep was faster. */
const SET_TALLY = `
  UPDATE sweep_progress SET counted = counted + ?1, unscanned = max(0, unscanned + ?2), counted_to = ?3, scanned_to = ?4, followed = ?5, tally = ?6
  WHERE counted_to = ?7 AND scanned_to = ?8 AND tally IS ?9`;

/** Sorts after every id. */
const LAST_ID = 'g';

/** @implements {Store} */
export class TaskTable {
  settling_seconds = 0;
  hasGroups = true;
  tells = false;
  holds = true;
  /** The name of the database or object in reports and errors. */
  name = 'DB';

  /**
   * @param {Run} run
   * @param {TableSettings} settings
   */
  constructor(run, { MAX_RETRIES, KEEP_PAYLOAD }) {
    this.run = run;
    this.max_retries = Number(MAX_RETRIES);
    this.keepsPayload = KEEP_PAYLOAD === 'always';
  }

  /**
   * @param {NewTask[]} tasks
   * @returns {Promise<(Insertion | Error)[]>}
   */
  async insert(tasks) {
    const now_ms = Date.now();
    const keys = JSON.stringify(tasks.flatMap(({ idempotency }) => idempotency?.key ?? []));
    const hasKeys = keys !== '[]';
    const replacing = tasks.filter(({ replacesPending }) => replacesPending).map(({ taskId, idempotency }) => ({ ...idempotency, created_ms: creationTime(taskId) }));
    const groups = groupsOf(tasks);
    const inLine = tasks.filter((task) => comesToLine(task, now_ms)).map(({ taskId }) => taskId);
    const before = [
      ...(hasKeys ? [statement(FORGET_EXPIRED_KEYS, keys, seconds(now_ms))] : []),
      ...(replacing.length > 0 ? [statement(RELEASE_KEYS, JSON.stringify(replacing))] : []),
      ...(groups.length > 0 ? [statement(PUT_GROUPS, JSON.stringify(groups))] : []),
      ...tasks.flatMap((task) => [...(mayBeLate(task) ? [statement(COUNT_LATE, task.taskId)] : []), insertion(task, now_ms)]),
    ];
    const admissions = inLine.length === 0 ? [] : [
      ...groups.map(({ name }) => statement(ADMIT_GROUP, name, now_ms)),
      statement(TURNS, JSON.stringify(inLine)), // for a repeated insert, the turns of the first time are included
    ];
    const results = await this.run([...before, ...admissions, ...(hasKeys ? [statement(FIND_KEYS, keys)] : [])]);
    const follows = admittedRuns(results.slice(before.length, before.length + admissions.length).flat(), now_ms);
    const holders = new Map(hasKeys ? results.at(-1)?.map((row) => [row['idempotency_key'], row]) : []);
    return tasks.map((task, index) => {
      const { taskId, idempotency, replacesPending = false } = task;
      const isNewHeld = task.isHeld || inLine.includes(taskId); // a task that joins a line is submitted with those that follow
      const holder = holders.get(idempotency?.key) ?? { taskId, run: 1, status: 'pending', fingerprint: undefined, isHeld: isNewHeld };
      const isNew = holder['taskId'] === taskId;
      return {
        taskId: holder['taskId'], run: holder['run'], status: holder['status'], isNew,
        conflict: !isNew && holder['fingerprint'] !== idempotency?.fingerprint, isHeld: isNew ? isNewHeld : Boolean(holder['isHeld']),
        ...(replacesPending && !isNew && holder['isUnstarted'] && { isReplaced: true }),
        ...(index === 0 && follows.length > 0 && { follows }),
      };
    });
  }

  /**
   * @param {string} taskId
   * @returns {Promise<TaskRecord | null>}
   */
  async find(taskId) {
    const [row] = await this.#rows(FIND, taskId, seconds(Date.now()));
    return row ? { ...summary(row), result: row['result'], callback: callbackState(row), parent: row['parent'] ?? row['submitted_by'], after: afterState(row) } : null;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<KeptPayload | null>}
   */
  async payload(taskId) {
    const [[row] = []] = await this.run([{ ...statement(PAYLOAD, taskId, seconds(Date.now())), answer_bytes: ANSWERED_PAYLOAD_BYTES }]);
    return row ? { payload: row['payload'] === null ? null : payloadOf(row) } : null;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<KeptStory | null>}
   */
  async story(taskId) {
    const [row] = await this.#rows(STORY, taskId, seconds(Date.now()));
    return row ? { story: row['story'], lease_expires_ms: row['lease_expires_at'], parameters: JSON.parse(row['parameters'] ?? '{}') } : null;
  }

  /**
   * Nothing calls this, because this store does not have `tells`.
   *
   * @param {TaskRecord} _task
   * @param {number} _wait_ms
   */
  async changed(_task, _wait_ms) {}

  /**
   * @param {Delivery[]} deliveries one for each task
   * @param {boolean} [isAlone]
   * @returns {Promise<Map<string, ClaimAnswer>>}
   */
  async claim(deliveries, isAlone = false) {
    const now_ms = Date.now();
    const [rows = []] = await this.run([this.#claim(deliveries, now_ms, isAlone)]);
    const answers = claimedAnswers(rows);
    if (rows.length < deliveries.length) {
      const left = deliveries.filter(({ taskId }) => !answers.has(taskId));
      const found = leasedRows(await this.#rows(LEASED, JSON.stringify(left)));
      const joining = left.filter((delivery) => this.#maySeekTurn(found.get(delivery.taskId), delivery, now_ms, isAlone));
      const sought = joining.length > 0 ? await this.#seekTurns(joining, found, now_ms, isAlone) : new Map();
      for (const delivery of left) answers.set(delivery.taskId, sought.get(delivery.taskId) ?? this.#whyNot(found.get(delivery.taskId), delivery, now_ms, isAlone));
    }
    await this.#followStarts(rows, answers, now_ms);
    return answers;
  }

  /**
   * @param {Delivery[]} deliveries
   * @param {number} now_ms
   * @param {boolean} isAlone
   * @returns {Statement}
   */
  #claim(deliveries, now_ms, isAlone) {
    const now_seconds = seconds(now_ms);
    return {
      ...statement(
        CLAIM, JSON.stringify(deliveries), now_ms + LEASE_SECONDS * 1000, now_ms, now_seconds, now_seconds + TASK_TTL_SECONDS, this.max_retries, Number(isAlone),
      ),
      answer_bytes: CLAIM_BYTES,
    };
  }

  /**
   * @param {LeasedRow | undefined} found
   * @param {Delivery} delivery
   * @param {number} now_ms
   * @param {boolean} isAlone
   * @returns {boolean} whether it might be claimed if it had its turn, and has not joined its group's line yet: after its delay, as a later run, or
   *   after a wait of its steps
   */
  #maySeekTurn(found, delivery, now_ms, isAlone) {
    if (!found || found.isPaused || found.group_key === null || found.group_turn !== null || found.status === 'processing' || found.expires_at * 1000 <= now_ms) return false;
    return verdictOn(found, delivery, { now_ms, max_retries: this.max_retries, isAlone }) === 'take';
  }

  /**
   * Lets tasks join their groups' lines, and claims those that get their turn at once.
   *
   * @param {Delivery[]} deliveries
   * @param {Map<string, LeasedRow>} found
   * @param {number} now_ms
   * @param {boolean} isAlone
   * @returns {Promise<Map<string, ClaimAnswer>>}
   */
  async #seekTurns(deliveries, found, now_ms, isAlone) {
    const now_seconds = seconds(now_ms);
    const redriven = deliveries.filter(({ taskId }) => found.get(taskId)?.status === 'failed');
    const groups = new Set(deliveries.map(({ taskId }) => String(found.get(taskId)?.group_key)));
    const before = [
      ...redriven.map(({ taskId, run }) => statement(RETRY, taskId, now_ms, now_seconds, now_seconds + TASK_TTL_SECONDS, run - 1)),
      statement(JOIN, JSON.stringify(deliveries.map(({ taskId }) => taskId)), now_ms),
    ];
    const results = await this.run([
      ...before, ...[...groups].map((name) => statement(ADMIT_GROUP, name, now_ms)), this.#claim(deliveries, now_ms, isAlone), statement(LEASED, JSON.stringify(deliveries)),
    ]);
    const rows = results.at(-2) ?? [];
    const answers = claimedAnswers(rows);
    const now = leasedRows(results.at(-1) ?? []);
    for (const delivery of deliveries) {
      if (!answers.has(delivery.taskId)) answers.set(delivery.taskId, this.#whyNot(now.get(delivery.taskId), delivery, now_ms, isAlone));
    }
    const others = admittedRuns(results.slice(before.length, -2).flat(), now_ms).filter(({ taskId }) => !answers.has(taskId));
    const [first] = answers.values();
    if (first) first.follows = others;
    await this.#followStarts(rows, answers, now_ms);
    return answers;
  }

  /**
   * If a group has a rate, the start of a task determines when the next one may start. If this is lost, the sweep repairs it.
   *
   * @param {Row[]} rows rows of claimed tasks
   * @param {Map<string, ClaimAnswer>} answers answers, to which the follow-up is added
   * @param {number} now_ms
   */
  async #followStarts(rows, answers, now_ms) {
    const groups = new Map(rows.filter(({ hasRate }) => hasRate).map(({ group_key, taskId }) => [group_key, taskId]));
    if (groups.size === 0) return;
    try {
      const results = await this.run([...groups.keys()].map((name) => statement(ADMIT_GROUP, name, now_ms)));
      [...groups.values()].forEach((taskId, index) => {
        const answer = /** @type {ClaimAnswer} */ (answers.get(taskId));
        answer.follows = [...answer.follows ?? [], ...admittedRuns(results[index] ?? [], now_ms)];
      });
    } catch (error) {
      if (!isStoreError(error)) throw error;
    }
  }

  /**
   * @param {Outcome[]} outcomes
   * @returns {Promise<Settled>}
   */
  async settle(outcomes) {
    const rows = outcomes.map(({ callback: _, group: __, priority: ___, ...outcome }) => JSON.stringify({
      ...outcome,
      ...('error' in outcome && { error: outcome.error && JSON.stringify(outcome.error) }),
      progress: outcome.progress && JSON.stringify(outcome.progress),
    }));
    const suspended = outcomes.filter((outcome) => outcome.status === 'pending' && outcome.suspended);
    const statements = jsonArrays(rows).map((array) => statement(SETTLE, array, Number(this.keepsPayload)));
    if (suspended.length > 0) statements.push(statement(SUSPEND, JSON.stringify(suspended)));
    const told = outcomes.filter(({ callback, status }) => tellsOf(callback, status)).map(({ taskId }) => taskId);
    if (told.length > 0) statements.push(statement(MAKE_CALLBACKS, JSON.stringify(told)));
    const now_ms = Date.now();
    const groups = new Set(outcomes.filter(givesTurn).map(({ group = '' }) => group));
    const admissions = [...groups].map((name) => statement(ADMIT_GROUP, name, now_ms));
    /** @type {Row[]} */
    let settled = [];
    /** @type {Row[]} */
    let admitted = [];
    const found = await standings(outcomes, async () => {
      const results = await this.run([...statements, ...admissions]);
      settled = results.slice(0, statements.length).flat();
      admitted = results.slice(statements.length).flat();
      return ids(settled);
    });
    const ours = outcomes.filter(({ taskId }) => found.get(taskId) === 'ours');
    const awaited = ids(settled.filter(({ is_awaited }) => is_awaited));
    const callbacks = ours.flatMap(({ ended_ms, ...outcome }) => callbackRuns({ ...outcome, finished_ms: ended_ms }));
    const ended = ours.filter(({ taskId, status }) => awaited.has(taskId) && ENDED.has(status)).map(({ taskId, status }) => ({ taskId, status }));
    return { standings: found, followUp: followUpOf({ runs: [...callbacks, ...admittedRuns(admitted, now_ms)], ended }) };
  }

  /** @param {(AttemptName & {progress: Progress | null})[]} reports */
  report(reports) {
    const parameter = JSON.stringify(reports.map((each) => ({ ...each, progress: each.progress && JSON.stringify(each.progress) })));
    const hasNews = reports.some(({ progress }) => progress);
    return standings(reports, async () => ids(await this.#rows(hasNews ? REPORT : BELONGING, parameter)));
  }

  /**
   * @param {string} taskId
   * @returns {Promise<StepRecord[]>}
   */
  async steps(taskId) {
    return (await this.#rows(STEPS, taskId)).map(stepRecord);
  }

  /**
   * @param {AttemptName} attempt
   * @param {StepRecord} step
   * @returns {Promise<Standing>}
   */
  async keepStep({ taskId, run, claim }, { name, kind, status, attempts, started_ms, finished_ms, due_ms, error, result }) {
    const [, held = []] = await this.run([
      statement(KEEP_STEP, taskId, run, claim, name, kind, status, attempts, started_ms, finished_ms, due_ms, error && JSON.stringify(error), result),
      statement(IS_CLAIMED, taskId, run, claim),
    ]);
    return held.length > 0 ? 'ours' : 'superseded';
  }

  /**
   * @param {string} taskId
   * @param {string} name
   * @returns {Promise<TaskEvent | null>}
   */
  async event(taskId, name) {
    const [row] = await this.#rows(EVENT, taskId, name);
    return /** @type {TaskEvent | undefined} */ (row) ?? null;
  }

  /**
   * @param {string} taskId
   * @param {string} name
   * @param {TaskEvent} event
   * @returns {Promise<EventReceipt | null>}
   */
  async putEvent(taskId, name, { payload, received_ms }) {
    const [, , [row] = []] = await this.run([
      statement(PUT_EVENT, taskId, name, received_ms, payload, seconds(received_ms)),
      statement(WAKE, taskId, name, received_ms),
      statement(RECEIPT, taskId, name),
    ]);
    if (!row) return null;
    const { run, max_retries, priority, isWaiting } = row;
    return { isFirst: row['received_at'] === received_ms && row['payload'] === payload, waiting: isWaiting ? { run, max_retries, ...withPriority(priority) } : null };
  }

  /**
   * @param {string} taskId
   * @returns {Promise<FollowUp | null>}
   */
  async cancel(taskId) {
    const now_ms = Date.now();
    // It is not known yet whether the task has a callback or a group, and finding out costs as much as trying.
    const [rows = [], , admitted = []] = await this.run([
      statement(CANCEL, taskId, now_ms, seconds(now_ms)), statement(MAKE_CALLBACKS, JSON.stringify([taskId])), statement(ADMIT_AFTER, taskId, now_ms),
    ]);
    const follows = followUpOf({ runs: admittedRuns(admitted, now_ms) });
    return rows.length > 0 ? mergeFollowUps([followUpOfEnded(rows), follows]) : null;
  }

  /**
   * @param {string} taskId
   * @param {number} run
   * @returns {Promise<number | null>}
   */
  async retry(taskId, run) {
    const now_ms = Date.now();
    const now_seconds = seconds(now_ms);
    const [, [row] = []] = await this.run([
      statement(RETRY, taskId, now_ms, now_seconds, now_seconds + TASK_TTL_SECONDS, run),
      statement(RUN, taskId, now_seconds),
    ]);
    return row?.['run'] === run + 1 ? run + 1 : null;
  }

  /** @param {string} taskId */
  async remove(taskId) {
    const [, rows = []] = await this.run([statement(EXPIRE_COUNTED(REMOVED), taskId), statement(REMOVE, taskId)]);
    return rows.length > 0;
  }

  /**
   * @param {Abandoned[]} lost
   * @param {TaskError} error
   * @returns {Promise<FollowUp>}
   */
  async abandon(lost, error) {
    const now_ms = Date.now();
    const [rows = [], , ...admitted] = await this.run([
      statement(ABANDON, JSON.stringify(lost), JSON.stringify(error), now_ms),
      statement(MAKE_CALLBACKS, JSON.stringify(lost.map(({ taskId }) => taskId))),
      ...lost.map(({ taskId }) => statement(ADMIT_AFTER, taskId, now_ms)),
    ]);
    return mergeFollowUps([followUpOfEnded(rows), followUpOf({ runs: admittedRuns(admitted.flat(), now_ms) })]);
  }

  /**
   * @param {string[]} taskIds
   * @returns {Promise<Map<string, Status>>}
   */
  async statuses(taskIds) {
    return statusMap(await this.#rows(STATUSES_OF, JSON.stringify(taskIds), seconds(Date.now())));
  }

  /**
   * @param {string[]} taskIds
   * @param {number} bytes
   * @returns {Promise<TaskResult[]>}
   */
  async results(taskIds, bytes) {
    const [rows = []] = await this.run([{ ...statement(RESULTS, JSON.stringify(taskIds), seconds(Date.now()), bytes), answer_bytes: bytes }]);
    return rows.map(({ error, ...row }) => /** @type {TaskResult} */ ({ ...row, error: JSON.parse(error ?? 'null') }));
  }

  /**
   * @param {Link[]} links
   * @returns {Promise<Map<string, Status>>}
   */
  async awaitEnds(links) {
    const parameter = JSON.stringify(links);
    const awaited = JSON.stringify([...new Set(links.map((link) => link.awaited))]);
    const [, , rows = []] = await this.run([
      statement(MARK_AWAITED, parameter), statement(KEEP_DEPENDENTS, parameter), statement(STATUSES_OF, awaited, seconds(Date.now())),
    ]);
    return statusMap(rows);
  }

  /**
   * @param {string[]} awaited
   * @returns {AsyncGenerator<Link[]>}
   */
  async *dependents(awaited) {
    const parameter = JSON.stringify(awaited);
    for (let after = { awaited: '', taskId: '' }; ;) {
      const links = /** @type {Link[]} */ (await this.#rows(DEPENDENTS, parameter, after.awaited, after.taskId));
      if (links.length > 0) yield links;
      if (links.length < TOLD_TASKS) return;
      after = /** @type {Link} */ (links.at(-1));
    }
  }

  /**
   * @param {LinkEnd[]} ends
   * @returns {Promise<FollowUp>}
   */
  async tell(ends) {
    const told = toldOf(ends);
    const parts = [];
    for (let start = 0; start < told.length; start += TOLD_TASKS) parts.push(await this.#tell(told.slice(start, start + TOLD_TASKS)));
    return mergeFollowUps(parts);
  }

  /** @returns {Promise<Link[]>} */
  async waiting() {
    const [[position] = [], rows = []] = await this.run([statement(WAITING_POSITION), statement(WAITING)], 'alone');
    const links = /** @type {Link[]} */ (rows);
    // The last task may have more links than fit, and is then examined the next time.
    const whole = links.length < SWEPT_LINKS ? links : links.filter(({ taskId }) => taskId !== links.at(-1)?.taskId);
    const cursor = links.length < SWEPT_LINKS ? '' : whole.at(-1)?.taskId ?? '';
    if (cursor !== position?.['waiting_cursor']) await this.#rows(WAITING_ADVANCE, cursor);
    return whole;
  }

  /**
   * Makes held tasks due; each waits for its own delay from now on.
   *
   * @param {string[]} taskIds
   * @returns {Promise<Submission[]>} their runs, which must be submitted
   */
  async release(taskIds) {
    const now_ms = Date.now();
    return releasedRuns(await this.#rows(RELEASE('SELECT value FROM json_each(?1)'), JSON.stringify(taskIds), now_ms), now_ms);
  }

  /**
   * @param {string[]} taskIds
   * @param {number} sent_at_ms
   */
  async markSent(taskIds, sent_at_ms) {
    await this.#rows(MARK_SENT, JSON.stringify(taskIds), sent_at_ms);
  }

  /**
   * First tasks that had to wait or are not in their first attempt; then new ones, from where the last sweep stopped. A round ends with the youngest
   * task that is old enough. The next round starts at the oldest task that was unfinished, so that finished ones before it are never read again.
   *
   * @param {number} before_ms
   * @returns {AsyncGenerator<OpenTask[]>}
   */
  async *open(before_ms) {
    let after = { due_at: 0, taskId: '' };
    for (;;) {
      const [rows = []] = await this.run([statement(OPEN_DUE, before_ms, after.due_at, after.taskId, seconds(Date.now()))], 'alone');
      if (rows.length > 0) yield rows.map(openTask);
      if (rows.length < PAGE_TASKS) break;
      after = /** @type {typeof after} */ (rows.at(-1));
    }
    const [start] = /** @type {[{cursor: string, first_open: string | null}]} */ (await this.#rows(SWEEP_POSITION));
    let { cursor, first_open } = start;
    const frontier = timePrefix(before_ms);
    try {
      for (let read = 0; read < SWEEP_ROWS; read += WINDOW_ROWS) {
        const [rows = [], [window] = []] = await this.run([
          statement(OPEN_IN_WINDOW, cursor, frontier, Date.now(), seconds(Date.now())), statement(WHOLE_WINDOW, cursor, frontier),
        ], 'alone');
        for (let first = 0; first < rows.length; first += PAGE_TASKS) yield rows.slice(first, first + PAGE_TASKS).map(openTask);
        first_open ??= window?.['open'];
        cursor = window?.['last'] ?? cursor;
        if (window?.['rows'] === WINDOW_ROWS) continue;
        cursor = first_open?.slice(0, timePrefix(0).length) ?? cursor;
        first_open = null;
        break;
      }
    } finally {
      if (cursor !== start.cursor || first_open !== start.first_open) await this.#rows(SWEEP_ADVANCE, cursor, first_open);
    }
  }

  /**
   * Deletes the oldest tasks first, in chunks. After a chunk that took long or failed the next one is smaller, so that the deletion always makes
   * progress.
   *
   * @param {() => boolean} isTimeUp
   */
  async expire(isTimeUp) {
    const size = { rows: EXPIRE_ROWS, bytes: EXPIRE_BYTES };
    let expired = 0;
    for (const chunk of [this.#expireByAge.bind(this), this.#expireByOwnTime.bind(this)]) {
      while (!isTimeUp()) {
        const start_ms = Date.now();
        const deleted = await chunk(size).catch((error) => {
          if (!isStoreError(error) || size.rows === 1) throw error;
          return -1;
        });
        if (deleted === null) break;
        expired += Math.max(deleted, 0);
        if (deleted < 0 || Date.now() - start_ms > EXPIRE_LONG_MS) {
          size.rows = Math.ceil(size.rows / 4);
          size.bytes = Math.ceil(size.bytes / 4);
        }
      }
    }
    return expired;
  }

  /** @param {SweepCounts} counts */
  async countSweep({ expired, resent, returned, failed }) {
    await this.run([statement(COUNT_SWEEP, expired, resent, returned, failed)], 'once'); // a repetition would count twice
  }

  /** @returns {Promise<Probe[]>} */
  async probes() {
    const [row] = await this.#rows(PROBES);
    return JSON.parse(row?.['probes'] ?? '[]');
  }

  /** @param {Probe[]} probes */
  async setProbes(probes) {
    await this.#rows(SET_PROBES, JSON.stringify(probes));
  }

  /** @returns {Promise<Fill[]>} nothing: the owner of the database reports it */
  async fill() {
    return [];
  }

  /** @returns {Promise<RunningVersion[]>} nothing: only an object has code of its own */
  async workerVersions() {
    return [];
  }

  /**
   * @param {Query} query
   * @returns {Promise<Page>}
   */
  async list({ status, handler, group = null, tags = null, parent = null, limit, cursor, since = '', error = null }) {
    const isIndexed = status === null || (parent === null && (status === 'failed' || status === 'cancelled'));
    const window_rows = isIndexed && handler === null && group === null && tags === null && error === null ? limit + 1 : LIST_ROWS;
    const wanted = tagTexts(tags ?? NO_TAGS);
    const ofParent = parent === null ? [] : [parent];
    const hasOwnTags = parent !== null || tags !== null;
    // The parent is the last parameter of both statements.
    const window = (/** @type {number} */ place) => (parent !== null ? childrenWindow(place) : tags !== null ? TAGGED_WINDOW : listWindow(status));
    const looked = window(FILTER_PARAMETERS + wanted.length + 1);
    const found = hasOwnTags ? `SELECT ${LISTED}, ownTags FROM (${looked}) CROSS JOIN tasks USING (taskId) ${WITH_TAGS(wanted.length)}` : looked;
    const before = cursor ?? LAST_ID;
    const [rows = [], [seen] = []] = await this.run([
      statement(
        `SELECT *, ${hasOwnTags ? 'ownTags' : TAGS_OF('listed')} AS tags FROM (${found}) AS listed WHERE status = coalesce(?2, status) AND handler = coalesce(?5, handler) AND expires_at > ?6
           AND (?8 IS NULL OR instr(lower(error ->> 'name' || ': ' || (error ->> 'message')), lower(?8)))
           AND (?9 IS NULL OR ${KEY_OF_GROUP} = ?9)
         ORDER BY taskId DESC LIMIT ?7`,
        before, status, window_rows, since, handler, seconds(Date.now()), limit + 1, error, group, ...wanted, ...ofParent,
      ),
      statement(`SELECT count(*) AS rows, min(taskId) AS last FROM (${window(WINDOW_PARAMETERS + 1)})`, before, status, window_rows, since, ...ofParent),
    ]);
    const tasks = rows.slice(0, limit).map(summary).map(shortened);
    if (rows.length > limit) return { tasks, cursor: tasks.at(-1)?.taskId ?? null };
    return { tasks, cursor: seen?.['rows'] === window_rows ? seen['last'] : null };
  }

  /** @returns {Promise<KeptSchedule[]>} */
  async schedules() {
    return /** @type {KeptSchedule[]} */ (await this.#rows(SCHEDULES));
  }

  sweptSchedules() {
    return this.schedules();
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  async changeSchedule(name, before, after) {
    const [rows = []] = await this.run([changeOfSchedule(name, before, after)]);
    return rows.length > 0;
  }

  /** @returns {Promise<Pause[]>} */
  async pauses() {
    return /** @type {Pause[]} */ (await this.#rows(PAUSES));
  }

  /**
   * @param {string} handler
   * @param {number | null} paused_ms
   */
  async setPause(handler, paused_ms) {
    await this.run([changeOfPause(handler, paused_ms)]);
  }

  async carryOver() {} // this store is one part

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  async note(name) {
    const [row] = await this.#rows(NOTE, name);
    return row?.['note'] ?? null;
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  async changeNote(name, before, after) {
    const [rows = []] = await this.run([changeOfNote(name, before, after)]);
    return rows.length > 0;
  }

  /** @param {(name: string) => Group} groupOf */
  async refreshGroups(groupOf) {
    /** @type {Submission[]} */
    const runs = [];
    await this.#rows(FORGET_GROUPS, Date.now());
    for (let after = '', isLast = false; !isLast;) {
      const rows = await this.#rows(WAITING_GROUPS, after);
      isLast = rows.length < PAGE_GROUPS;
      after = rows.at(-1)?.['name'] ?? after;
      const changed = rows.map((row) => ({ row, group: groupOf(row['name']) })).filter(({ row, group }) => row['free_turns'] > 0 || hasOtherLimits(row, group));
      for (let start = 0; start < changed.length; start += ADMITTED_GROUPS) {
        const groups = changed.slice(start, start + ADMITTED_GROUPS).map(({ group }) => group);
        const now_ms = Date.now();
        const [, ...admitted] = await this.run([statement(PUT_GROUPS, JSON.stringify(groups)), ...groups.map(({ name }) => statement(ADMIT_GROUP, name, now_ms))], 'alone');
        runs.push(...admittedRuns(admitted.flat(), now_ms));
      }
    }
    return followUpOf({ runs });
  }

  async tally() {
    const now_ms = Date.now();
    const soon_ms = now_ms + FOLLOWED_MS;
    const [[start] = [], followed = [], waiting = []] = await this.run([
      statement(TALLY), statement(FOLLOWED, FOLLOWED_TASKS), statement(WAITING_SOON, soon_ms, FOLLOWED_TASKS),
    ], 'alone');
    const { counted_to, counted, scanned_to, unscanned, tally: before, first } = /** @type {TallyRow} */ (start);
    if (first === null && before === null) return; // there is nothing to count yet
    const look = new Look(before, now_ms, soon_ms);
    for (const row of followed) look.follow(/** @type {Glanced} */ (row));
    for (const row of waiting) if (look.hasRoom()) look.follow(/** @type {Glanced} */ (row));

    const at = { counted_to, scanned_to, counted: first === null ? -counted : 0, unscanned };
    let isBehind = scanned_to < counted_to;
    let read = 0;
    while (isBehind && look.hasRoom() && read < TALLY_ROWS) {
      const rows = await this.#glances(UNSCANNED, at.scanned_to, TALLY_CHUNK_ROWS);
      read += rows.length;
      for (const row of rows) {
        if (!look.hasRoom()) break;
        look.follow(row);
        at.scanned_to = row.taskId;
        at.unscanned--;
      }
      if (rows.length === TALLY_CHUNK_ROWS || !look.hasRoom()) continue;
      [at.scanned_to, at.unscanned, isBehind] = [counted_to, 0, false];
    }
    look.tally.isAll = false;
    const frontier = timePrefix(now_ms - SWEEP_GRACE_SECONDS * 1000); // younger tasks may still be stored in any order
    for (let isLast = false; !isLast && read < TALLY_ROWS;) {
      const rows = await this.#glances(UNCOUNTED, at.counted_to, frontier, TALLY_CHUNK_ROWS);
      read += rows.length;
      isLast = rows.length < TALLY_CHUNK_ROWS;
      for (const row of rows) {
        look.submitted(row);
        at.counted++;
        at.counted_to = row.taskId;
        isBehind ||= !look.hasRoom();
        if (isBehind) {
          at.unscanned++;
          continue;
        }
        look.follow(row);
        at.scanned_to = row.taskId;
      }
      look.tally.isAll = isLast;
    }
    // Tasks after these times were not all counted yet.
    const behind_ms = [...(look.tally.isAll ? [] : [at.counted_to]), ...(isBehind ? [at.scanned_to] : [])].map(creationTime);
    const as_of_ms = now_ms - SWEEP_GRACE_SECONDS * 1000;
    look.tally.as_of_ms = as_of_ms;
    look.history.tally_ms = as_of_ms;
    look.history.until_ms = Math.min(as_of_ms, ...behind_ms);
    if (look.wantsIndexes()) look.indexed(await this.#rows(INDEXED, INDEXED_ROWS + 1), INDEXED_ROWS);
    await this.run([statement(
      SET_TALLY, at.counted, at.unscanned - unscanned, at.counted_to, at.scanned_to, JSON.stringify([...look.followed]),
      JSON.stringify(look.tally), counted_to, scanned_to, before,
    )], 'alone');
  }

  /** @returns {Promise<Statistics>} the present numbers, if little has changed since the sweeper counted */
  async statistics() {
    const now_ms = Date.now();
    const most = LIVE_ROWS + 1;
    const [[start] = [], followed = [], unscanned = [], uncounted = [], indexed = []] = await this.run([
      statement(TALLY), statement(FOLLOWED, most), statement(UNSCANNED, null, most), statement(UNCOUNTED, null, LAST_ID, most), statement(INDEXED, most),
    ], 'alone');
    const row = /** @type {TallyRow} */ (start);
    const look = new Look(row.tally, now_ms, now_ms);
    look.indexed(indexed, LIVE_ROWS);
    const isLive = look.tally.indexed.isAll && [followed, unscanned, uncounted].every(({ length }) => length <= LIVE_ROWS);
    const kept = /** @type {Tally} */ (JSON.parse(row.tally ?? 'null') ?? newTally());
    // The counters are those of the last sweep, even if the other numbers are newer: a counter must not fall back to an earlier value.
    const { expired, resent, returned, failed } = row;
    const part = { name: this.name, counted_ms: kept.as_of_ms || null, sweeper: { expired, resent, returned, failed }, handlers: kept.totals ?? {} };
    if (!isLive) return { ...statisticsOf(row, kept, part, now_ms), history: continuedHistory(kept, now_ms) };
    for (const each of uncounted) look.submitted(/** @type {Glanced} */ (each));
    for (const each of [...followed, ...unscanned, ...uncounted]) look.follow(/** @type {Glanced} */ (each));
    const told = statisticsOf({ ...row, counted: row.counted + uncounted.length, unscanned: 0 }, { ...look.tally, as_of_ms: now_ms, isAll: true }, part, now_ms);
    return { ...told, history: { ...look.history, until_ms: now_ms } };
  }

  /**
   * @param {ReturnType<typeof toldOf>} told
   * @returns {Promise<FollowUp>}
   */
  async #tell(told) {
    const parameter = JSON.stringify(told);
    const now_ms = Date.now();
    const mayCancel = told.filter(({ error }) => error).map(({ taskId }) => taskId);
    const cancels = [statement(CANCEL_WAITING(ENDED_TASK), parameter, now_ms), statement(MAKE_CALLBACKS, JSON.stringify(mayCancel))];
    const results = await this.run([
      ...(mayCancel.length > 0 ? cancels : []), statement(TELL_WAITING, parameter), statement(RELEASE_TOLD, parameter, now_ms),
    ]);
    const cancelled = mayCancel.length > 0 ? results[0] ?? [] : [];
    return mergeFollowUps([followUpOfEnded(cancelled), followUpOf({ runs: releasedRuns(results.at(-1) ?? [], now_ms) })]);
  }

  /**
   * @param {LeasedRow | undefined} found
   * @param {Delivery} delivery
   * @param {number} now_ms
   * @param {boolean} isAlone
   * @returns {ClaimAnswer}
   */
  #whyNot(found, delivery, now_ms, isAlone) {
    if (!found) return { kind: 'absent' };
    if (found.expires_at * 1000 <= now_ms) return { kind: 'over', hasFailed: false };
    const verdict = verdictOn(found, delivery, { now_ms, max_retries: this.max_retries, isAlone });
    if (verdict === 'behind') return { kind: 'over', hasFailed: false }; // written state is visible at once, so the message is wrong
    if (typeof verdict !== 'string') return verdict;
    if (found.isPaused) return whilePaused(delivery, found, now_ms);
    return { kind: 'later' };
  }

  /**
   * @param {{rows: number, bytes: number}} size
   * @returns {Promise<number | null>} how many; null if there are none
   */
  async #expireByAge({ rows, bytes }) {
    const [[end] = []] = await this.run([statement(EXPIRE_END, timePrefix(Date.now() - TASK_TTL_SECONDS * 1000), rows, bytes)], 'alone');
    const last = end?.['last'] ?? null;
    if (last === null) return null;
    const [, deleted = []] = await this.run([statement(EXPIRE_COUNTED(EXPIRED), last), statement(EXPIRE, last), statement(EXPIRE_ADVANCE, last)], 'alone');
    return deleted.length;
  }

  /**
   * @param {{rows: number, bytes: number}} size
   * @returns {Promise<number | null>}
   */
  async #expireByOwnTime({ rows, bytes }) {
    const parameters = /** @type {const} */ ([seconds(Date.now()), rows, bytes]);
    const [, deleted = []] = await this.run([statement(EXPIRE_COUNTED(EXPIRED_OWN), ...parameters), statement(EXPIRE_OWN, ...parameters)], 'alone');
    return deleted.length > 0 ? deleted.length : null;
  }

  /**
   * @param {string} sql
   * @param {...(string | number | null)} parameters
   */
  async #glances(sql, ...parameters) {
    const [rows = []] = await this.run([statement(sql, ...parameters)], 'alone');
    return /** @type {Glanced[]} */ (rows);
  }

  /**
   * @param {string} sql
   * @param {...(string | number | null)} parameters
   */
  async #rows(sql, ...parameters) {
    const [rows = []] = await this.run([statement(sql, ...parameters)]);
    return rows;
  }
}

/** @typedef {Glance & {due_at: number | null}} Glanced */

/** @typedef {SweepCounts & {counted_to: string, counted: number, scanned_to: string, unscanned: number, tally: string | null, first: string | null}} TallyRow */

/** One update of a tally from the tasks in the table. */
class Look {
  /** The tasks to examine again. @type {Set<string>} */
  followed = new Set();

  /**
   * @param {string | null} before the tally of the last sweep
   * @param {number} now_ms
   * @param {number} soon_ms tasks that wait for a time are followed if the time is before this
   */
  constructor(before, now_ms, soon_ms) {
    /** @type {Tally} */
    const tally = JSON.parse(before ?? 'null') ?? newTally();
    this.totals = tally.totals ?? {};
    this.history = continuedHistory(tally, now_ms);
    this.tally = { ...tally, minutes: recentMinutes(tally.minutes, now_ms), open: noCounts(), totals: this.totals, history: this.history };
    this.now_ms = now_ms;
    this.soon_ms = soon_ms;
  }

  hasRoom() {
    return this.followed.size < FOLLOWED_TASKS;
  }

  /** @param {Glanced} task a task that was not counted before */
  submitted(task) {
    this.#count(submissionOf(task));
    addSubmission(this.totals, task);
  }

  /** @param {Event} event */
  #count(event) {
    countEvent(this.tally.minutes, event, MINUTES);
    countInHistory(this.history, event, this.now_ms);
  }

  /** @param {Glanced} task a task, followed already or not */
  follow(task) {
    const { taskId, status, due_at } = task;
    if (this.followed.has(taskId)) return;
    const end = endOf(task);
    if (end) {
      this.#count(end);
      addEnd(this.totals, task);
    }
    if (ENDED.has(status)) return;
    if (due_at === null) this.tally.open[status]++; // the others are counted by the index
    if (due_at === null || due_at < this.soon_ms) this.followed.add(taskId);
  }

  wantsIndexes() {
    const { at_ms, rows } = this.tally.indexed;
    return this.now_ms - at_ms >= rows / INDEXED_ROWS_A_MINUTE * MINUTE_MS;
  }

  /**
   * @param {Row[]} rows rows of `INDEXED`
   * @param {number} most
   */
  indexed(rows, most) {
    const counts = noCounts();
    for (const { status, count } of rows) counts[/** @type {keyof StatusCounts} */ (status)] += count;
    const { pending, processing, failed, cancelled } = counts;
    const isAll = pending + processing <= most && failed + cancelled <= most;
    this.tally.indexed = { ...counts, at_ms: this.now_ms, rows: pending + processing + failed + cancelled, isAll };
  }
}

/**
 * @param {TallyRow} row
 * @param {Tally} tally
 * @param {PartTotals} part
 * @param {number} now_ms
 * @returns {Omit<Statistics, 'history'>}
 */
function statisticsOf({ counted, unscanned, first }, { as_of_ms, minutes, open, indexed, isAll }, part, now_ms) {
  const counts = noCounts();
  for (const status of /** @type {const} */ (['pending', 'processing', 'failed', 'cancelled'])) counts[status] = open[status] + indexed[status];
  counts.pending += unscanned;
  const others = counts.pending + counts.processing + counts.failed + counts.cancelled;
  const least = first === null || others > 0 ? 0 : 1; // a store with a task must never be reported as empty
  counts.completed = first === null ? 0 : Math.max(least, counted - others);
  return {
    as_of_ms, counts, fresh_until_ms: now_ms, minutes: recentMinutes(minutes, now_ms),
    since_ms: first === null ? null : creationTime(first),
    isAll: isAll && indexed.isAll,
    sweeper: part.sweeper, parts: [part],
  };
}

/**
 * @param {string} sql
 * @param {...(string | number | null)} parameters
 * @returns {Statement}
 */
function statement(sql, ...parameters) {
  return { sql, parameters };
}

/** The columns of a row that explain why it was not claimed.
 * @typedef {Leased & {expires_at: number, group_key: string | null, group_turn: number | null, isPaused: number}} LeasedRow */

/**
 * @param {Row[]} rows
 * @returns {Map<string, LeasedRow>} the rows by their tasks
 */
function leasedRows(rows) {
  return new Map(rows.map((row) => [String(row['taskId']), /** @type {LeasedRow} */ (row)]));
}

/**
 * @param {Row[]} rows
 * @returns {Map<string, ClaimAnswer>}
 */
function claimedAnswers(rows) {
  return new Map(rows.map((row) => [String(row['taskId']), { kind: 'claimed', task: claimedTask(row) }]));
}

/**
 * @param {NewTask} task
 * @returns {boolean} whether the sweeper may already have counted the tasks of its age
 */
function mayBeLate({ taskId, mayBeThere = false }) {
  return mayBeThere && creationTime(taskId) <= Date.now() - SWEEP_GRACE_SECONDS * 1000 / 2;
}

/**
 * Names only the columns for which the task has a value: most tasks need few, and every column costs time.
 *
 * @param {NewTask} task
 * @param {number} now_ms
 * @returns {Statement}
 */
function insertion(task, now_ms) {
  const {
    taskId, handler, parameters, payload, delay_seconds, ttl_seconds, max_retries, idempotency, callback, group, priority, replacesPending = false, after, awaits, submittedBy, tags,
  } = task;
  const isInLine = comesToLine(task, now_ms);
  const created_ms = creationTime(taskId);
  const isOrdinary = delay_seconds === 0 && ttl_seconds === null;
  const expires_at = seconds(created_ms) + delay_seconds + (ttl_seconds ?? TASK_TTL_SECONDS);
  const columns = Object.entries({
    taskId, status: 'pending', handler, payload, expires_at, max_retries,
    parameters: Object.keys(parameters).length > 0 ? JSON.stringify(parameters) : null,
    own_expires_at: isOrdinary ? null : expires_at,
    due_at: delay_seconds > 0 || replacesPending ? created_ms + delay_seconds * 1000 : null,
    idempotency_key: idempotency?.key ?? null,
    fingerprint: idempotency?.fingerprint ?? null,
    callback: callback ? JSON.stringify(callback) : null,
    starts_after: after ? JSON.stringify(after) : null,
    submitted_by: submittedBy ?? null,
    tags: tags ? JSON.stringify(tags) : null,
    group_key: group?.name ?? null,
    priority: priority ?? null,
    ...((task.isHeld || isInLine) && heldColumns({ delay_seconds, ttl_seconds })),
    ...(task.isHeld && awaits && { waits_for: JSON.stringify(awaits) }),
  }).filter(([, value]) => value !== null);
  const groupAt = columns.findIndex(([name]) => name === 'group_key') + 1;
  const names = [...columns.map(([name]) => name), ...(isInLine ? ['group_turn'] : [])].join(', ');
  const values = [...columns.map((_, index) => `?${index + 1}`), ...(isInLine ? [LAST_TURN(`?${groupAt}`)] : [])].join(', ');
  const replacing = replacesPending ? [created_ms + delay_seconds * 1000, expires_at, JSON.stringify({ delay_seconds, ttl_seconds })] : [];
  return {
    sql: `INSERT INTO tasks (${names}) VALUES (${values}) ${replacesPending ? REPLACE_PENDING(columns.length) : UNLESS_THERE}`,
    parameters: [...columns.map(([, value]) => value), ...replacing],
  };
}

/**
 * The rows that a list examines. Failed and cancelled tasks have a partial index; SQLite uses it if the condition contains the index's own.
 *
 * @param {string | null} status
 */
function listWindow(status) {
  const indexed = status === 'failed' || status === 'cancelled' ? `AND status IN ('failed', 'cancelled') AND status = ?2` : '';
  return `SELECT ${LISTED} FROM tasks WHERE taskId < ?1 AND taskId >= ?4 ${indexed} ORDER BY taskId DESC LIMIT ?3`;
}

/**
 * @param {Row} row
 * @returns {TaskSummary}
 */
function summary(row) {
  const { taskId, status, handler, run, attempts, crashes, max_retries, progress, error, started_at, finished_at, due_at, expires_at, group_key, group_turn, tags, priority } = row;
  const isUnreleased = isHeld({ status, due_at });
  return {
    taskId, status, handler, run, attempts, crashes, max_retries,
    progress: JSON.parse(progress ?? 'null'),
    error: JSON.parse(error ?? 'null'),
    created_ms: creationTime(taskId),
    started_ms: started_at,
    finished_ms: finished_at,
    group: group_key && groupKey(group_key),
    priority,
    waiting_for: isUnreleased && group_turn > 0 ? 'group' : null,
    ...(tags && { tags: JSON.parse(tags) }),
    next_attempt_ms: status === 'pending' && !isUnreleased ? due_at : null,
    expires_ms: isUnreleased ? null : expires_at * 1000,
  };
}

/**
 * @param {Row} row
 * @returns {Callback | null}
 */
function callbackOf({ callback }) {
  return JSON.parse(callback ?? 'null');
}

/** @param {Row[]} rows rows of tasks that have just ended */
function followUpOfEnded(rows) {
  const runs = rows.flatMap(({ taskId, status, run, finished_at, callback, priority }) => (
    callbackRuns({ taskId, status, run, finished_ms: finished_at, callback: callbackOf({ callback }), priority })
  ));
  return { runs, ended: rows.flatMap(({ taskId, status, is_awaited }) => (is_awaited ? [{ taskId, status }] : [])) };
}

/** @param {Row[]} rows */
function statusMap(rows) {
  return new Map(rows.map(({ taskId, status }) => [String(taskId), /** @type {Status} */ (status)]));
}

/**
 * @param {Row} row
 * @returns {AfterState | null}
 */
function afterState({ starts_after, waits_for }) {
  return starts_after ? { ...JSON.parse(starts_after), awaits: JSON.parse(waits_for ?? '[]') } : null;
}

/**
 * @param {Row} row
 * @returns {CallbackState | null}
 */
function callbackState(row) {
  const { taskId, status, run, finished_at, callback_status } = row;
  const callback = callbackOf(row);
  const isTold = tellsOf(callback, status);
  return callback && { ...callback, taskId: isTold ? callbackTaskId({ taskId, run, finished_ms: finished_at }) : null, status: isTold ? callback_status : null };
}

/**
 * @param {TaskSummary} task
 * @returns {TaskSummary} the task as a list shows it
 */
function shortened(task) {
  const { error } = task;
  return { ...task, error: error && { ...error, message: bounded(error.message, LISTED_ERROR_LENGTH) } };
}

/** @param {Row} row @returns {import('../task.js').ClaimedTask} */
function claimedTask({ taskId, run, attempts, crashes, claim, handler, max_retries, parameters, payload, callback, parent, story, starts_after, group_key, priority }) {
  return {
    taskId, run, attempts, crashes, claim, handler, max_retries, parent, story, ...(group_key !== null && { group: group_key }), ...withPriority(priority),
    callback: callbackOf({ callback }),
    after: JSON.parse(starts_after ?? 'null'),
    parameters: JSON.parse(parameters ?? '{}'),
    payload: payloadOf({ payload }),
  };
}

/**
 * @param {Row} row
 * @returns {Payload}
 */
function payloadOf({ payload }) {
  return typeof payload === 'string' ? payload : new Uint8Array(payload);
}

/**
 * @param {Row} row
 * @returns {StepRecord}
 */
function stepRecord({ name, kind, status, run, attempts, started_at, finished_at, due_at, error, result }) {
  return { name, kind, status, run, attempts, started_ms: started_at, finished_ms: finished_at, due_ms: due_at, error: JSON.parse(error ?? 'null'), result };
}

/**
 * @param {Row} row
 * @returns {OpenTask}
 */
function openTask({ taskId, run, attempts, max_retries, sent_at_ms, due_at, isHeld, priority }) {
  return { taskId, run, attempts, max_retries, sent_at_ms, due_ms: due_at ?? creationTime(taskId), isHeld: isHeld === 1, ...withPriority(priority) };
}

/**
 * @param {AttemptName[]} attempts
 * @param {() => Promise<Set<string>>} ask returns which of their tasks are still theirs
 * @returns {Promise<Map<string, Standing>>}
 */
async function standings(attempts, ask) {
  try {
    const ours = await ask();
    return new Map(attempts.map(({ taskId }) => [taskId, ours.has(taskId) ? 'ours' : 'superseded']));
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return new Map(attempts.map(({ taskId }) => [taskId, 'lost']));
  }
}

/** @param {Row[]} rows */
function ids(rows) {
  return new Set(rows.map((row) => String(row['taskId'])));
}

/** @param {number} time_ms */
function seconds(time_ms) {
  return Math.floor(time_ms / 1000);
}

/**
 * @param {string[]} items JSON texts
 * @returns {string[]} as few JSON arrays of bounded length as possible that contain them, in order
 */
function jsonArrays(items) {
  /** @type {string[][]} */
  const groups = [];
  let length = Infinity;
  for (const item of items) {
    if (length + item.length > PARAMETER_LENGTH) {
      groups.push([]);
      length = 0;
    }
    groups.at(-1)?.push(item);
    length += item.length;
  }
  return groups.map((group) => `[${group}]`);
}
