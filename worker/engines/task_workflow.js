/** What a workflow instance does: attempts its task, in one step that is retried. */

import { WorkflowEntrypoint } from 'cloudflare:workers';

import { attempt } from '../attempt.js';

/** @import { WorkflowEvent, WorkflowStep } from 'cloudflare:workers' */
/** @import { Store } from '../stores/store.js' */
/** @import { Handler } from '../task.js' */
/** @import { TaskParams } from './workflow.js' */

/** The time that an attempt may take: that of a queue's consumer, so that handlers need not know their engine. */
const ATTEMPT_TIMEOUT = '15 minutes';

/**
 * Makes the class of the workflow.
 *
 * @param {new (env: any) => Store} Store
 * @param {Handler} handler
 */
export function taskWorkflow(Store, handler) {
  return class TaskWorkflow extends WorkflowEntrypoint {
    /**
     * One step, so that a task costs one. It can be repeated: the store's conditional updates decide. An instance that
     * names no task ends errored after its retries, as a message would end in the dead-letter queue.
     *
     * @override
     * @param {Readonly<WorkflowEvent<TaskParams>>} event
     * @param {WorkflowStep} step
     */
    async run(event, step) {
      const { MAX_RETRIES, RETRY_DELAY_SECONDS } = /** @type {{MAX_RETRIES: string, RETRY_DELAY_SECONDS: string}} */ (this.env);
      const limit = Number(MAX_RETRIES);
      const retries = { limit, delay: Number(RETRY_DELAY_SECONDS) * 1000, backoff: /** @type {const} */ ('constant') };
      await step.do('attempt', { retries, timeout: ATTEMPT_TIMEOUT }, async (context) => {
        await attemptTask(new Store(this.env), handler, event.payload, context.attempt, limit);
      });
    }
  };
}

/**
 * @param {Store} store
 * @param {Handler} handler
 * @param {unknown} params of the instance, which anybody with the API token may have created
 * @param {number} deliveries of the step: 1 for the first
 * @param {number} maxRetries
 * @throws {Error} the attempt failed: the step is to be tried again
 */
async function attemptTask(store, handler, params, deliveries, maxRetries) {
  const taskId = /** @type {Partial<TaskParams> | null | undefined} */ (params)?.taskId;
  if (typeof taskId !== 'string' || taskId === '') throw new TypeError('expected params {"taskId": "..."}');
  const [task] = await store.claim([{ taskId, attempts: deliveries }]);
  if (!task) {
    if ((await store.existing([taskId])).has(taskId)) return; // it has ended, or another attempt holds it
    throw new Error(`there is no task ${taskId}`);
  }
  const outcome = await attempt(handler, task, Math.max(task.attempts, deliveries) > maxRetries);
  await store.settle([outcome]);
  if ('error' in outcome) throw Object.assign(new Error(outcome.error.message), { name: outcome.error.name });
}
