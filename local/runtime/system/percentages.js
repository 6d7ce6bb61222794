/** @import { Target } from '../desired_state.js' */

/**
 * Picks one of several versions at random, weighted by their shares; null if there are none.
 *
 * @param {Target[]} targets
 * @param {number} [chance] from 0 to 1 (excluded)
 * @returns {Target | null}
 */
export function pickTarget(targets, chance = Math.random()) {
  const total = targets.reduce((sum, { percentage }) => sum + percentage, 0);
  let point = chance * total;
  return targets.find(({ percentage }) => (point -= percentage) < 0) ?? targets[0] ?? null;
}
