/** @import { Target } from '../desired_state.js' */

/**
 * One of several versions, by chance and their shares; null when there is none.
 *
 * @param {Target[]} targets
 * @returns {Target | null}
 */
export function pickTarget(targets) {
  const total = targets.reduce((sum, { percentage }) => sum + percentage, 0);
  let point = Math.random() * total;
  return targets.find(({ percentage }) => (point -= percentage) < 0) ?? targets[0] ?? null;
}
