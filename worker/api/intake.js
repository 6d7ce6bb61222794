/** Takes new tasks in: stores them as pending and hands them to the engine. */

import { Refusal } from './refusal.js';

/** @import { Engine, Submission as Run } from '../engines/engine.js' */
/** @import { Insertion } from '../stores/store.js' */
/** @import { NewTask } from '../task.js' */
/** @import { Parts } from './call.js' */

/**
 * A task that is stored is accepted. Of those with the same idempotency key the first is stored, and the others are
 * held against it.
 *
 * @param {NewTask[]} tasks
 * @param {Parts} parts
 * @returns {Promise<(Insertion | Error)[]>} one each, in their order
 */
export async function takeIn(tasks, { store, engine }) {
  /** @type {Map<string, NewTask>} */
  const firsts = new Map();
  for (const task of tasks) if (!firsts.has(identity(task))) firsts.set(identity(task), task);
  const inserted = await store.insert([...firsts.values()]);
  const insertions = new Map([...firsts.values()].map((task, index) => [task, /** @type {Insertion | Error} */ (inserted[index])]));
  await handOver(engine, [...insertions].flatMap(([{ delay_seconds, max_retries }, insertion]) => (
    !(insertion instanceof Error) && insertion.isNew ? [{ taskId: insertion.taskId, run: insertion.run, delay_seconds, max_retries }] : []
  )));
  return tasks.map((task) => {
    const first = /** @type {NewTask} */ (firsts.get(identity(task)));
    const insertion = /** @type {Insertion | Error} */ (insertions.get(first));
    if (task === first || insertion instanceof Error) return insertion;
    const isSame = task.idempotency?.fingerprint === first.idempotency?.fingerprint;
    return { ...insertion, isNew: false, conflict: insertion.conflict || !isSame };
  });
}

/**
 * Hands stored runs to the engine; should that fail, the sweeper does it again.
 *
 * @param {Engine} engine
 * @param {Run[]} runs
 */
export async function handOver(engine, runs) {
  if (runs.length === 0) return;
  try {
    await engine.submit(runs);
  } catch (error) {
    console.error('stored, but not sent; the sweeper will send it', { taskIds: runs.map(({ taskId }) => taskId), error: String(error) });
  }
}

/**
 * @param {Insertion | Error} insertion
 * @returns {{taskId: string, status: string} | Refusal} what the client is told of it
 */
export function answerTo(insertion) {
  if (insertion instanceof Error) throw insertion;
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
