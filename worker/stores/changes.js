/** Tells those who wait for a task of what is done with it in the same isolate. What is done elsewhere a store tells, or a look finds. */

/** @import { Invocation } from '../joint.js' */
/** @import { AttemptName, Progress, StepRecord, TaskRecord } from '../task.js' */
/** @import { StoreClass } from './layered.js' */
/** @import { Abandoned, ClaimAnswer, Settled } from './store.js' */

/** One who waits, until a Unix time: its request may have been cut off before; `hasSteps`: for changes of the task's steps as well.
 *
 * @typedef {{end_ms: number, tell: () => void, hasSteps: boolean}} Listener
 */

/** By the tasks' ids; those who began to listen first come first. @type {Map<string, Set<Listener>>} */
const LISTENERS = new Map();

/** How many tasks are looked through, whenever somebody begins to listen, for those who have gone. */
const CLEANED_TASKS = 4;

/**
 * @param {string} taskId
 * @param {number} end_ms Unix time from which it is not told any more
 * @param {() => void} tell is called when something of the task may have changed; within the request that changed it
 * @param {boolean} [hasSteps] also when one of its steps has
 * @returns {() => void} ends it
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
    if (listeners.size > 0) LISTENERS.set(taskId, listeners); // the others have their turn
  }
}

/**
 * @param {Iterable<string>} taskIds
 * @param {boolean} isStep whether it is a step of theirs that has changed
 */
function tell(taskIds, isStep) {
  if (LISTENERS.size === 0) return;
  for (const taskId of taskIds) {
    for (const listener of LISTENERS.get(taskId) ?? []) if (listener.hasSteps || !isStep) listener.tell();
  }
}

/** What changes a step alone. */
const KEEP_STEP = 'keepStep';

/** Which tasks may have changed by what a method did: of its result and its parameters. @type {Record<string, (result: any, given: any) => Iterable<string>>} */
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
 * Makes a store of whose changes those hear who listen in the same isolate.
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

/** What tells one state of a task's steps from another. @typedef {{count: number, ended: number, attempts: number, due_ms: number | null}} StepsVersion */

/**
 * @param {Pick<TaskRecord, 'status' | 'run' | 'attempts' | 'crashes' | 'progress'>} task
 * @param {StepsVersion} [steps] where they count, too
 * @returns {string} another one once something of the task has changed
 */
export function versionOf({ status, run, attempts, crashes, progress }, steps) {
  const own = [status, run, attempts, crashes, progress && [progress.percent, progress.note]];
  return JSON.stringify(steps ? [...own, steps.count, steps.ended, steps.attempts, steps.due_ms] : own);
}

/**
 * @param {StepRecord[]} steps
 * @returns {StepsVersion} as an object's table tells it
 */
export function stepsVersion(steps) {
  const due = steps.flatMap(({ due_ms }) => due_ms ?? []);
  return {
    count: steps.length, ended: steps.filter(({ status }) => status !== 'waiting').length, attempts: steps.reduce((sum, { attempts }) => sum + attempts, 0),
    due_ms: due.length > 0 ? Math.max(...due) : null,
  };
}
