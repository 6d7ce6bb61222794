/** The class of a Workflow instance: it attempts its task in one step, which is repeated until the task has ended. */

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';

import { attemptAll, ATTEMPTS_SPENT, CRASHED } from '../attempt.js';
import { retryDelaySeconds, returnSeconds } from '../backoff.js';
import { followUpOf, handOverFollowUp } from '../follow_up.js';
import { Invocation } from '../joint.js';
import { CONSUMER_PATIENCE_SECONDS } from '../stores/connection.js';
import { MAX_WAIT_SECONDS } from '../task.js';
import { instanceId, WAKE, WorkflowEngine } from './workflow.js';

/** @import { WorkflowEvent, WorkflowStep } from 'cloudflare:workers' */
/** @import { ValidatorClass } from '../api/request.js' */
/** @import { Parts, Settlement } from '../attempt.js' */
/** @import { Handlers } from '../handler.js' */
/** @import { Delivery, Ended, Store } from '../stores/store.js' */
/** @import { TaskError } from '../task.js' */
/** @import { TaskParams } from './workflow.js' */

/** The longest time of an attempt. It is the same as with a queue's consumer, so that handlers need not know their engine. */
const ATTEMPT_TIMEOUT = '15 minutes';
const ATTEMPT_MS = 14.5 * 60_000;

/** The shortest sleep of a workflow. */
const SHORTEST_WAIT_MS = 1_000;

/** The maximum number of repetitions of a step (https://developers.cloudflare.com/workflows/reference/limits/). The task's own retries end it earlier,
 * and failures of the store do not count. */
const STEP_RETRIES = 10_000;

/**
 * Creates the class of the workflow.
 *
 * @param {new (env: any, patience_seconds?: number, invocation?: Invocation) => Store} Store
 * @param {Handlers} handlers
 * @param {ValidatorClass} [Validator] validates the payloads of tasks that handlers submit
 */
export function taskWorkflow(Store, handlers, Validator = undefined) {
  return class TaskWorkflow extends WorkflowEntrypoint {
    /**
     * Uses one step, so that a task costs one. A delay is another step, and so is each wait of the handler's own steps and the attempt after it.
     * Steps can be repeated: the store's claims decide who runs a task. An instance that names no task ends errored after the stack's retries, as a
     * message would end in the dead-letter queue.
     *
     * @override
     * @param {Readonly<WorkflowEvent<TaskParams>>} event
     * @param {WorkflowStep} step
     */
    async run({ payload }, step) {
      const { taskId, run = 1, delay_seconds = 0 } = /** @type {Partial<TaskParams>} */ (payload ?? {});
      if (delay_seconds > 0) await step.sleep('delay', delay_seconds * 1000);
      for (let number = 1; ; number++) {
        const pause = await this.attempt(step, { taskId, run, number });
        if (!pause) return;
        const wait_ms = Math.max(pause.until_ms - Date.now(), SHORTEST_WAIT_MS);
        if (!pause.hasEvents) await step.sleep(`sleep ${number}`, wait_ms);
        // It makes no difference whether the wait ends by its time or by an event: the handler's step tells them apart.
        else await step.waitForEvent(`event ${number}`, { type: WAKE, timeout: wait_ms }).catch(() => {});
      }
    }

    /**
     * @param {WorkflowStep} step
     * @param {{taskId: string | undefined, run: number, number: number}} which the attempt's number since its steps last waited, from 1 on
     * @returns {Promise<Pause | null>} the next pause; null: the task has ended, or no longer belongs to this instance
     */
    async attempt(step, { taskId, run, number }) {
      let wait_ms = 0;
      let times_away = 0;
      /** @type {Ended[]} */
      let ended = [];
      // The default, exponential backoff, would multiply the delay that the function returns.
      const retries = { limit: STEP_RETRIES, delay: () => wait_ms, backoff: /** @type {const} */ ('constant') };
      return step.do(number === 1 ? 'attempt' : `attempt ${number}`, { retries, timeout: ATTEMPT_TIMEOUT }, async ({ attempt }) => {
        const invocation = new Invocation((work) => this.ctx.waitUntil(work));
        const store = new Store(this.env, CONSUMER_PATIENCE_SECONDS, invocation);
        const parts = { store, handlers, Validator, invocation, env: this.env, engine: new WorkflowEngine(this.env, store, handlers, invocation) };
        const settings = { attempt, max_retries: Number(this.env.MAX_RETRIES) };
        if (typeof taskId !== 'string' || taskId === '') {
          wait_ms = retryDelaySeconds(attempt, this.env) * 1000;
          throw noTask('expected params {"taskId": "..."}', settings);
        }
        const instance = instanceId({ taskId, run });
        const holder = number === 1 ? instance : `${instance}/${number}`; // each step counts its deliveries from 1 on
        const delivery = { taskId, run, redrive: false, holder, delivery: attempt, claim: crypto.randomUUID(), ended };
        const next = await attemptTask(parts, delivery).catch((error) => {
          if (error instanceof NonRetryableError) throw error;
          return away(error);
        });
        if (next === 'done') return null;
        if (next !== 'absent' && 'pause' in next) return next.pause;
        if (next === 'absent') {
          wait_ms = Math.max(retryDelaySeconds(attempt, this.env), parts.store.settling_seconds) * 1000;
          throw noTask(`there is no task ${taskId}`, settings);
        }
        const { at_ms, error } = next;
        times_away = at_ms === null ? times_away + 1 : 0;
        wait_ms = at_ms === null ? returnSeconds(times_away) * 1000 : Math.max(0, at_ms - Date.now());
        if (at_ms === null) ended = [{ holder: delivery.holder, delivery: attempt, released: attempt }];
        throw error;
      });
    }
  };
}

/** The wait of a task's steps: until a time, or until an event that may come earlier. @typedef {{until_ms: number, hasEvents: boolean}} Pause */

/** When to attempt a task again, and what its step says about it; null: its store does not answer, and no attempt holds the task any more.
 *
 * @typedef {{at_ms: number | null, error: Error}} Next
 */

/**
 * @param {Parts} parts
 * @param {Delivery} delivery
 * @returns {Promise<'done' | 'absent' | Next | {pause: Pause}>}
 * @throws {NonRetryableError} the task has failed
 */
async function attemptTask(parts, delivery) {
  const { store, engine } = parts;
  const { taskId, run, holder, delivery: number } = delivery;
  const answer = (await store.claim([delivery], true)).get(taskId) ?? { kind: 'absent' };
  await handOverFollowUp(engine, followUpOf({ runs: answer.follows ?? [] }));
  switch (answer.kind) {
    case 'claimed': break;
    case 'unreleased': return { pause: { until_ms: Date.now() + MAX_WAIT_SECONDS * 1000, hasEvents: true } }; // its release wakes it
    case 'absent': return 'absent';
    case 'wait': {
      // If the previous attempt died after its wait was written, an event may come before that time: only a pause receives it.
      if (await waitsForEvent(store, taskId)) return { pause: { until_ms: answer.until_ms, hasEvents: true } };
      return { at_ms: answer.until_ms, error: new Error('the task is not due yet') };
    }
    case 'unreachable': return away(answer.error);
    case 'spent': case 'crashed': {
      const error = answer.kind === 'spent' ? ATTEMPTS_SPENT : CRASHED;
      await handOverFollowUp(engine, await store.abandon([{ taskId, run, attempts: answer.attempts, holder, delivery: number }], error));
      throw new NonRetryableError(error.message, error.name);
    }
    default: return 'done'; // it has ended, or another attempt holds it
  }
  /** @type {Settlement | undefined} */
  let settlement;
  let followUp = followUpOf();
  await attemptAll(parts, [answer.task], Date.now() + ATTEMPT_MS, ([first], follows) => {
    settlement = first;
    followUp = follows;
  });
  const { outcome, standing } = /** @type {Settlement} */ (settlement);
  await handOverFollowUp(engine, followUp);
  if (standing === 'lost') return away(new Error('the outcome of the attempt could not be written'));
  if (standing === 'superseded' || outcome.status === 'completed') return 'done';
  if (outcome.status === 'failed') throw new NonRetryableError(outcome.error.message, outcome.error.name);
  if (outcome.suspended) return { pause: { until_ms: outcome.next_attempt_ms, hasEvents: (outcome.events ?? []).length > 0 } };
  const { name, message } = /** @type {TaskError} */ (outcome.error);
  return { at_ms: outcome.next_attempt_ms, error: Object.assign(new Error(message), { name }) };
}

/**
 * @param {Store} store
 * @param {string} taskId
 */
async function waitsForEvent(store, taskId) {
  return (await store.steps(taskId)).some(({ kind, status }) => kind === 'event' && status === 'waiting');
}

/**
 * @param {Error} error
 * @returns {Next}
 */
function away(error) {
  return { at_ms: null, error };
}

/**
 * @param {string} message
 * @param {{attempt: number, max_retries: number}} settings
 */
function noTask(message, { attempt, max_retries }) {
  return attempt > max_retries ? new NonRetryableError(message) : new TypeError(message);
}
