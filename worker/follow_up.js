/**
 * The follow-up of ended tasks: the runs that the same write created or released, and the tasks that waited for the ended ones. Only the write has to
 * succeed: if a hand-over is lost, the sweeper finds the run, because its task is due, and it also finds tasks that were not released.
 */

/** @import { Engine, Submission } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */
/** @import { Status } from './task.js' */

/**
 * `runs` are to be submitted: callbacks, and tasks that were held until then. `ended` are tasks that others wait for.
 *
 * @typedef {{runs: Submission[], ended: {taskId: string, status: Status}[]}} FollowUp
 */

/** How many pages of waiting tasks are handled at once, and how long a chain of tasks is followed in which each end causes the next. The sweeper does
 * the rest. */
const MAX_PAGES = 50;
const MAX_DEPTH = 100;

/**
 * @param {Partial<FollowUp>} [parts]
 * @returns {FollowUp}
 */
export function followUpOf({ runs = [], ended = [] } = {}) {
  return { runs, ended };
}

/**
 * @param {FollowUp[]} parts
 * @returns {FollowUp}
 */
export function mergeFollowUps(parts) {
  return { runs: parts.flatMap(({ runs }) => runs), ended: parts.flatMap(({ ended }) => ended) };
}

/**
 * Handles the follow-up of ended tasks, right after their ends were written.
 *
 * @param {Engine} engine
 * @param {FollowUp} followUp
 * @returns {Promise<void>} when it is done; it never rejects
 */
export async function handOverFollowUp(engine, followUp) {
  try {
    for (let { runs, ended } = followUp, depth = 0; ; depth++) {
      if (runs.length > 0) await handOver(engine, runs);
      if (ended.length === 0 || depth === MAX_DEPTH) return;
      ({ runs, ended } = await tellThoseThatWait(engine.store, ended));
    }
  } catch (error) {
    console.error('tasks that wait for others could not be told that these have ended; the sweeper tells them', { error: String(error) });
  }
}

/**
 * @param {Engine} engine
 * @param {Submission[]} runs
 */
async function handOver(engine, runs) {
  try {
    await engine.submit(runs);
  } catch (error) {
    console.error('tasks that follow others are stored, but not sent; the sweeper sends them', {
      taskIds: runs.map(({ taskId }) => taskId), error: String(error),
    });
  }
}

/**
 * @param {Store} store
 * @param {FollowUp['ended']} ended
 * @returns {Promise<FollowUp>}
 */
async function tellThoseThatWait(store, ended) {
  const statuses = new Map(ended.map(({ taskId, status }) => [taskId, status]));
  /** @type {FollowUp[]} */
  const parts = [];
  for await (const links of store.dependents([...statuses.keys()])) {
    parts.push(await store.tell(links.map((link) => ({ ...link, status: statuses.get(link.awaited) ?? null }))));
    if (parts.length === MAX_PAGES) break;
  }
  return mergeFollowUps(parts);
}
