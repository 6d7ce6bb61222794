/** Attempts at tasks: runs their handlers and writes the outcomes. */

import { chosenDelaySeconds, isPermanent, retryDelaySeconds } from './backoff.js';
import { contextOf } from './context.js';
import { Cancellation } from './cancellation.js';
import { followUpOf } from './follow_up.js';
import { MAX_TIMEOUT_SECONDS, PermanentError } from './handler.js';
import { Heartbeat, Running } from './heartbeat.js';
import { OtherTasks } from './other_tasks.js';
import { withPriority } from './priority.js';
import { NO_STEPS, Steps, Suspension } from './steps.js';
import { isStoreError } from './stores/store_error.js';
import { Journal } from './story.js';
import { resultJson } from './result.js';
import { describeError } from './task.js';
import { describeFailure } from './thrown.js';

/** @import { Parts as RequestParts } from './api/router.js' */
/** @import { FollowUp } from './follow_up.js' */
/** @import { Handlers } from './handler.js' */
/** @import { Standing, Store } from './stores/store.js' */
/** @import { ClaimedTask, Outcome, TaskError } from './task.js' */
/** @import { Failure } from './thrown.js' */

/** @typedef {RequestParts & {env: any}} Parts */

/** How long an outcome waits for others that are written with it. If attempts end one after the other, each write adds this much to the wait, so that
 * an invocation makes few writes (the Free plan has 50 queries for it, https://developers.cloudflare.com/d1/platform/limits/). */
const LINGER_MS = 5;

/** The wait before outcomes are written again to a store that did not answer. */
const AGAIN_MS = 1_000;

/** The error of a task that may have no further attempt although its last attempt did not fail: the number of allowed attempts was lowered. @type {TaskError} */
export const ATTEMPTS_SPENT = { name: 'AttemptsSpent', message: 'it has had as many attempts as it may have' };

/** @type {TaskError} */
export const CRASHED = {
  name: 'Crashed',
  message: 'each time that it ran its isolate died, last when it ran alone: it may have used up the CPU time or the memory that an isolate has',
};

/** The result of an attempt. `standing` says who held the task when its outcome was written; `lost`: the store did not answer in time.
 *
 * @typedef {{task: ClaimedTask, outcome: Outcome, standing: Standing}} Settlement
 */

/**
 * Attempts tasks concurrently, each on its own. Each outcome is written as soon as its attempt has ended, together with the outcomes of others that
 * have ended by then.
 *
 * @param {Parts} parts
 * @param {ClaimedTask[]} tasks
 * @param {number} end_ms Unix time until which writes are retried if the store does not answer. The signals of handlers that still run then report
 *   that the store is lost
 * @param {(settlements: Settlement[], followUp: FollowUp) => void} onSettled called when outcomes were written, with their follow-up; each task is
 *   reported once
 * @returns {Promise<void>} when all have ended; it never rejects because a handler throws, which gives an outcome with an error
 * @throws  errors of the store, except that it does not answer
 */
export async function attemptAll(parts, tasks, end_ms, onSettled) {
  const heartbeat = new Heartbeat(parts.store);
  const running = new Set(tasks.map((task) => new Attempt(parts, task, heartbeat)));
  /** @type {{task: ClaimedTask, outcome: Outcome}[]} */
  let ended = [];
  let wake = () => {};
  for (const each of running) {
    void each.run().then((outcome) => {
      running.delete(each);
      if (each.isStoreLost) onSettled([{ task: each.task, outcome, standing: 'lost' }], followUpOf());
      else ended.push({ task: each.task, outcome });
      wake();
    });
  }
  const stopAll = () => running.forEach((each) => each.loseStore());
  const timer = setTimeout(stopAll, end_ms - Date.now());
  try {
    for (let writes = 0; running.size > 0 || ended.length > 0; writes++) {
      if (ended.length === 0) {
        await new Promise((resolve) => { wake = () => resolve(undefined); });
        continue;
      }
      if (running.size > 0) await wait(LINGER_MS * (writes + 1), (stop) => { wake = () => running.size === 0 && stop(); });
      await heartbeat.settled();
      const offered = ended;
      ended = [];
      const { standings, followUp } = await parts.store.settle(offered.map(({ outcome }) => outcome));
      const isTimeUp = Date.now() >= end_ms;
      /** @type {Settlement[]} */
      const settled = [];
      for (const each of offered) {
        const standing = standings.get(each.task.taskId) ?? 'lost';
        if (standing === 'lost' && !isTimeUp) ended.push(each);
        else settled.push({ ...each, standing });
      }
      if (settled.length > 0) onSettled(await Promise.all(settled.map((each) => untilEvent(parts.store, each))), followUp);
      if (settled.length < offered.length) await wait(Math.min(AGAIN_MS, end_ms - Date.now()));
    }
  } finally {
    clearTimeout(timer);
    stopAll();
  }
}

/**
 * Nobody could be woken by an event that came while its task was being suspended.
 *
 * @param {Store} store
 * @param {Settlement} settlement
 * @returns {Promise<Settlement>} the settlement, due at once if such an event exists or if the store does not answer
 */
async function untilEvent(store, settlement) {
  const { outcome, standing } = settlement;
  if (standing !== 'ours' || outcome.status !== 'pending' || !outcome.events?.length) return settlement;
  try {
    const found = await Promise.all(outcome.events.map((name) => store.event(outcome.taskId, name)));
    if (found.every((event) => event === null)) return settlement;
  } catch (error) {
    if (!isStoreError(error)) throw error;
  }
  return { ...settlement, outcome: { ...outcome, next_attempt_ms: Date.now() } };
}

/**
 * @param {number} time_ms
 * @param {(stop: () => void) => void} [interrupt] receives a function that ends the wait early
 */
async function wait(time_ms, interrupt = () => {}) {
  /** @type {PromiseWithResolvers<void>} */
  const { promise, resolve } = Promise.withResolvers();
  const timer = setTimeout(resolve, time_ms);
  interrupt(resolve);
  await promise;
  clearTimeout(timer);
}

function storeLost() {
  return Object.assign(new Error('the task store does not answer; the task will be attempted again'), { name: 'StoreLost' });
}

/**
 * @param {Pick<ClaimedTask, 'max_retries'>} task
 * @param {{MAX_RETRIES: string}} env
 * @returns {number} the most retries of the task: its own setting, else the stack's
 */
export function maxRetries({ max_retries }, env) {
  return max_retries ?? Number(env.MAX_RETRIES);
}

/** One start of a handler. */
class Attempt {
  #cancellation = new Cancellation();
  #hasLostTask = false;
  isStoreLost = false;

  /**
   * @param {Parts} parts
   * @param {ClaimedTask} task
   * @param {Heartbeat} heartbeat
   */
  constructor(parts, task, heartbeat) {
    this.parts = parts;
    this.store = parts.store;
    this.handlers = parts.handlers;
    this.env = parts.env;
    this.task = task;
    this.heartbeat = heartbeat;
    this.running = new Running(task, (reason) => this.#lose(reason));
  }

  /** Stops the attempt without an outcome. */
  loseStore() {
    this.isStoreLost = true;
    this.#lose(storeLost());
  }

  /** @param {Error} reason why its outcome no longer counts */
  #lose(reason) {
    this.#hasLostTask = true;
    this.#cancellation.cancel(reason);
  }

  /** @returns {Promise<Outcome>} the outcome; it never rejects */
  async run() {
    const { task, env, running, heartbeat } = this;
    heartbeat.add(running);
    const journal = new Journal(task);
    const named = () => ({ ...running.name, progress: running.progress, ended_ms: Date.now(), ...(task.callback && { callback: task.callback }), ...(task.group && { group: task.group }), ...withPriority(task.priority) });
    /** @type {Steps | null} */
    let steps = null;
    try {
      const { default: handle, timeout_seconds = MAX_TIMEOUT_SECONDS, steps: hasSteps } = find(this.handlers, task.handler);
      steps = hasSteps ? new Steps(this.store, running.name, (reason) => this.#lose(reason)) : null;
      const others = new OtherTasks(this.parts, task);
      const context = contextOf(task, env, this.#cancellation, (progress) => heartbeat.tell(running, progress), steps ?? NO_STEPS, journal, others);
      const result = await this.#cancellation.limit(timeout_seconds, () => {
        const work = handle(task.payload, context);
        return steps ? Promise.race([work, steps.suspension]) : work;
      });
      if (result instanceof Suspension) {
        return told(journal, { ...named(), status: 'pending', suspended: true, error: null, next_attempt_ms: result.until_ms, events: result.events });
      }
      return told(journal, { ...named(), status: 'completed', result: resultJson(result) });
    } catch (thrown) {
      return told(journal, { ...named(), ...failure(task, env, thrown, this.#hasLostTask) }, describeFailure(thrown));
    } finally {
      if (steps) steps.isOver = true;
      heartbeat.remove(running);
    }
  }
}

/**
 * @param {Journal} journal
 * @param {Outcome} outcome
 * @param {Failure | null} [error]
 * @returns {Outcome} the outcome with the task's story
 */
function told(journal, outcome, error = null) {
  const story = journal.after(outcome, error);
  return story === null ? outcome : { ...outcome, story };
}

/**
 * @param {Handlers} handlers
 * @param {string} name
 * @throws {PermanentError} the handler was removed after the task was submitted
 */
function find(handlers, name) {
  const module = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (!module) throw Object.assign(new PermanentError(`there is no handler ${name} any more`), { name: 'UnknownHandler' });
  return module;
}

/**
 * Returns the outcome of a failed attempt. Only the error's name is logged, because its message may contain the payload.
 *
 * @param {ClaimedTask} task
 * @param {any} env
 * @param {unknown} thrown
 * @param {boolean} hasLostTask whether the attempt has lost its task: then it is never the last one, and another attempt decides the outcome
 */
function failure({ taskId, handler, attempts, max_retries }, env, thrown, hasLostTask) {
  const error = describeError(thrown);
  const isLast = !hasLostTask && (attempts > maxRetries({ max_retries }, env) || isPermanent(thrown));
  if (hasLostTask) console.warn('attempt stopped', { taskId, handler, attempts, reason: error.name });
  else console.error('attempt failed', { taskId, handler, attempts, status: isLast ? 'failed' : 'pending', error: error.name });
  if (isLast) return { status: /** @type {const} */ ('failed'), error };
  const delay_seconds = chosenDelaySeconds(thrown) ?? retryDelaySeconds(attempts, env);
  return { status: /** @type {const} */ ('pending'), error, next_attempt_ms: Date.now() + delay_seconds * 1000 };
}
