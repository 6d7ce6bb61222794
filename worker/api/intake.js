/**
 * Takes new tasks in: stores them as pending, which is their acceptance, and hands them to the engine after the answer. Should the
 * isolate end before, the sweeper does.
 */

import { creationTime } from '../task_id.js';
import { handOver, requireRoom } from './handover.js';
import { Refusal, storeRefusal } from './refusal.js';

/** @import { Submission as Run } from '../engines/engine.js' */
/** @import { Insertion } from '../stores/store.js' */
/** @import { NewTask } from '../task.js' */
/** @import { Parts } from './call.js' */

/**
 * A task that is stored is accepted. Of those with the same idempotency key the first is stored, and the others are
 * held against it.
 *
 * @param {NewTask[]} tasks
 * @param {Parts} parts
 * @returns {Promise<(Insertion | Error)[]>} one each, in their order; an error where its part of the store does not take it
 * @throws {Refusal} too many tasks wait to be handed over
 */
export async function takeIn(tasks, { store, engine, invocation }) {
  /** @type {Map<string, NewTask>} */
  const firsts = new Map();
  for (const task of tasks) if (!firsts.has(identity(task))) firsts.set(identity(task), task);
  await requireRoom(engine);
  const inserted = await store.insert([...firsts.values()]);
  const insertions = new Map([...firsts.values()].map((task, index) => [task, /** @type {Insertion | Error} */ (inserted[index])]));
  handOver(engine, [...insertions].map(([task, insertion]) => runOf(task, insertion)).filter((run) => run !== null), invocation);
  return tasks.map((task) => {
    const first = /** @type {NewTask} */ (firsts.get(identity(task)));
    const insertion = /** @type {Insertion | Error} */ (insertions.get(first));
    if (task === first || insertion instanceof Error) return insertion;
    const isSame = task.idempotency?.fingerprint === first.idempotency?.fingerprint;
    return { ...insertion, isNew: false, conflict: insertion.conflict || !isSame };
  });
}

/**
 * What is to be handed over of a task: nothing more of one that was there and has been attempted since. One that is still
 * pending may have lost its message, and a second message is harmless.
 *
 * @param {NewTask} task
 * @param {Insertion | Error} insertion
 * @returns {Run | null}
 */
function runOf({ delay_seconds, max_retries }, insertion) {
  if (insertion instanceof Error) return null;
  const { taskId, run, status, conflict } = insertion;
  if (conflict || status !== 'pending') return null;
  const due_ms = run === 1 ? creationTime(taskId) + delay_seconds * 1000 : 0; // the delay is of the first run alone
  return { taskId, run, max_retries, delay_seconds: Math.max(0, Math.ceil((due_ms - Date.now()) / 1000)) };
}

/**
 * @param {Insertion | Error} insertion
 * @returns {{taskId: string, status: string} | Refusal} what the client is told of it
 */
export function answerTo(insertion) {
  if (insertion instanceof Error) return storeRefusal(insertion);
  const { taskId, status, conflict } = insertion;
  if (!conflict) return { taskId, status };
  return new Refusal('idempotency_conflict', 'expected what the idempotency key was first used with, got another payload or other settings', {
    extras: { taskId },
  });
}

/** @param {NewTask} task */
function identity({ taskId, idempotency }) {
  return idempotency?.key ?? taskId;
}
