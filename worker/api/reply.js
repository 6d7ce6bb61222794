/** The API's answers: JSON with ISO 8601 times. Every error has the same shape, with a code that programs can rely on. */

import { StoreFull, StoreUnavailable } from '../stores/store_error.js';
import { NO_TAGS } from '../tags.js';
import { TASK_ID } from '../task_id.js';
import { bounded } from '../text.js';

/** @import { ShownAttempt } from '../story.js' */
/** @import { StepRecord, TaskRecord, TaskSummary } from '../task.js' */
/** @import { Environment } from './router.js' */

/** A task changes, so no cache may store an answer about it. */
export const UNCACHED = Object.freeze({ 'Cache-Control': 'no-store' });

/** @param {string} json */
export function jsonTextReply(json) {
  return new Response(json, { headers: { 'Content-Type': 'application/json', ...UNCACHED } });
}

/**
 * @param {unknown} body
 * @param {{status?: number, headers?: Record<string, string>}} [init]
 */
export function jsonReply(body, { status = 200, headers } = {}) {
  return Response.json(body, { status, headers: { ...UNCACHED, ...headers } });
}

/** The HTTP status of each error code. */
export const STATUS_OF_CODE = Object.freeze({
  incomplete_body: 400,
  invalid_json: 400,
  invalid_parameter: 400,
  invalid_payload: 400,
  unknown_handler: 400,
  unauthorized: 401,
  forbidden: 403,
  forbidden_origin: 403,
  not_found: 404,
  task_not_found: 404,
  schedule_not_found: 404,
  action_not_found: 404,
  batch_not_found: 404,
  method_not_allowed: 405,
  dead_letters_off: 409,
  idempotency_conflict: 409,
  schedule_of_stack: 409,
  too_many_actions: 409,
  too_many_schedules: 409,
  wrong_status: 409,
  payload_not_kept: 410,
  payload_too_large: 413,
  rate_limited: 429,
  handler_check_failed: 500,
  internal_error: 500,
  dead_letter_queue_refused: 502,
  dead_letter_token_refused: 502,
  backlog_full: 503,
  dead_letter_queue_unavailable: 503,
  store_unavailable: 503,
  store_full: 507,
});

/** @typedef {keyof typeof STATUS_OF_CODE} Code */

/** The longest part of a caller's value that an error repeats. */
export const QUOTED_LENGTH = 50;

/** A refused request; the message is a sentence for the caller. */
export class Refusal extends Error {
  /** @override */
  name = 'Refusal';

  /**
   * @param {Code} code
   * @param {string} message
   * @param {object} [more]
   * @param {Record<string, unknown>} [more.extras] further fields of the body, besides `error` and `code`
   * @param {Record<string, string>} [more.headers]
   */
  constructor(code, message, { extras = {}, headers = {} } = {}) {
    super(message);
    this.status = STATUS_OF_CODE[code];
    this.body = { error: message, code, ...extras };
    this.headers = headers;
  }

  reply() {
    return jsonReply(this.body, { status: this.status, headers: this.headers });
  }
}

/**
 * @param {string} parameter the parameter's name
 * @param {string} expected what a good value is
 * @param {unknown} got
 */
export function invalidParameter(parameter, expected, got) {
  return new Refusal('invalid_parameter', `expected ${parameter} to be ${expected}, got ${quoted(got)}`, { extras: { parameter } });
}

/**
 * @param {Error} error an error of the store
 * @returns {Refusal}
 */
export function storeRefusal(error) {
  if (error instanceof StoreFull) {
    return new Refusal('store_full', 'the task store is full, and takes no new task before others expire: '
      + 'submit later, give tasks a shorter ttl, or let the operator add shards');
  }
  const seconds = error instanceof StoreUnavailable ? error.retry_after_seconds : 1;
  return new Refusal('store_unavailable', 'the task store is not available; try again', {
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(seconds))) },
  });
}

/** @param {string} taskId the id as it is in the path */
export function taskNotFound(taskId) {
  if (!TASK_ID.test(taskId)) return new Refusal('task_not_found', `expected the id of a task, as its submission was answered with, got ${quoted(taskId)}`);
  return new Refusal('task_not_found', `there is no task ${taskId}: it was never submitted, or its time to live is over`);
}

/**
 * @param {unknown} value any value that JSON.parse returns
 * @returns {string} the value as an error repeats it
 */
export function quoted(value) {
  return bounded(JSON.stringify(value) ?? 'nothing', QUOTED_LENGTH);
}

/**
 * Returns a task with its result. The result is copied as the stored text: it may be nested too deeply to be parsed and written again.
 *
 * @param {TaskRecord} task
 * @param {Environment} env
 * @param {StepRecord[] | null} [steps] null: they are not shown
 * @returns {string} JSON
 */
export function taskJson(task, env, steps = null) {
  const head = JSON.stringify(state(task, env)).slice(0, -1);
  const tail = JSON.stringify({
    error: task.error, callback: callbackView(task), parent: task.parent, after: afterView(task), ...times(task), ...(steps && { steps: stepsView(steps) }),
  }).slice(1);
  return `${head},"result":${task.result ?? 'null'},${tail}`;
}

/**
 * Shows only the origin of the URL: paths and queries often are secrets, and everybody who may read tasks sees this.
 *
 * @param {TaskRecord} task
 */
function callbackView({ callback }) {
  if (!callback) return null;
  const { taskId, url, on, status } = callback;
  return { taskId, url: URL.parse(url)?.origin ?? '', on, status };
}

/** @param {TaskRecord} task */
function afterView({ after }) {
  return after && { taskIds: after.taskIds, startWhen: after.startWhen, waitsFor: after.awaits };
}

/**
 * Returns a task as lists show it: everything except the result.
 *
 * @param {TaskSummary} task
 * @param {Environment} env
 */
export function summaryView(task, env) {
  return { ...state(task, env), error: task.error, ...times(task) };
}

/**
 * @param {TaskSummary} task
 * @param {Environment} env
 */
function state({ taskId, status, handler, run, attempts, crashes, max_retries, progress, group, priority, waiting_for, tags = NO_TAGS }, env) {
  return { taskId, status, handler, run, attempts, crashes, maxRetries: max_retries ?? Number(env.MAX_RETRIES), progress, group, priority: priority ?? 'normal', waitingFor: waiting_for, tags };
}

/**
 * @param {StepRecord[]} steps
 * @returns {object[]} the steps in the order of their starts, without results
 */
function stepsView(steps) {
  const now_ms = Date.now();
  return steps.toSorted((one, other) => one.started_ms - other.started_ms).map(({ name, kind, status, attempts, started_ms, finished_ms, due_ms, error }) => {
    const hasSlept = kind === 'sleep' && due_ms !== null && due_ms <= now_ms; // nothing is written when a sleep ends
    return {
      name, kind, status: hasSlept ? 'completed' : status, attempts, error,
      startedAt: isoTime(started_ms), finishedAt: isoTime(hasSlept ? due_ms : status === 'waiting' ? null : finished_ms),
      dueAt: hasSlept || status !== 'waiting' ? null : isoTime(due_ms),
    };
  });
}

/** @param {ShownAttempt[]} attempts */
export function attemptsView(attempts) {
  return attempts.map(({ run, attempt, started_ms, ended_ms, end, error = null, log = [], dropped = 0 }) => ({
    run, attempt, outcome: end, startedAt: isoTime(started_ms), endedAt: isoTime(ended_ms), error,
    log: log.map(({ at_ms, level, message, fields }) => ({ at: isoTime(at_ms), level, message, fields })), logDropped: dropped,
  }));
}

/** @param {TaskSummary} task */
function times({ created_ms, started_ms, finished_ms, next_attempt_ms, expires_ms }) {
  return {
    createdAt: isoTime(created_ms),
    startedAt: isoTime(started_ms),
    finishedAt: isoTime(finished_ms),
    nextAttemptAt: isoTime(next_attempt_ms),
    expiresAt: isoTime(expires_ms),
  };
}

/** @param {number | null} time_ms */
export function isoTime(time_ms) {
  return time_ms === null ? null : new Date(time_ms).toISOString();
}
