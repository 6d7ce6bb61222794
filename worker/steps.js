/**
 * The steps of a handler: named parts of its work whose results are stored, so that a later attempt does not repeat them. A step that waits ends the
 * attempt without a failure, and the task is attempted again after the wait. Nothing runs meanwhile.
 */

import { chosenDelaySeconds, isPermanent } from './backoff.js';
import { Cancellation } from './cancellation.js';
import { cancelled } from './heartbeat.js';
import { keptJson } from './result.js';
import { isStoreError } from './stores/store_error.js';
import { MAX_WAIT_SECONDS } from './task.js';
import { describeError } from './thrown.js';

/** @import { StepOptions } from './handler.js' */
/** @import { Store } from './stores/store.js' */
/** @import { AttemptName, StepRecord, TaskError } from './task.js' */

/** The default retries of a step: the same as in Cloudflare Workflows (https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/). */
const DEFAULT_RETRIES = { limit: 5, delaySeconds: 10, backoff: /** @type {const} */ ('exponential') };
const DEFAULT_TIMEOUT_SECONDS = 600;

/** The default wait for an event: a day, as in Cloudflare Workflows. */
const DEFAULT_EVENT_SECONDS = 86_400;

/** The longest name of a step or of an event, in UTF-16 code units. */
export const MAX_STEP_NAME_LENGTH = 100;

/** The most steps of a task: all of them are read at each attempt. */
export const MAX_STEPS = 1_000;

/** The longest result of a step, as JSON (https://developers.cloudflare.com/workflows/reference/limits/). */
export const MAX_STEP_RESULT_BYTES = 1024 * 1024;

/** The longest results of a task's steps in total: they are read at each attempt, concurrently with others, in an isolate of 128 MB. */
export const MAX_RESULTS_LENGTH = 4 * 1024 * 1024;

/** A timer takes no more than 2^31 ms. */
const LONGEST_TIMER_SECONDS = 2_147_483;

/** The wait before a store that did not answer is asked again. */
const AGAIN_MS = 1_000;

/** The end of an attempt whose steps wait. */
export class Suspension {
  /**
   * @param {number} until_ms
   * @param {string[]} events events, each of which ends the wait early
   */
  constructor(until_ms, events) {
    this.until_ms = until_ms;
    this.events = events;
  }
}

/** The steps of one attempt. */
export class Steps {
  /** The steps that were stored when the attempt began. @type {Promise<Map<string, StepRecord>> | null} */
  #kept = null;
  /** The names that this attempt has used. @type {Set<string>} */
  #used = new Set();
  /** The total length of the results that this attempt has read or written, in UTF-16 code units. */
  #length = 0;
  /** When the last step began. */
  #last_start_ms = 0;
  /** How many steps are running. */
  #active = 0;
  /** @type {StepRecord[]} */
  #waiting = [];
  /** @type {PromiseWithResolvers<Suspension>} */
  #suspension = Promise.withResolvers();
  /** The error that is thrown once the attempt has lost its task. @type {Error | null} */
  #lost = null;
  /** Whether the attempt has ended. */
  isOver = false;

  /**
   * @param {Store} store
   * @param {AttemptName} attempt
   * @param {(reason: Error) => void} lose called when the attempt has lost its task
   */
  constructor(store, attempt, lose) {
    this.store = store;
    this.attempt = attempt;
    this.lose = lose;
  }

  /** A promise that resolves when everything that the handler does is waiting. */
  get suspension() {
    return this.#suspension.promise;
  }

  /**
   * @template Result
   * @param {string} name
   * @param {StepOptions} options
   * @param {(step: {attempt: number}) => Result | Promise<Result>} work
   * @returns {Promise<Result>}
   */
  step(name, { retries = {}, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS }, work) {
    const { limit, delaySeconds, backoff } = { ...DEFAULT_RETRIES, ...retries };
    requireNumber('retries.limit', limit, 0, 10_000);
    requireNumber('retries.delaySeconds', delaySeconds, 0, MAX_WAIT_SECONDS);
    requireNumber('timeoutSeconds', timeoutSeconds, 0, MAX_WAIT_SECONDS);
    if (!['constant', 'linear', 'exponential'].includes(backoff)) throw permanent('TypeError', `expected retries.backoff to be constant, linear or exponential, got ${String(backoff)}`);
    return this.#begin(name, 'step', async (kept) => {
      if (kept?.status === 'completed') return JSON.parse(kept.result ?? 'null');
      if (kept?.status === 'failed') throw asThrown(kept.error);
      if (kept && (kept.due_ms ?? 0) > Date.now()) return this.#wait(kept);
      const record = { ...this.#record(name, 'step', kept), attempts: (kept?.attempts ?? 0) + 1 };
      try {
        const result = await new Cancellation().limit(Math.min(timeoutSeconds, LONGEST_TIMER_SECONDS), () => work({ attempt: record.attempts }));
        const json = keptJson(result, MAX_STEP_RESULT_BYTES);
        await this.#keep({ ...record, status: 'completed', result: json, finished_ms: Date.now() });
        return JSON.parse(json);
      } catch (thrown) {
        if (thrown === this.#lost) throw thrown;
        const error = describeError(thrown);
        const isLast = record.attempts > limit || isPermanent(thrown);
        const failed = { ...record, error, finished_ms: Date.now() };
        if (!isLast) return this.#wait(await this.#keep({ ...failed, status: 'waiting', due_ms: Date.now() + (chosenDelaySeconds(thrown) ?? delayOf(record.attempts, delaySeconds, backoff)) * 1000 }));
        await this.#keep({ ...failed, status: 'failed' });
        throw asThrown(error);
      }
    });
  }

  /**
   * @param {string} name
   * @param {number} seconds
   * @returns {Promise<void>}
   */
  sleep(name, seconds) {
    requireNumber('seconds', seconds, 0, MAX_WAIT_SECONDS);
    return this.#begin(name, 'sleep', async (kept) => {
      const record = kept ?? await this.#keep({ ...this.#record(name, 'sleep', null), due_ms: Date.now() + seconds * 1000 });
      if ((record.due_ms ?? 0) > Date.now()) return this.#wait(record);
    });
  }

  /**
   * @param {string} name
   * @param {{timeoutSeconds?: number}} [options]
   * @returns {Promise<{name: string, payload: any, receivedAt: string}>}
   */
  waitForEvent(name, { timeoutSeconds = DEFAULT_EVENT_SECONDS } = {}) {
    requireNumber('timeoutSeconds', timeoutSeconds, 0, MAX_WAIT_SECONDS);
    return this.#begin(name, 'event', async (kept) => {
      if (kept?.status === 'completed') return JSON.parse(kept.result ?? 'null');
      if (kept?.status === 'failed') throw asThrown(kept.error);
      // The step is written before the event is looked up, so that a concurrent sender of the event finds the step, or the step finds the event.
      const record = kept ?? await this.#keep({ ...this.#record(name, 'event', null), due_ms: Date.now() + timeoutSeconds * 1000 });
      const event = await this.#ask(() => this.store.event(this.attempt.taskId, name));
      if (event) {
        const result = `{"name":${JSON.stringify(name)},"payload":${event.payload},"receivedAt":${JSON.stringify(new Date(event.received_ms).toISOString())}}`;
        await this.#keep({ ...record, status: 'completed', attempts: 1, result, finished_ms: Date.now(), due_ms: null });
        return JSON.parse(result);
      }
      if ((record.due_ms ?? 0) > Date.now()) return this.#wait(record);
      const error = { name: 'EventTimeout', message: `expected the event ${name} in time, got none` };
      await this.#keep({ ...record, status: 'failed', error, finished_ms: Date.now(), due_ms: null });
      throw asThrown(error);
    });
  }

  /**
   * @param {string} name
   * @param {StepRecord['kind']} kind
   * @param {(kept: StepRecord | null) => Promise<any>} go
   */
  async #begin(name, kind, go) {
    if (typeof name !== 'string' || name === '' || name.length > MAX_STEP_NAME_LENGTH) {
      throw permanent('TypeError', `expected a step's name to be a text of 1 to ${MAX_STEP_NAME_LENGTH} characters, got ${typeof name === 'string' ? JSON.stringify(name.slice(0, 40)) : typeof name}`);
    }
    if (this.#used.has(name)) throw permanent('StepNameTaken', `expected each step of a task to have a name of its own, got ${JSON.stringify(name)} twice`);
    if (this.#used.size === MAX_STEPS) throw permanent('TooManySteps', `expected at most ${MAX_STEPS} steps, got more`);
    this.#used.add(name);
    this.#active++;
    try {
      const kept = (await this.#load()).get(name) ?? null;
      if (kept && kept.kind !== kind) throw permanent('StepChanged', `expected ${JSON.stringify(name)} to be a ${kept.kind} as in an earlier attempt, got a ${kind}`);
      // A step that failed in an earlier run begins anew; a completed one keeps its result.
      return await go(kept && (kept.status === 'completed' || kept.run === this.attempt.run) ? kept : null);
    } finally {
      this.#active--;
      this.#suspendLater();
    }
  }

  /** @returns {Promise<Map<string, StepRecord>>} */
  #load() {
    this.#kept ??= this.#ask(() => this.store.steps(this.attempt.taskId)).then((steps) => {
      this.#length = steps.reduce((sum, { result }) => sum + (result?.length ?? 0), 0);
      this.#last_start_ms = Math.max(0, ...steps.map(({ started_ms }) => started_ms));
      return new Map(steps.map((step) => [step.name, step]));
    });
    return this.#kept;
  }

  /**
   * @param {string} name
   * @param {StepRecord['kind']} kind
   * @param {StepRecord | null} kept
   * @returns {StepRecord}
   */
  #record(name, kind, kept) {
    const { run } = this.attempt;
    return { name, kind, run, status: 'waiting', attempts: 0, started_ms: kept?.started_ms ?? this.#start(), finished_ms: null, due_ms: null, error: null, result: null };
  }

  /** @returns {number} Unix time; later than the start of each other step, because the API shows them in this order and a clock shows milliseconds */
  #start() {
    return this.#last_start_ms = Math.max(Date.now(), this.#last_start_ms + 1);
  }

  /**
   * @param {StepRecord} step
   * @returns {Promise<StepRecord>}
   * @throws {Error} another attempt holds the task
   */
  async #keep(step) {
    this.#length += step.result?.length ?? 0;
    if (this.#length > MAX_RESULTS_LENGTH) {
      throw permanent('StepsTooLarge', `expected the results of a task's steps to have at most ${MAX_RESULTS_LENGTH} characters together, got ${this.#length}: keep large ones elsewhere, such as in R2`);
    }
    const standing = await this.#ask(() => this.store.keepStep(this.attempt, step));
    if (standing === 'ours') return step;
    this.#lost ??= cancelled();
    this.lose(this.#lost);
    throw this.#lost;
  }

  /**
   * Waits, in place of the step, for longer than the attempt lasts.
   *
   * @param {StepRecord} step
   * @returns {Promise<never>}
   */
  #wait(step) {
    this.#waiting.push(step);
    this.#active--;
    this.#suspendLater();
    return new Promise(() => {});
  }

  /** Suspends the attempt unless a step is running; a step that begins right after another one's end counts as running. */
  #suspendLater() {
    if (this.#waiting.length === 0 || this.#active > 0) return;
    setTimeout(() => {
      if (this.#active > 0) return;
      const events = this.#waiting.filter(({ kind }) => kind === 'event').map(({ name }) => name);
      this.#suspension.resolve(new Suspension(Math.min(...this.#waiting.map(({ due_ms }) => due_ms ?? Infinity)), events));
    });
  }

  /**
   * Calls the store until it answers: its outage is not a failure of the handler.
   *
   * @template Answer
   * @param {() => Promise<Answer>} ask
   * @returns {Promise<Answer>}
   */
  async #ask(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isStoreError(error) || this.isOver) throw error;
        await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
      }
    }
  }
}

/** The steps of a handler that does not declare steps. */
export const NO_STEPS = {
  step: noSteps,
  sleep: noSteps,
  waitForEvent: noSteps,
};

/** @returns {never} */
function noSteps() {
  throw permanent('NoSteps', 'expected the handler to say that it has steps: add `export const steps = true;` to its module');
}

/**
 * @param {TaskError | null} kept
 * @returns {Error} the error, the same each time the handler reaches the step. Uncaught, it fails the task, because the step has had its retries
 */
function asThrown(kept) {
  const { name = 'Error', message = '' } = kept ?? {};
  return permanent(name, message);
}

/**
 * @param {string} name
 * @param {string} message
 */
function permanent(name, message) {
  return Object.assign(new Error(message), { name, permanent: true });
}

/**
 * @param {number} attempts
 * @param {number} delaySeconds
 * @param {string} backoff
 */
function delayOf(attempts, delaySeconds, backoff) {
  const factor = backoff === 'constant' ? 1 : backoff === 'linear' ? attempts : 2 ** (attempts - 1);
  return Math.min(delaySeconds * factor, MAX_WAIT_SECONDS);
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {number} smallest
 * @param {number} largest
 */
function requireNumber(name, value, smallest, largest) {
  if (typeof value === 'number' && value >= smallest && value <= largest) return;
  throw permanent('RangeError', `expected ${name} to be a number from ${smallest} to ${largest}, got ${String(value)}`);
}
