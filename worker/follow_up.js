/**
 * What follows the end of tasks: the runs of those that the same write has made or released. The write is what counts: a run whose
 * hand-over is lost is found by the sweeper, because its task is due.
 */

/** @import { Engine, Submission } from './engines/engine.js' */

/** @typedef {{runs: Submission[]}} FollowUp `runs` to hand over: of callbacks, and of tasks that were held until then */

/**
 * @param {Submission[]} [runs]
 * @returns {FollowUp}
 */
export function followUpOf(runs = []) {
  return { runs };
}

/**
 * @param {FollowUp[]} parts
 * @returns {FollowUp}
 */
export function mergeFollowUps(parts) {
  return { runs: parts.flatMap(({ runs }) => runs) };
}

/**
 * Hands over what follows the end of tasks, right after it was written.
 *
 * @param {Pick<Engine, 'submit'>} engine
 * @param {FollowUp} followUp
 * @returns {Promise<void>} never rejects
 */
export async function handOverFollowUp(engine, { runs }) {
  if (runs.length === 0) return;
  try {
    await engine.submit(runs);
  } catch (error) {
    console.error('tasks that follow others are stored, but not sent; the sweeper sends them', {
      taskIds: runs.map(({ taskId }) => taskId), error: String(error),
    });
  }
}
