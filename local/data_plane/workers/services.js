/** The user's Workers as this Worker's service bindings, one a deployed version. */

/**
 * @import { Target } from '../desired_state.js'
 * @import { BatchResult } from './verdicts.js'
 *
 * @typedef {{
 *   queue(name: string, messages: object[], metadata: object): Promise<BatchResult>,
 *   scheduled(event: {cron: string, scheduledTime: Date}): Promise<{outcome: string}>,
 * }} Service a service binding with `service_binding_extra_handlers`
 * @typedef {{[binding: `SERVICE ${string}`]: Service}} Services
 */

/**
 * The version that one invocation goes to, by the deployment's percentages.
 *
 * @param {Services} env
 * @param {Target[]} targets
 */
export function consumerService(env, targets) {
  let point = Math.random() * targets.reduce((sum, target) => sum + target.percentage, 0);
  const target = targets.find(({ percentage }) => (point -= percentage) < 0) ?? targets[0];
  const service = target && env[`SERVICE ${target.service}`];
  if (!service) throw new Error(`no such service: ${target?.service}`);
  return service;
}
