/** The report of one workflow instance in Cloudflare's form, made from the log of its engine. */

/**
 * @typedef {{event: number, timestamp: string, group: string | null, target: string | null, metadata: any}} LogEntry
 *   of Miniflare's workflow engine; `group` names a step, `target` is its name with a counter
 *
 * @typedef {'queued' | 'running' | 'paused' | 'errored' | 'terminated' | 'complete' | 'waitingForPause' | 'waiting'} Status
 * @typedef {{name: string, message: string}} Failure
 * @typedef {{start: string, end: string | null, success: boolean | null, error: Failure | null}} Attempt
 * @typedef {{
 *   type: 'step' | 'rollback', name: string, start: string, end: string | null, success: boolean | null,
 *   output: string | null, config: object, attempts: Attempt[],
 * }} DoStep
 * @typedef {{type: 'sleep', name: string, start: string, end: string, finished: boolean, error: Failure | null}} SleepStep
 * @typedef {{
 *   type: 'waitForEvent', name: string, start: string, end: string | null, finished: boolean, error: Failure | null,
 *   output: string | null, event_type: string,
 * }} WaitStep
 * @typedef {{type: 'termination', trigger: {source: string}}} Termination
 * @typedef {{
 *   status: Status, start: string | null, end: string | null, modified: string | null, success: boolean | null,
 *   output: any, error: Failure | null, steps: (DoStep | SleepStep | WaitStep | Termination)[],
 * }} Report
 * @typedef {{name: string, type: 'step' | 'waitForEvent', attempt?: number | null}} WantedStep `attempt` counts from 1
 * @typedef {{status: Status, output: unknown, error: Failure | null, event_type?: string}} StepReport
 */

/** The engine's numbers of statuses. */
const STATUSES = /** @type {const} */ ([
  'queued', 'running', 'paused', 'errored', 'terminated', 'complete', 'waitingForPause', 'waiting',
]);
const ENDED = new Set(['errored', 'terminated', 'complete']);

/** Cloudflare truncates the output of a step after this many characters, and marks it. */
const OUTPUT_CHARACTERS = 1024;
const CUT = '[truncated output]';
/** The engine's error for an attempt whose end it did not see. */
const INTERRUPTED = { name: 'WorkflowInternalError', message: 'Attempt failed due to internal workflows error' };

/** The engine's event numbers for the beginnings of steps and of their rollbacks. */
const STEP_BEGINS = [5, 18];
const STEP_SUCCEEDS = [6, 22];
const STEP_ENDS = [6, 7, 22, 23];
const ATTEMPT_BEGINS = [10, 19];
const ATTEMPT_SUCCEEDS = [11, 20];
const ATTEMPT_ENDS = [11, 12, 20, 21];
const WAIT_BEGINS = 14;
const WAIT_SUCCEEDS = 15;
const WAIT_FAILS = 16;

/** @type {Record<number, (log: Reading, entry: LogEntry) => void>} */
const EVENTS = {
  1: (log, { timestamp }) => (log.report.start ??= timestamp),
  2: (log, { metadata }) => log.end(true, metadata.result ?? null, null),
  3: (log, { metadata }) => log.end(false, null, failure(metadata.error)),
  4: (log) => {
    log.end(false, null, null);
    log.report.steps.push({ type: 'termination', trigger: { source: 'api' } });
  },
  5: (log, entry) => log.beginStep('step', entry),
  6: (log, entry) => log.endStep(entry, true),
  7: (log, entry) => log.endStep(entry, false),
  8: (log, entry) => log.beginSleep(entry),
  9: (log, entry) => log.endPause(entry, null, null),
  10: (log, entry) => log.beginAttempt(entry),
  11: (log, entry) => log.endAttempt(entry, true),
  12: (log, entry) => log.endAttempt(entry, false),
  14: (log, entry) => log.beginWait(entry),
  15: (log, entry) => log.endPause(entry, shown(entry.metadata), null),
  16: (log, entry) => log.endPause(entry, null, failure(entry.metadata)),
  18: (log, entry) => log.beginStep('rollback', entry),
  19: (log, entry) => log.beginAttempt(entry),
  20: (log, entry) => log.endAttempt(entry, true),
  21: (log, entry) => log.endAttempt(entry, false),
  22: (log, entry) => log.endStep(entry, true),
  23: (log, entry) => log.endStep(entry, false),
};

/**
 * @param {number} status the engine's status
 * @param {LogEntry[]} entries log entries, in the order of writing
 * @returns {Report}
 */
export function report(status, entries) {
  const log = new Reading(STATUSES[status] ?? 'queued');
  for (const entry of entries) {
    log.now = entry.timestamp;
    EVENTS[entry.event]?.(log, entry);
  }
  log.report.modified = log.now;
  if (log.report.status === 'running' && log.isPausing) log.report.status = 'waiting';
  return log.report;
}

/**
 * Returns one step or wait by its name, with its complete output; of a step, only one attempt if requested.
 *
 * @param {LogEntry[]} entries log entries, in the order of writing
 * @param {WantedStep} wanted
 * @returns {StepReport | null} null if there is none
 */
export function stepReport(entries, { name, type, attempt = null }) {
  const begins = type === 'step' ? STEP_BEGINS : [WAIT_BEGINS];
  const begin = entries.find(({ event, target }) => begins.includes(event) && target === name);
  if (!begin) return null;
  const own = entries.filter(({ group }) => group === begin.group);
  if (type === 'waitForEvent') return { ...waitReport(own), event_type: begin.metadata.event };
  return doReport(own, attempt);
}

/**
 * @param {LogEntry[]} entries log entries of one step
 * @param {number | null} attempt
 * @returns {StepReport | null}
 */
function doReport(entries, attempt) {
  const of = (/** @type {number[]} */ events) => entries.filter(({ event }) => events.includes(event));
  if (attempt !== null && attempt > of(ATTEMPT_BEGINS).length) return null;
  const result = of(ATTEMPT_ENDS).at(attempt === null ? -1 : attempt - 1);
  const end = attempt === null ? of(STEP_ENDS)[0] : result;
  const succeeded = end !== undefined && [...STEP_SUCCEEDS, ...ATTEMPT_SUCCEEDS].includes(end.event);
  if (succeeded) return { status: 'complete', output: of(STEP_SUCCEEDS)[0]?.metadata.result ?? null, error: null };
  return { status: end ? 'errored' : 'running', output: null, error: result ? failure(result.metadata.error) : null };
}

/**
 * @param {LogEntry[]} entries log entries of one wait
 * @returns {StepReport}
 */
function waitReport(entries) {
  const end = entries.find(({ event }) => event === WAIT_SUCCEEDS || event === WAIT_FAILS);
  if (!end) return { status: 'waiting', output: null, error: null };
  if (end.event === WAIT_SUCCEEDS) return { status: 'complete', output: end.metadata ?? null, error: null };
  return { status: 'errored', output: null, error: failure(end.metadata) };
}

/** @param {Status} status */
export function hasEnded(status) {
  return ENDED.has(status);
}

/**
 * Whether an attempt of a step is running now.
 *
 * @param {Report} report
 */
export function isAttempting({ status, steps }) {
  return !hasEnded(status) && steps.some((step) => 'attempts' in step && step.attempts.at(-1)?.end === null);
}

class Reading {
  /** @type {string | null} */
  now = null;
  /** @type {Map<string, DoStep>} */
  #steps = new Map();
  /** @type {Map<string, SleepStep | WaitStep>} */
  #pauses = new Map();

  /** @param {Status} status */
  constructor(status) {
    /** @type {Report} */
    this.report = { status, start: null, end: null, modified: null, success: null, output: null, error: null, steps: [] };
  }

  /** Whether it sleeps or waits for an event, and nothing else is running. */
  get isPausing() {
    return [...this.#pauses.values()].some(({ finished }) => !finished) && !isAttempting(this.report);
  }

  /**
   * @param {boolean} success
   * @param {any} output
   * @param {Failure | null} error
   */
  end(success, output, error) {
    Object.assign(this.report, { end: this.now, success, output, error });
    for (const step of this.#steps.values()) this.#interrupt(step);
  }

  /**
   * @param {'step' | 'rollback'} type
   * @param {LogEntry} entry
   */
  beginStep(type, { group, target, timestamp, metadata }) {
    const step = { type, name: target ?? '', start: timestamp, end: null, success: null, output: null };
    this.#add(this.#steps, group, { ...step, config: metadata.config ?? {}, attempts: [] });
  }

  /**
   * @param {LogEntry} entry
   * @param {boolean} success
   */
  endStep({ group, timestamp, metadata }, success) {
    const step = this.#steps.get(group ?? '');
    if (step) Object.assign(step, { end: timestamp, success, output: success ? shown(metadata.result) : null });
  }

  /** @param {LogEntry} entry */
  beginAttempt({ group, timestamp }) {
    const step = this.#steps.get(group ?? '');
    if (!step) return;
    this.#interrupt(step);
    step.attempts.push({ start: timestamp, end: null, success: null, error: null });
  }

  /**
   * @param {LogEntry} entry
   * @param {boolean} success
   */
  endAttempt({ group, timestamp, metadata }, success) {
    const attempt = this.#steps.get(group ?? '')?.attempts.at(-1);
    if (attempt) Object.assign(attempt, { end: timestamp, success, error: success ? null : failure(metadata.error) });
  }

  /** @param {LogEntry} entry */
  beginSleep({ group, target, timestamp, metadata }) {
    const end = new Date(Date.parse(timestamp) + metadata.durationMs).toISOString();
    this.#add(this.#pauses, group, { type: 'sleep', name: target ?? '', start: timestamp, end, finished: false, error: null });
  }

  /** @param {LogEntry} entry */
  beginWait({ group, target, timestamp, metadata }) {
    const step = { name: target ?? '', start: timestamp, end: null, finished: false, error: null, output: null };
    this.#add(this.#pauses, group, { type: 'waitForEvent', ...step, event_type: metadata.event });
  }

  /**
   * @param {LogEntry} entry
   * @param {string | null} output the output of a wait
   * @param {Failure | null} error
   */
  endPause({ group, timestamp }, output, error) {
    const pause = this.#pauses.get(group ?? '');
    if (!pause) return;
    Object.assign(pause, { end: timestamp, finished: true, error });
    if (pause.type === 'waitForEvent') pause.output = output;
  }

  /**
   * @template {DoStep | SleepStep | WaitStep} Step
   * @param {Map<string, Step>} group
   * @param {string | null} key
   * @param {Step} step
   */
  #add(group, key, step) {
    group.set(key ?? '', step);
    this.report.steps.push(step);
  }

  /** @param {DoStep} step */
  #interrupt({ attempts }) {
    const last = attempts.at(-1);
    if (last?.end === null) Object.assign(last, { end: this.now, success: false, error: INTERRUPTED });
  }
}

/** @param {any} error */
function failure(error) {
  return { name: String(error?.name ?? 'Error'), message: String(error?.message ?? error ?? '') };
}

/** @param {unknown} value the output of a step */
function shown(value) {
  const text = JSON.stringify(value);
  if (text === undefined) return null;
  return text.length > OUTPUT_CHARACTERS ? text.slice(0, OUTPUT_CHARACTERS) + CUT : text;
}
