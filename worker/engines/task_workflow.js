/** What a workflow instance does: attempts its task, in one step that is retried. */

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';

import { attemptInWaves, maxRetries } from '../attempt.js';
import { retryDelaySeconds } from '../backoff.js';

/** @import { WorkflowEvent, WorkflowStep } from 'cloudflare:workers' */
/** @import { Handlers } from '../handler.js' */
/** @import { Delivery, Store } from '../stores/store.js' */
/** @import { Outcome } from '../task.js' */
/** @import { TaskParams } from './workflow.js' */

/** The time that an attempt may take: that of a queue's consumer, so that handlers need not know their engine. */
const ATTEMPT_TIMEOUT = '15 minutes';

/**
 * Makes the class of the workflow.
 *
 * @param {new (env: any) => Store} Store
 * @param {Handlers} handlers
 */
export function taskWorkflow(Store, handlers) {
  return class TaskWorkflow extends WorkflowEntrypoint {
    /**
     * One step, so that a task costs one; a delay is another. It can be repeated: the store's conditional updates
     * decide. An instance that names no task ends errored after its retries, as a message would end in the dead-letter
     * queue.
     *
     * @override
     * @param {Readonly<WorkflowEvent<TaskParams>>} event
     * @param {WorkflowStep} step
     */
    async run({ payload }, step) {
      const { taskId, run = 1, delay_seconds = 0, max_retries = null } = /** @type {Partial<TaskParams>} */ (payload ?? {});
      if (delay_seconds > 0) await step.sleep('delay', delay_seconds * 1000);
      let wait_ms = 0;
      // A task whose attempts are spent ends the step itself. A step that could not reach the store is repeated as often as
      // a queue delivers a message, however few attempts its task may have.
      const limit = Math.max(maxRetries({ max_retries }, this.env), maxRetries({ max_retries: null }, this.env));
      // The default, exponential, would multiply what the function says.
      const retries = { limit, delay: () => wait_ms, backoff: /** @type {const} */ ('constant') };
      await step.do('attempt', { retries, timeout: ATTEMPT_TIMEOUT }, async ({ attempt }) => {
        wait_ms = retryDelaySeconds(attempt, this.env) * 1000;
        if (typeof taskId !== 'string' || taskId === '') throw new TypeError('expected params {"taskId": "..."}');
        const parts = { store: new Store(this.env), handlers, env: this.env };
        wait_ms = Math.max(wait_ms, parts.store.settling_seconds * 1000);
        const outcome = await attemptTask(parts, { taskId, run, attempts: attempt, redrive: false });
        if (outcome?.status === 'pending') wait_ms = Math.max(0, outcome.next_attempt_ms - Date.now());
        if (outcome) throw errorOf(outcome);
      });
    }
  };
}

/**
 * @param {{store: Store, handlers: Handlers, env: any}} parts
 * @param {Delivery} delivery
 * @returns {Promise<Exclude<Outcome, {status: 'completed'}> | null>} null when there is nothing more to do
 * @throws {Error} the task is not there
 */
async function attemptTask(parts, delivery) {
  const { taskId } = delivery;
  const claimed = await parts.store.claim([delivery]);
  if (claimed.length === 0) {
    if ((await parts.store.existing([delivery])).has(taskId)) return null; // it has ended, or another attempt holds it
    throw new Error(`there is no task ${taskId}`);
  }
  for await (const [outcome] of attemptInWaves(parts, claimed)) {
    const settled = outcome && await parts.store.settle([outcome]);
    if (outcome && outcome.status !== 'completed' && settled?.has(taskId)) return outcome;
  }
  return null;
}

/** @param {Exclude<Outcome, {status: 'completed'}>} outcome */
function errorOf({ status, error }) {
  return status === 'failed' ? new NonRetryableError(error.message, error.name) : Object.assign(new Error(error.message), { name: error.name });
}
