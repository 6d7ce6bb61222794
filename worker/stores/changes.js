/** Tells those who wait for a task of what is done with it in the same isolate. What is done elsewhere a store tells, or a look finds. */

/** @import { Invocation } from '../joint.js' */
/** @import { AttemptName, Progress, TaskRecord } from '../task.js' */
/** @import { StoreClass } from './layered.js' */
/** @import { Abandoned, ClaimAnswer, Settled } from './store.js' */

/** One who waits, until a Unix time: its request may have been cut off before. @typedef {{end_ms: number, tell: () => void}} Listener */

/** By the tasks' ids; those who began to listen first come first. @type {Map<string, Set<Listener>>} */
const LISTENERS = new Map();

/** How many tasks are looked through, whenever somebody begins to listen, for those who have gone. */
const CLEANED_TASKS = 4;

/**
 * @param {string} taskId
 * @param {number} end_ms Unix time from which it is not told any more
 * @param {() => void} tell is called when something of the task may have changed; within the request that changed it
 * @returns {() => void} ends it
 */
export function listen(taskId, end_ms, tell) {
  clean();
  const listener = { end_ms, tell };
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

/** @param {Iterable<string>} taskIds */
function tell(taskIds) {
  if (LISTENERS.size === 0) return;
  for (const taskId of taskIds) for (const listener of LISTENERS.get(taskId) ?? []) listener.tell();
}

/** Which tasks may have changed by what a method did: of its result and its parameters. @type {Record<string, (result: any, given: any) => Iterable<string>>} */
const CHANGED = {
  claim: (/** @type {Map<string, ClaimAnswer>} */ answers) => [...answers].flatMap(([taskId, { kind }]) => (kind === 'claimed' ? [taskId] : [])),
  settle: (/** @type {Settled} */ { standings }) => standings.keys(),
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
          tell(changedBy(result, given[0]));
          return result;
        };
      }
    }
  };
}

/**
 * @param {Pick<TaskRecord, 'status' | 'run' | 'attempts' | 'crashes' | 'progress'>} task
 * @returns {string} another one once something of the task has changed
 */
export function versionOf({ status, run, attempts, crashes, progress }) {
  return JSON.stringify([status, run, attempts, crashes, progress && [progress.percent, progress.note]]);
}
