/** Delivers tasks to their handlers through Cloudflare Workflows: one instance for each run, named after its task. */

import { handOverFollowUp } from '../follow_up.js';
import { Invocation, Joint, jointOf } from '../joint.js';
import { patiently } from '../patience.js';
import { HANDOVER_PATIENCE_SECONDS, HandoverRefused } from './engine.js';

/** @import { OpenTask, Store } from '../stores/store.js' */
/** @import { Engine, Submission } from './engine.js' */

/** The parameters of an instance: its submission. The payload stays in the store. @typedef {Submission} TaskParams */

/** A createBatch takes 100 instances (https://developers.cloudflare.com/workflows/reference/limits/). */
const CREATE_BATCH_INSTANCES = 100;
const BOUNDS = { items: CREATE_BATCH_INSTANCES, bytes: Infinity, answer_bytes: Infinity };
const SMALL = { bytes: 0, answer_bytes: 0 };

/** The statuses of instances that will not run again by themselves; a terminated instance stays terminated. */
const ENDED = new Set(['errored', 'complete']);

/** The type of the event that resumes an instance. */
export const WAKE = 'wake';

/** How many instances are queried concurrently: each is a request, out of the 1,000 of an invocation
 * (https://developers.cloudflare.com/workers/platform/limits/#subrequests). */
const ASKED_AT_ONCE = 50;

/** @implements {Engine} */
export class WorkflowEngine {
  hasQueues = false;

  /**
   * @param {{TASK_WORKFLOW: Workflow<TaskParams>}} env
   * @param {Store} store
   * @param {unknown} [_handlers]
   * @param {Invocation} [invocation]
   */
  constructor(env, store, _handlers, invocation = new Invocation()) {
    this.workflow = env.TASK_WORKFLOW;
    this.store = store;
    this.invocation = invocation;
  }

  /**
   * Creates an instance for each run. An existing instance is kept, so that this can be repeated. The instance of a run that was held waits to be
   * woken. Cloudflare creates 100 instances a second (https://developers.cloudflare.com/workflows/reference/limits/).
   *
   * @param {Submission[]} runs
   * @throws {HandoverRefused}
   */
  async submit(runs) {
    await Promise.all(runs.filter(({ wasDelivered }) => wasDelivered).map((run) => this.wake(run)));
    await this.#createAll(runs.filter(({ wasDelivered }) => !wasDelivered));
  }

  /**
   * @param {Submission[]} runs
   * @throws {HandoverRefused}
   */
  async #createAll(runs) {
    const joint = jointOf(this.workflow, '', () => new Joint(BOUNDS, () => SMALL, isPassing));
    for (let start = 0; start < runs.length; start += CREATE_BATCH_INSTANCES) {
      const instances = runs.slice(start, start + CREATE_BATCH_INSTANCES).map(({ taskId, run, delay_seconds, max_retries }) => (
        { id: instanceId({ taskId, run }), params: { taskId, run, delay_seconds, max_retries } }
      ));
      try {
        await patiently(HANDOVER_PATIENCE_SECONDS, () => joint.ask(instances, (all) => this.#create(all), this.invocation), isPassing);
      } catch (error) {
        throw new HandoverRefused(String(error), { cause: error });
      }
    }
  }

  /**
   * Creates missing instances, restarts those that ended before their task did, and ends tasks whose instance was terminated by hand.
   *
   * @param {OpenTask[]} tasks
   * @throws {HandoverRefused}
   */
  async rescue(tasks) {
    const counts = { resent: 0, returned: 0, failed: 0 };
    for (let start = 0; start < tasks.length; start += ASKED_AT_ONCE) {
      const { resent, returned, failed } = await this.#rescue(tasks.slice(start, start + ASKED_AT_ONCE));
      counts.resent += resent;
      counts.returned += returned;
      counts.failed += failed;
    }
    return counts;
  }

  /**
   * The dead letters are those of a queue that the stack had before.
   *
   * @param {Submission[]} runs
   * @throws {HandoverRefused}
   */
  async redrive(runs) {
    const begun = await Promise.allSettled(runs.map(({ taskId, run }) => this.store.retry(taskId, run - 1)));
    await this.submit(runs.filter((_, index) => begun[index]?.status === 'fulfilled' && begun[index].value !== null));
    for (const each of begun) if (each.status === 'rejected') throw each.reason;
  }

  /** @param {Submission} run */
  async wake(run) {
    try {
      await (await this.workflow.get(instanceId(run))).sendEvent({ type: WAKE, payload: null });
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.#createAll([run]);
    }
  }

  async backlogs() {
    return null; // instances start by themselves, and failed ones stay where they are
  }

  /** @param {WorkflowInstanceCreateOptions<TaskParams>[]} instances */
  async #create(instances) {
    await this.workflow.createBatch(instances);
    return instances.map(() => null);
  }

  /** @param {OpenTask[]} tasks */
  async #rescue(tasks) {
    const statuses = await Promise.all(tasks.map((task) => this.#instanceStatus(task)));
    const missing = tasks.filter((_, index) => statuses[index] === null);
    const ended = tasks.filter((_, index) => ENDED.has(statuses[index] ?? ''));
    const terminated = tasks.filter((_, index) => statuses[index] === 'terminated');
    const again = [...missing, ...ended];
    // An instance that waits although its task is due has missed an event. An event that nobody waits for is harmless.
    await Promise.all(tasks.filter((_, index) => statuses[index] === 'waiting').map((task) => this.wake({ ...task, delay_seconds: 0 })));
    if (terminated.length > 0) {
      const error = { name: 'InstanceTerminated', message: 'the workflow instance was terminated before its task had ended' };
      await handOverFollowUp(this, await this.store.abandon(terminated, error));
    }
    if (again.length > 0) {
      await this.store.markSent(again.map(({ taskId }) => taskId), Date.now());
      await this.submit(missing.map((task) => ({ ...task, delay_seconds: 0 })));
      for (const task of ended) await (await this.workflow.get(instanceId(task))).restart();
    }
    const returned = again.filter(({ isHeld }) => isHeld).length;
    return { resent: again.length - returned, returned, failed: terminated.length };
  }

  /**
   * @param {OpenTask} task
   * @returns {Promise<string | null>} the status; null if there is no such instance
   */
  async #instanceStatus(task) {
    try {
      return (await (await this.workflow.get(instanceId(task))).status()).status;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }
}

/** @param {unknown} error */
function isMissing(error) {
  return String(error).includes('instance.not_found');
}

/** @param {unknown} error */
function isPassing(error) {
  return !(error instanceof TypeError);
}

/** @param {Pick<Submission, 'taskId' | 'run'>} run the run; the first one has the task's id */
export function instanceId({ taskId, run }) {
  return run === 1 ? taskId : `${taskId}-${run}`;
}
