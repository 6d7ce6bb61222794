/** The priority of a submission: its own, else its handler's. */

import { hasPriorities, PRIORITIES } from '../priority.js';
import { invalidParameter, Refusal } from './reply.js';

/** @import { HandlerModule } from '../handler.js' */
/** @import { OwnPriority, Priority, PrioritySettings } from '../priority.js' */

/**
 * @param {unknown} value undefined where it is not given
 * @returns {Priority | null} null: the handler's
 * @throws {Refusal}
 */
export function readPriority(value) {
  if (value === undefined) return null;
  const priority = PRIORITIES.find((each) => each === value);
  if (!priority) throw invalidParameter('priority', `one of ${PRIORITIES.join(', ')}`, value);
  return priority;
}

/**
 * @param {{handler: string, priority: Priority | null}} task `priority` is what was asked for
 * @param {HandlerModule} module its handler
 * @param {PrioritySettings} env
 * @returns {OwnPriority | null} null: normal
 * @throws {Refusal} the stack has none
 */
export function priorityOf({ handler, priority: asked }, module, env) {
  const priority = asked ?? module.priority ?? 'normal';
  if (priority === 'normal') return null;
  if (hasPriorities(env)) return priority;
  const fault = `expected priority normal, got ${priority}: this stack has one queue for all tasks. Its setting priorities: true makes queues for high and low, with engine queue`;
  if (asked !== null) throw new Refusal('invalid_parameter', fault, { extras: { parameter: 'priority' } });
  throw new Refusal('handler_check_failed', `the priority of handler ${handler} is of no use: ${fault}`);
}
