/** A dead letter: a message in the dead-letter queue, and the state of its task. `ops/letter_state.py` is the same in Python. */

import { isOwnPriority, withPriority } from './priority.js';
import { TASK_ID } from './task_id.js';

/** @import { Submission } from './engines/engine.js' */
/** @import { OwnPriority } from './priority.js' */
/** @import { Store, TaskResult } from './stores/store.js' */

/**
 * A message as Cloudflare's API returns it. `attempts`: how often it was pulled, this time included; `body` is decoded; `lease_id` is null if it was
 * peeked, not pulled.
 *
 * @typedef {{id: string, body: Uint8Array<ArrayBuffer>, content_type: string, attempts: number, sent_ms: number, lease_id: string | null}} Letter
 */

/** The run of a task that a letter is for; `isRedrive`: its message was to begin that run itself.
 *
 * @typedef {{taskId: string, run: number, isRedrive: boolean, priority: OwnPriority | null}} LetterRun
 */

/**
 * The state of a letter's task. `failed`: the task failed in that run, so a redrive runs it again; `stale`: the task has ended in another way or has
 * begun a later run; `unfinished`: the task has not ended, or the store does not show its end yet; `gone`: the task has expired; `malformed`: the
 * letter names no task.
 *
 * @typedef {'failed' | 'stale' | 'unfinished' | 'gone' | 'malformed'} LetterState
 */

/** A letter with the present state of its task. `next`: the run that a redrive begins, null if there is nothing to redrive.
 *
 * @typedef {{letter: Letter, of: LetterRun | null, task: TaskResult | null, state: LetterState, next: Submission | null}} KnownLetter
 */

/** @type {readonly LetterState[]} */
export const LETTER_STATES = ['failed', 'stale', 'unfinished', 'gone', 'malformed'];

/** The content type of messages that name a task. */
const TASK_CONTENT_TYPE = 'json';

/**
 * Looks up the tasks of all letters together.
 *
 * @param {Store} store
 * @param {Letter[]} letters
 * @returns {Promise<KnownLetter[]>} one for each letter, in their order
 */
export async function knownLetters(store, letters) {
  const runs = letters.map(letterRun);
  const taskIds = new Set(runs.flatMap((of) => (of && TASK_ID.test(of.taskId) ? [of.taskId] : [])));
  const found = taskIds.size > 0 ? await store.results([...taskIds], 0) : [];
  const tasks = new Map(found.map((task) => [task.taskId, task]));
  return letters.map((letter, index) => {
    const of = runs[index] ?? null;
    const task = (of && tasks.get(of.taskId)) ?? null;
    const state = letterState(of, task);
    const next = of && task && state === 'failed'
      ? { taskId: of.taskId, run: task.run + 1, delay_seconds: 0, max_retries: task.max_retries, ...withPriority(of.priority) } : null;
    return { letter, of, task, state, next };
  });
}

/** @param {KnownLetter} known @returns {boolean} whether a redrive can never do anything with it, although it names a task */
export function isUseless({ state }) {
  return state === 'stale' || state === 'gone';
}

/** @param {Letter} letter @returns {string} its body as UTF-8 */
export function textOf({ body }) {
  return new TextDecoder().decode(body);
}

/**
 * @param {LetterRun | null} of
 * @param {TaskResult | null} task
 * @returns {LetterState}
 */
function letterState(of, task) {
  if (!of) return 'malformed';
  if (!task) return 'gone';
  // The message of a redrive names a run that has not begun, if it was never delivered.
  const isOfThisRun = of.run === task.run || (of.isRedrive && of.run === task.run + 1);
  if (task.status === 'failed' && isOfThisRun) return 'failed';
  const hasEndedOtherwise = task.status === 'completed' || task.status === 'cancelled';
  return task.run > of.run || (hasEndedOtherwise && isOfThisRun) ? 'stale' : 'unfinished';
}

/** @param {Letter} letter @returns {LetterRun | null} null: it names no task */
function letterRun(letter) {
  const { taskId, run = 1, priority = null, redrive } = messageOf(letter);
  if (typeof taskId !== 'string' || taskId === '' || typeof run !== 'number' || !Number.isInteger(run) || run < 1) return null;
  return { taskId, run, isRedrive: redrive === true, priority: isOwnPriority(priority) ? priority : null };
}

/** @param {Letter} letter @returns {Record<string, unknown>} empty where it is none of ours */
function messageOf(letter) {
  if (letter.content_type !== TASK_CONTENT_TYPE) return {};
  try {
    const message = JSON.parse(textOf(letter));
    return typeof message === 'object' && message !== null ? message : {};
  } catch {
    return {};
  }
}
