/** Carries tasks to their handler in Cloudflare Workflows: one instance a run, named after its task. */

/** @import { OpenTask, Store } from '../stores/store.js' */
/** @import { Engine, Submission } from './engine.js' */

/** What an instance is given: its submission; the payload stays in the store. @typedef {Submission} TaskParams */

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
   * Creates an instance for each run; those that have one keep it.
   *
   * @param {Submission[]} runs
   */
  async submit(runs) {
    for (let start = 0; start < runs.length; start += CREATE_BATCH_INSTANCES) {
      await this.workflow.createBatch(runs.slice(start, start + CREATE_BATCH_INSTANCES).map(
        ({ taskId, run, delay_seconds, max_retries }) => ({ id: instanceId({ taskId, run }), params: { taskId, run, delay_seconds, max_retries } }),
      ));
    }
  }

  /**
   * Creates the instances that are missing, and ends tasks whose instance has ended without them.
   *
   * @param {OpenTask[]} tasks
   */
  async rescue(tasks) {
    const statuses = await Promise.all(tasks.map((task) => this.#instanceStatus(task)));
    const missing = tasks.filter((_, index) => statuses[index] === null);
    const ended = tasks.filter((_, index) => ENDED.has(statuses[index] ?? ''));
    if (ended.length > 0) {
      await this.store.abandon(ended, { name: 'InstanceEnded', message: 'the workflow instance ended before its task' });
    }
    if (missing.length > 0) {
      await this.store.markSent(missing.map(({ taskId }) => taskId));
      await this.submit(missing.map((task) => ({ ...task, delay_seconds: 0 })));
    }
    const returned = missing.filter(({ isHeld }) => isHeld).length;
    return { resent: missing.length - returned, returned, failed: ended.length };
  }

  async backlogs() {
    return null; // instances start by themselves, and those that failed stay where they are
  }

  /**
   * @param {OpenTask} task
   * @returns {Promise<string | null>} null when there is no such instance
   */
  async #instanceStatus(task) {
    try {
      return (await (await this.workflow.get(instanceId(task))).status()).status;
    } catch (error) {
      if (String(error).includes('instance.not_found')) return null;
      throw error;
    }
  }
}

/** @param {Pick<Submission, 'taskId' | 'run'>} run of which the first has the task's id */
function instanceId({ taskId, run }) {
  return run === 1 ? taskId : `${taskId}-${run}`;
}
