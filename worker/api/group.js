/** The group of a submission: its own, else what its handler says. */

import { GROUP_KEY, GROUP_KEY_IN_WORDS, groupName, groupNamed, hasLimits, WHOLE_HANDLER } from '../group.js';
import { describeError } from '../thrown.js';
import { quoted, Refusal } from './reply.js';

/** @import { Group } from '../group.js' */
/** @import { HandlerModule } from '../handler.js' */
/** @import { Parameters, Payload } from '../task.js' */
/** @import { Call } from './router.js' */

/**
 * @param {{handler: string, payload: Payload, parameters: Parameters, group: string | null}} task `group` is the key that was asked for
 * @param {HandlerModule} module its handler
 * @param {Pick<Call, 'handlers' | 'env' | 'store'>} call
 * @returns {Group | null} null: it is in none
 * @throws {Refusal}
 */
export function groupOf({ handler, payload, parameters, group: asked }, module, { handlers, env, store }) {
  const key = asked ?? keyOf(handler, module, payload, parameters);
  if (key === null) return null;
  const group = groupNamed(groupName(key, handler, handlers), handlers, env);
  const fault = faultOf(group, handler, store.hasGroups);
  if (fault === null) return group;
  if (asked !== null) throw new Refusal('invalid_parameter', fault, { extras: { parameter: 'group' } });
  throw new Refusal('handler_check_failed', `the group of handler ${handler} is of no use: ${fault}`);
}

/**
 * @param {Group} group
 * @param {string} handler
 * @param {boolean} isPossible
 */
function faultOf(group, handler, isPossible) {
  if (!isPossible) return 'expected no group with the state store kv, which cannot count what runs at once: d1 and durable-object can';
  if (hasLimits(group)) return null;
  return `expected a group where there are limits: give handler ${handler} some (export const limits), or the stack (group_concurrency, group_rate_limit)`;
}

/**
 * @param {string} handler
 * @param {HandlerModule} module
 * @param {Payload} payload
 * @param {Parameters} parameters
 * @returns {string | null}
 * @throws {Refusal} the handler's function fails, or gives what is no key: that is the handler's fault
 */
function keyOf(handler, module, payload, parameters) {
  if (!module.group) return module.limits ? WHOLE_HANDLER : null;
  const name = `group of handler ${handler}`;
  /** @type {unknown} */
  let key;
  try {
    key = module.group(payload, { ...parameters });
  } catch (thrown) {
    const error = describeError(thrown);
    console.error(`${name} failed`, { handler, error: error.name, message: error.message });
    throw new Refusal('handler_check_failed', `expected ${name} to give a key; it threw ${error.name}: the log says more`);
  }
  if (key === null || key === undefined) return null;
  if (typeof key === 'string' && GROUP_KEY.test(key)) return key;
  if (key instanceof Promise) key.catch(() => {}); // nobody waits for it
  throw new Refusal('handler_check_failed', `expected ${name} to give ${GROUP_KEY_IN_WORDS}, or null, got ${typeof key === 'string' ? quoted(key) : typeof key}`);
}
