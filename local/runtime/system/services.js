/** The user's Workers as this Worker's service bindings, one a deployed version. */

import { pickTarget } from './percentages.js';

/**
 * @import { Target } from '../desired_state.js'
 * @import { BatchResult } from '../../products/queues/runtime/batch_result.js'
 *
 * @typedef {{
 *   queue(name: string, messages: object[], metadata: object): Promise<BatchResult>,
 *   scheduled(event: {cron: string, scheduledTime: Date}): Promise<{outcome: string}>,
 * }} Service a service binding with `service_binding_extra_handlers`
 * @typedef {{[binding: `SERVICE ${string}`]: Service}} Services
 */

/**
 * The version that one invocation goes to, by the deployment's percentages; null when none of them runs.
 *
 * @param {Services} env
 * @param {Target[]} targets
 * @returns {Service | null}
 */
export function pickService(env, targets) {
  const running = targets.filter(({ service }) => `SERVICE ${service}` in env);
  const chosen = pickTarget(running);
  return chosen && (env[`SERVICE ${chosen.service}`] ?? null);
}
