/** Notifies those who wait for a task of changes made in the same isolate. Changes made elsewhere are reported by the store, or found by polling. */

/** @import { Invocation } from '../joint.js' */
/** @import { AttemptName, Progress, StepRecord, TaskRecord } from '../task.js' */
/** @import { StoreClass } from './layered.js' */
/** @import { Abandoned, ClaimAnswer, Settled } from './store.js' */

/** A listener, until a Unix time, because its request may be cut off earlier; `hasSteps`: it also listens to changes of the task's steps.
 *
 * @typedef {{end_ms: number, tell: () => void, hasSteps: boolean}} Listener
 */

/** Listeners by task id; the tasks listened to first come first. @type {Map<string, Set<Listener>>} */
const LISTENERS = new Map();

/** For how many tasks expired listeners are removed whenever a new one is added. */
const CLEANED_TASKS = 4;

/**
 * @param {string} taskId
 * @param {number} end_ms Unix time after which it is not notified any more
 * @param {() => void} tell called when the task may have changed, within the request that changed it
 * @param {boolean} [hasSteps] also when one of its steps has changed
 * @returns {() => void} a function that ends the listening
 */
export function listen(taskId, end_ms, tell, hasSteps = false) {
  clean();
  const listener = { end_ms, tell, hasSteps };
  const listeners = LISTENERS.get(taskId) ?? new Set();
  LISTENERS.set(taskId, listeners.add(listener));
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && LISTENERS.get(taskId) === listeners) LISTENERS.delete(taskId);
  };
}

function clean() {
  const now_ms = Date.now();
  for (const [taskId, listeners] of LISTENERS.entries().take(CLEANED_TASKS)) {
    for (const listener of listeners) if (listener.end_ms < now_ms) listeners.delete(listener);
    LISTENERS.delete(taskId);
    if (listeners.size > 0) LISTENERS.set(taskId, listeners); // moved to the end, so that the other tasks are cleaned next
  }
}

/**
 * @param {Iterable<string>} taskIds
 * @param {boolean} isStep whether only a step has changed
 */
function tell(taskIds, isStep) {
  if (LISTENERS.size === 0) return;
  for (const taskId of taskIds) {
    for (const listener of LISTENERS.get(taskId) ?? []) if (listener.hasSteps || !isStep) listener.tell();
  }
}

/** The method that changes only a step. */
const KEEP_STEP = 'keepStep';

/** Which tasks a method may have changed, from its result and its parameters. @type {Record<string, (result: any, given: any) => Iterable<string>>} */
const CHANGED = {
  claim: (/** @type {Map<string, ClaimAnswer>} */ answers) => [...answers].flatMap(([taskId, { kind }]) => (kind === 'claimed' ? [taskId] : [])),
  settle: (/** @type {Settled} */ { standings }) => standings.keys(),
  [KEEP_STEP]: (_, /** @type {AttemptName} */ { taskId }) => [taskId],
  report: (_, /** @type {(AttemptName & {progress: Progress | null})[]} */ reports) => reports.flatMap(({ taskId, progress }) => (progress ? [taskId] : [])),
  cancel: (_, /** @type {string} */ taskId) => [taskId],
  retry: (_, /** @type {string} */ taskId) => [taskId],
  abandon: (_, /** @type {Abandoned[]} */ lost) => lost.map(({ taskId }) => taskId),
};

/**
 * Wraps a store so that its changes notify the listeners in the same isolate.
 *
 * @param {StoreClass} Store
 * @returns {StoreClass}
 */
export function telling(Store) {
  return class TellingStore extends Store {
    /**
     * @param {any} env
     * @param {number} [patience_seconds]
     * @param {Invocation} [invocation]
     */
    constructor(env, patience_seconds, invocation) {
      super(env, patience_seconds, invocation);
      /** @type {Record<string, any>} */
      const methods = this;
      for (const [name, changedBy] of Object.entries(CHANGED)) {
        const act = methods[name].bind(this);
        methods[name] = async (/** @type {any[]} */ ...given) => {
          const result = await act(...given);
          tell(changedBy(result, given[0]), name === KEEP_STEP);
          return result;
        };
      }
    }
  };
}

/** Distinguishes states of a task's steps. @typedef {{count: number, ended: number, attempts: number, due_ms: number | null}} StepsVersion */

/**
 * @param {Pick<TaskRecord, 'status' | 'run' | 'attempts' | 'crashes' | 'progress'>} task
 * @param {StepsVersion} [steps] the steps, if they count too
 * @returns {string} a text that differs once the task has changed
 */
export function versionOf({ status, run, attempts, crashes, progress }, steps) {
  const own = [status, run, attempts, crashes, progress && [progress.percent, progress.note]];
  return JSON.stringify(steps ? [...own, steps.count, steps.ended, steps.attempts, steps.due_ms] : own);
}

/**
 * @param {StepRecord[]} steps
 * @returns {StepsVersion} the same as an object's table computes
 */
export function stepsVersion(steps) {
  const due = steps.flatMap(({ due_ms }) => due_ms ?? []);
  return {
    count: steps.length, ended: steps.filter(({ status }) => status !== 'waiting').length, attempts: steps.reduce((sum, { attempts }) => sum + attempts, 0),
    due_ms: due.length > 0 ? Math.max(...due) : null,
  };
}
