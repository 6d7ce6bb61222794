/**
 * What follows the end of tasks: the runs of those that the same write has made or released, and the tasks that wait for it. The write
 * is what counts: a run whose hand-over is lost is found by the sweeper, because its task is due, and so is a task that was not told.
 */

/** @import { Engine, Submission } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */
/** @import { Status } from './task.js' */

/**
 * `runs` to hand over: of callbacks, and of tasks that were held until then; `ended` are tasks that others wait for.
 *
 * @typedef {{runs: Submission[], ended: {taskId: string, status: Status}[]}} FollowUp
 */

/** How many pages of the tasks that wait are told at once, and how deep a chain of tasks is followed in which each end brings the next. The
 * sweeper goes on with what is left. */
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
 * Sees to what follows the end of tasks, right after it was written.
 *
 * @param {Engine} engine
 * @param {FollowUp} followUp
 * @returns {Promise<void>} never rejects
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
