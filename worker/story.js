/**
 * A task's story: its attempts, each with its error and its log. It is stored in one column of the task's row, and written with the outcome of an
 * attempt, so that it costs no further row. A task that completes at once and logs nothing has no story: its row says everything.
 */

import { LEASE_SECONDS } from './task.js';
import { bounded } from './text.js';

/** @import { ClaimedTask, Outcome, TaskRecord } from './task.js' */
/** @import { Failure } from './thrown.js' */

/** @typedef {'debug' | 'info' | 'warn' | 'error'} Level */

/** A line of `context.log`; `fields` is JSON text, truncated if it is long.
 * @typedef {{at_ms: number, level: Level, message: string, fields: string | null}} LogLine */

/** How an attempt ended; `waiting`: its steps wait, and it continues later. @typedef {'completed' | 'failed' | 'crashed' | 'waiting'} AttemptEnd */

/**
 * An attempt, as it is stored. `dropped` is the number of lines before those of its `log`. The end of a crashed attempt is unknown.
 *
 * @typedef {{run: number, attempt: number, started_ms: number | null, ended_ms: number | null, end: AttemptEnd, error?: Failure, log?: LogLine[],
 *   dropped?: number}} Entry
 */

/** An attempt, as it is shown. @typedef {Omit<Entry, 'end'> & {end: AttemptEnd | 'running' | 'cancelled'}} ShownAttempt */

/** How many attempts are kept; how many lines of each; how long a line may be, in UTF-16 code units. The last ones are kept. */
export const KEPT_ATTEMPTS = 10;
export const KEPT_LINES = 50;
export const LINE_LENGTH = 500;

/** The longest story, as JSON in UTF-8: a D1 row has room for it (2 MB, https://developers.cloudflare.com/d1/platform/limits/) besides the longest
 * payload and the longest result. */
export const STORY_BYTES = 32 * 1024;

const ENCODER = new TextEncoder();

/** The record of a running attempt. */
export class Journal {
  /** @type {LogLine[]} */
  #log = [];
  #dropped = 0;
  #started_ms = Date.now();

  /** @param {Pick<ClaimedTask, 'run' | 'attempts' | 'story'>} task */
  constructor(task) {
    this.task = task;
  }

  /**
   * @param {Level} level
   * @param {unknown} message
   * @param {unknown} fields
   */
  log(level, message, fields) {
    this.#log.push({ at_ms: Date.now(), level, message: bounded(textOf(message), LINE_LENGTH), fields: fieldsText(fields) });
    if (this.#log.length <= KEPT_LINES) return;
    this.#log.shift();
    this.#dropped++;
  }

  /**
   * @param {Pick<Outcome, 'status' | 'ended_ms'> & {suspended?: boolean}} outcome
   * @param {Failure | null} error
   * @returns {string | null} the story with this attempt, as JSON; null if it would add nothing to the row
   */
  after({ status, ended_ms, suspended = false }, error) {
    const { run, attempts, story = null } = this.task;
    const isPlain = status === 'completed' && attempts === 1 && this.#log.length === 0;
    if (isPlain && story === null) return null;
    const end = status === 'completed' ? 'completed' : suspended ? 'waiting' : 'failed';
    const entries = entriesOf(story);
    const last = entries.at(-1);
    const before = last?.end === 'waiting' && last.run === run && last.attempt === attempts ? entries.pop() : undefined;
    const log = [...before?.log ?? [], ...this.#log];
    const dropped = (before?.dropped ?? 0) + this.#dropped + Math.max(0, log.length - KEPT_LINES);
    entries.push({
      run, attempt: attempts, started_ms: before ? before.started_ms : this.#started_ms, ended_ms, end, ...(error && { error }),
      ...(log.length > 0 && { log: log.slice(-KEPT_LINES) }), ...(dropped > 0 && { dropped }),
    });
    return storyOf(entries);
  }
}

/**
 * @param {string | null} story
 * @returns {Entry[]} the attempts, oldest first
 */
export function entriesOf(story) {
  return JSON.parse(story ?? '[]');
}

/**
 * Drops what exceeds the limit, in this order: lines of earlier attempts, earlier attempts, earlier lines of the last attempt, causes. A name and a
 * message alone, which are bounded, always fit.
 *
 * @param {Entry[]} all
 * @returns {string} JSON
 */
function storyOf(all) {
  const entries = all.slice(-KEPT_ATTEMPTS);
  const isTooLong = () => ENCODER.encode(JSON.stringify(entries)).byteLength > STORY_BYTES;
  for (const [index, { log = [], dropped = 0, ...entry }] of entries.slice(0, -1).entries()) {
    if (!isTooLong()) break;
    entries[index] = log.length > 0 ? { ...entry, dropped: dropped + log.length } : { ...entry, ...(dropped > 0 && { dropped }) };
  }
  while (entries.length > 1 && isTooLong()) entries.shift();
  while (isTooLong()) {
    const entry = /** @type {Entry} */ (entries[0]);
    const { log = [], dropped = 0, error } = entry;
    const cut = Math.ceil(log.length / 4);
    if (cut > 0) entries[0] = { ...entry, log: log.slice(cut), dropped: dropped + cut };
    else if (error) entries[0] = { ...entry, error: withoutDeepest(error) };
  }
  return JSON.stringify(entries);
}

/**
 * @param {Failure} error
 * @returns {Failure} the error without its deepest cause, or else without its stack
 */
function withoutDeepest({ cause, ...error }) {
  if (!cause) return { ...error, stack: null, cause: null };
  return { ...error, cause: cause.cause ? withoutDeepest(cause) : null };
}

/**
 * @param {string | null} story
 * @param {{run: number, attempts: number, lease_expires_at: number | null}} task the task whose attempt has crashed
 * @returns {string} the story with that attempt; `CRASHED_STORY` is the same in SQL
 */
export function crashedStory(story, { run, attempts, lease_expires_at }) {
  const entries = entriesOf(story).slice(1 - KEPT_ATTEMPTS);
  return JSON.stringify([...entries, { run, attempt: attempts, started_ms: claimTime(lease_expires_at), ended_ms: null, end: 'crashed' }]);
}

/** The story of a row whose attempt has crashed, in SQL, from the row's previous values. */
export const CRASHED_STORY = `json_insert(
  CASE WHEN json_array_length(coalesce(tasks.story, '[]')) >= ${KEPT_ATTEMPTS} THEN json_remove(tasks.story, '$[0]') ELSE coalesce(tasks.story, '[]') END,
  '$[#]', json_object('run', tasks.run, 'attempt', tasks.attempts, 'started_ms', tasks.lease_expires_at - ${LEASE_SECONDS * 1000}, 'ended_ms', NULL, 'end', 'crashed'))`;

/**
 * @param {number | null} lease_expires_at Unix time in milliseconds
 * @returns {number | null} when the attempt that holds the task began
 */
function claimTime(lease_expires_at) {
  return lease_expires_at === null ? null : lease_expires_at - LEASE_SECONDS * 1000;
}

/**
 * Returns all known attempts: those of the story, and the last one if only the row shows it.
 *
 * @param {Pick<TaskRecord, 'status' | 'run' | 'attempts' | 'started_ms' | 'finished_ms' | 'error'>} task
 * @param {{story: string | null, lease_expires_ms: number | null}} kept
 * @returns {ShownAttempt[]} the attempts, oldest first
 */
export function attemptsOf({ status, run, attempts, started_ms, finished_ms, error }, { story, lease_expires_ms }) {
  /** @type {ShownAttempt[]} */
  const shown = entriesOf(story);
  if (attempts === 0) return shown;
  const last = shown.findLast((entry) => entry.run === run && entry.attempt === attempts);
  const first_ms = attempts === 1 ? started_ms : null;
  const name = { run, attempt: attempts };
  if (status === 'processing') {
    if (last?.end === 'waiting') return [...shown.filter((entry) => entry !== last), { ...last, ended_ms: null, end: 'running' }];
    return [...shown, { ...name, started_ms: claimTime(lease_expires_ms), ended_ms: null, end: 'running' }];
  }
  if (last) return shown;
  if (status === 'completed' || status === 'cancelled') return [...shown, { ...name, started_ms: first_ms, ended_ms: finished_ms, end: status }];
  return [...shown, { ...name, started_ms: first_ms, ended_ms: finished_ms, end: 'failed', ...(error && { error: { ...error, stack: null, cause: null } }) }];
}

/** @param {unknown} message */
function textOf(message) {
  try {
    return String(message);
  } catch {
    return 'a value that cannot be shown';
  }
}

/**
 * @param {unknown} fields
 * @returns {string | null} null if there are none
 */
function fieldsText(fields) {
  try {
    const text = JSON.stringify(fields);
    return text === undefined || text === '{}' || text === 'null' ? null : bounded(text, LINE_LENGTH);
  } catch {
    return '"fields that JSON cannot hold"';
  }
}
