/** After which tasks a new one starts: `after` and `startWhen` of a submission. */

import { MAX_AFTER, START_WHEN, stillAwaited } from '../dependencies.js';
import { TASK_ID } from '../task_id.js';
import { invalidParameter, quoted, Refusal } from './reply.js';

/** @import { After, StartWhen } from '../dependencies.js' */
/** @import { Store } from '../stores/store.js' */
/** @import { NewTask } from '../task.js' */

/**
 * @param {unknown} after a list of ids; undefined where it is not given
 * @param {unknown} startWhen
 * @returns {After | null}
 * @throws {Refusal}
 */
export function readAfter(after, startWhen) {
  if (after === undefined) {
    if (startWhen === undefined) return null;
    throw new Refusal('invalid_parameter', 'expected startWhen to come with after, the ids of the tasks that it is about; got it alone', {
      extras: { parameter: 'startWhen' },
    });
  }
  const isList = Array.isArray(after) && after.length >= 1 && after.length <= MAX_AFTER && new Set(after).size === after.length;
  if (!isList) throw invalidParameter('after', `1 to ${MAX_AFTER} ids of tasks, each once`, Array.isArray(after) ? after.length : after);
  for (const taskId of after) if (typeof taskId !== 'string' || !TASK_ID.test(taskId)) throw invalidParameter('after', 'ids of tasks', taskId);
  return { taskIds: after, startWhen: readStartWhen(startWhen) };
}

/**
 * @param {unknown} startWhen
 * @returns {StartWhen}
 * @throws {Refusal}
 */
export function readStartWhen(startWhen) {
  if (startWhen === undefined) return 'completed';
  const found = START_WHEN.find((each) => each === startWhen);
  if (found) return found;
  throw invalidParameter('startWhen', START_WHEN.join(' or '), startWhen);
}

/**
 * @param {Store} store
 * @param {string} parameter that needs it
 * @throws {Refusal} nothing can be held in the store
 */
export function requireHolding(store, parameter) {
  const refusal = refusalToHold(store, parameter);
  if (refusal) throw refusal;
}

/**
 * @param {Store} store
 * @param {string} parameter
 * @returns {Refusal | null}
 */
function refusalToHold({ holds }, parameter) {
  if (holds) return null;
  return new Refusal('invalid_parameter', `expected no ${parameter} with the state store kv: it has no compare-and-set, so that it could lose the moment when `
    + 'a task that waits is to start; d1 and durable-object have it', { extras: { parameter } });
}

/**
 * Finds out which tasks those that start after others have to wait for.
 *
 * @param {(NewTask | Refusal)[]} tasks
 * @param {Store} store
 * @returns {Promise<(NewTask | Refusal)[]>} in their order; one that names a task that is not there is refused
 */
export async function withAwaited(tasks, store) {
  const named = tasks.flatMap((task) => (task instanceof Refusal ? [] : task.after?.taskIds ?? []));
  if (named.length === 0) return tasks;
  const statuses = store.holds ? await store.statuses([...new Set(named)]) : new Map();
  return tasks.map((task) => {
    if (task instanceof Refusal || !task.after) return task;
    const refusal = refusalToHold(store, 'after');
    if (refusal) return refusal;
    if (task.replacesPending) {
      return new Refusal('invalid_parameter', 'expected replace without after, got both: a task that replaces another one waits for what that waits for', {
        extras: { parameter: 'replace' },
      });
    }
    const unknown = task.after.taskIds.find((taskId) => !statuses.has(taskId));
    if (unknown) {
      return new Refusal('invalid_parameter', `expected after to name tasks that are there, got ${quoted(unknown)}: it was never submitted, or its time to live is over`, {
        extras: { parameter: 'after' },
      });
    }
    const awaits = stillAwaited(task.after, statuses);
    return { ...task, awaits, isHeld: awaits.length > 0 };
  });
}
