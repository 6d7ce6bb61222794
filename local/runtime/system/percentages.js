/** @import { Target } from '../desired_state.js' */

/**
 * One of several versions, by chance and their shares; null when there is none.
 *
 * @param {Target[]} targets
 * @param {number} [chance] from 0 to 1, which is not included
 * @returns {Target | null}
 */
export function pickTarget(targets, chance = Math.random()) {
  const total = targets.reduce((sum, { percentage }) => sum + percentage, 0);
  let point = chance * total;
  return targets.find(({ percentage }) => (point -= percentage) < 0) ?? targets[0] ?? null;
}
