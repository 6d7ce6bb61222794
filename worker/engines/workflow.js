/** Carries tasks to their handler in Cloudflare Workflows: one instance a task, with the task's id. */

/** @import { OpenTask, Store } from '../stores/store.js' */
/** @import { Engine } from './engine.js' */

/** What an instance is given: the task's name; its payload stays in the store. @typedef {{taskId: string}} TaskParams */

/** A createBatch takes 100 instances (https://developers.cloudflare.com/workflows/reference/limits/). */
const CREATE_BATCH_INSTANCES = 100;

/** Instances that will not run again. */
const ENDED = new Set(['errored', 'terminated', 'complete']);

/** @implements {Engine} */
export class WorkflowEngine {
  /**
   * @param {{TASK_WORKFLOW: Workflow<TaskParams>}} env
   * @param {Store} store
   */
  constructor(env, store) {
    this.workflow = env.TASK_WORKFLOW;
    this.store = store;
  }

  /**
   * Creates an instance for each task; those that have one keep it.
   *
   * @param {string[]} taskIds
   */
  async submit(taskIds) {
    for (let start = 0; start < taskIds.length; start += CREATE_BATCH_INSTANCES) {
      const batch = taskIds.slice(start, start + CREATE_BATCH_INSTANCES);
      await this.workflow.createBatch(batch.map((taskId) => ({ id: taskId, params: { taskId } })));
    }
  }

  /**
   * Creates the instances that are missing, and ends tasks whose instance has ended without them.
   *
   * @param {OpenTask[]} tasks
   */
  async rescue(tasks) {
    const statuses = await Promise.all(tasks.map(({ taskId }) => this.#instanceStatus(taskId)));
    const missing = tasks.filter((_, index) => statuses[index] === null).map(({ taskId }) => taskId);
    const ended = tasks.filter((_, index) => ENDED.has(statuses[index] ?? '')).map(({ taskId }) => taskId);
    if (ended.length > 0) {
      await this.store.abandon(ended, { name: 'InstanceEnded', message: 'the workflow instance ended before its task' });
    }
    if (missing.length > 0) {
      await this.submit(missing);
      await this.store.markSent(missing);
    }
    return { sent: missing.length, failed: ended.length };
  }

  /**
   * @param {string} taskId
   * @returns {Promise<string | null>} null when there is no such instance
   */
  async #instanceStatus(taskId) {
    try {
      return (await (await this.workflow.get(taskId)).status()).status;
    } catch (error) {
      if (String(error).includes('instance.not_found')) return null;
      throw error;
    }
  }
}
