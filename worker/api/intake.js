/**
 * Stores new tasks and submits them to the engine. A task is accepted once it is stored: the answer waits for nothing more, and the run is submitted
 * to the engine afterwards. If the platform refuses it, this isolate submits it together with later runs. The sweeper submits it too, also if the
 * isolate ends first. The number of waiting runs is limited: beyond that, new tasks are refused.
 */

import { beginWaiting } from '../dependencies.js';
import { HandoverRefused } from '../engines/engine.js';
import { handOverFollowUp } from '../follow_up.js';
import { withPriority } from '../priority.js';
import { creationTime } from '../task_id.js';
import { Refusal, storeRefusal } from './reply.js';

/** @import { Engine, Submission as Run } from '../engines/engine.js' */
/** @import { Invocation } from '../joint.js' */
/** @import { Insertion, Store } from '../stores/store.js' */
/** @import { NewTask, Status } from '../task.js' */
/** @import { Parts } from './router.js' */

/**
 * Stores new tasks; a stored task is accepted. If several have the same idempotency key, the first is stored and the others are compared with it.
 *
 * @param {NewTask[]} tasks
 * @param {Parts} parts
 * @returns {Promise<(Insertion | Error)[]>} an answer for each task, in their order; an error if its part of the store does not accept it
 * @throws {Refusal} too many runs wait to be submitted to the engine
 * @throws {Error} the store's error, if it accepts none of them
 */
export async function acceptTasks(tasks, { store, engine, invocation }) {
  const { chosen, conflicting } = choose(tasks);
  await requireRoom(engine);
  const inserted = await store.insert([...chosen.values()]);
  // If no part of the store accepts any task, this behaves like a store with a single part.
  if (inserted.every((insertion) => insertion instanceof Error)) throw inserted[0];
  const insertions = new Map([...chosen.values()].map((task, index) => [task, /** @type {Insertion | Error} */ (inserted[index])]));
  handOver(engine, [...insertions].flatMap(([task, insertion]) => runsOf(task, insertion)), invocation);
  const held = [...insertions].flatMap(([task, insertion]) => ('isHeld' in insertion && insertion.isHeld && insertion.isNew && task.awaits ? [task] : []));
  if (held.length > 0) invocation.waitUntil(letWait(held, store, engine));
  return tasks.map((task) => {
    const stored = /** @type {NewTask} */ (chosen.get(identity(task)));
    const insertion = /** @type {Insertion | Error} */ (insertions.get(stored));
    if (task === stored || insertion instanceof Error) return insertion;
    return { ...insertion, isNew: false, conflict: insertion.conflict || conflicting.has(task) };
  });
}

/**
 * @param {NewTask[]} tasks
 * @returns {{chosen: Map<string, NewTask>, conflicting: Set<NewTask>}} the tasks to store, each with a different identity: the first with its key, or
 *   the last that replaces earlier ones; and the tasks that conflict with an earlier one with the same key
 */
function choose(tasks) {
  /** @type {Map<string, NewTask>} */
  const chosen = new Map();
  /** @type {Set<NewTask>} */
  const conflicting = new Set();
  for (const task of tasks) {
    const before = chosen.get(identity(task));
    if (!before || task.replacesPending) chosen.set(identity(task), task);
    else if (before.idempotency?.fingerprint !== task.idempotency?.fingerprint) conflicting.add(task);
  }
  return { chosen, conflicting };
}

/**
 * @param {NewTask[]} tasks stored tasks that wait for others
 * @param {Store} store
 * @param {Engine} engine
 */
async function letWait(tasks, store, engine) {
  try {
    await handOverFollowUp(engine, await beginWaiting(store, tasks));
  } catch (error) {
    console.warn('tasks are stored, but those that they wait for do not know of it; the sweeper looks', {
      taskIds: tasks.map(({ taskId }) => taskId), error: String(error),
    });
  }
}

/**
 * @param {NewTask} task
 * @param {Insertion | Error} insertion
 * @returns {Run[]} the task's own run to submit, and the runs that follow it
 */
export function runsOf(task, insertion) {
  const own = runOf(task, insertion);
  return [...(own ? [own] : []), ...(insertion instanceof Error ? [] : insertion.follows ?? [])];
}

/**
 * Returns the run to submit. An existing task whose attempts have begun needs nothing. A pending one may have lost its message, and a second message
 * is harmless.
 *
 * @param {NewTask} task
 * @param {Insertion | Error} insertion
 * @returns {Run | null}
 */
function runOf({ taskId: ownId, delay_seconds, max_retries, priority }, insertion) {
  if (insertion instanceof Error) return null;
  const { taskId, run, status, conflict, isHeld, isReplaced = false } = insertion;
  if (conflict || isHeld || status !== 'pending') return null;
  if (isReplaced && run === 1) return null; // its message is due earlier, and is still in the queue
  const due_ms = isReplaced || run === 1 ? creationTime(isReplaced ? ownId : taskId) + delay_seconds * 1000 : 0; // a run by hand has no delay
  return { taskId, run, max_retries, delay_seconds: Math.max(0, Math.ceil((due_ms - Date.now()) / 1000)), ...withPriority(priority) };
}

/**
 * @param {Insertion | Error} insertion
 * @returns {{taskId: string, status: Status, replaced?: true} | Refusal} what the client is told about it
 */
export function answerTo(insertion) {
  if (insertion instanceof Error) return storeRefusal(insertion);
  const { taskId, status, conflict, isReplaced } = insertion;
  if (!conflict) return { taskId, status, ...(isReplaced && { replaced: true }) };
  return new Refusal('idempotency_conflict', 'expected what the idempotency key was first used with, got another payload or other settings', {
    extras: { taskId },
  });
}

/** @param {NewTask} task */
function identity({ taskId, idempotency }) {
  return idempotency?.key ?? taskId;
}

/**
 * How many runs may wait in an isolate for an engine that refuses them. It is what the slower engine accepts in ten seconds (a workflow: 100
 * instances a second, https://developers.cloudflare.com/workflows/reference/limits/), so that no accepted task waits long once the platform accepts
 * runs again. Each isolate counts its own.
 */
export const MAX_WAITING_RUNS = 1_000;

/** How many waiting runs are submitted together with new ones, and how long no other request tries the same. */
const CHUNK_RUNS = 100;
const TURN_MS = 1_000;

/** After this time a run that is being submitted counts as waiting, and another request may submit it. */
const LATE_MS = 5_000;

/** The earliest time at which a client should retry. */
const RETRY_AFTER_SECONDS = 1;

/** A run that the engine has not accepted yet. Its delay ends at a Unix time; `offered_ms` is when it was last submitted, 0 if it was refused.
 *
 * @typedef {Omit<Run, 'delay_seconds'> & {due_ms: number, offered_ms: number}} WaitingRun
 */

/** The waiting runs of this isolate, oldest first. @type {Set<WaitingRun>} */
const waiting = new Set();

/** When a request took its turn to submit the waiting runs. A request may be cut off at any moment, so a turn ends by itself. */
let turn_ms = 0;

/** When the engine said that it would accept runs again. */
let retry_after_seconds = RETRY_AFTER_SECONDS;

/**
 * Checked before a run is stored. While there is no room, one request a second tests whether the engine accepts runs again.
 *
 * @param {Engine} engine
 * @throws {Refusal} too many runs wait
 */
export async function requireRoom(engine) {
  if (waiting.size < MAX_WAITING_RUNS) return;
  if (late().length >= MAX_WAITING_RUNS) await handOverWaiting(engine);
  const { length } = late();
  if (length < MAX_WAITING_RUNS) return;
  throw new Refusal('backlog_full', `no new tasks for now: ${length} wait to be handed over, and the platform takes none; try again`, {
    headers: { 'Retry-After': String(retry_after_seconds) },
  });
}

/**
 * Submits stored runs to the engine, after the answer: a timer lets the answer leave first, which the submission's calls would hold up.
 *
 * @param {Engine} engine
 * @param {Run[]} runs
 * @param {Invocation} invocation
 */
export function handOver(engine, runs, invocation) {
  if (runs.length === 0) return;
  const now_ms = Date.now();
  const offered = runs.map(({ delay_seconds, ...run }) => ({ ...run, due_ms: now_ms + delay_seconds * 1000, offered_ms: now_ms }));
  for (const run of offered) waiting.add(run);
  invocation.waitUntil(scheduler.wait(0).then(() => offer(engine, offered)).then((isTaken) => (isTaken ? handOverWaiting(engine) : undefined)));
}

/** The runs that were refused, and those whose submission takes too long: their request may have been cut off. */
function late() {
  const now_ms = Date.now();
  return [...waiting].filter(({ offered_ms }) => now_ms - offered_ms >= LATE_MS);
}

/** @param {Engine} engine */
async function handOverWaiting(engine) {
  const now_ms = Date.now();
  if (waiting.size === 0 || now_ms - turn_ms < TURN_MS) return;
  const runs = late().slice(0, CHUNK_RUNS);
  if (runs.length === 0) return;
  turn_ms = now_ms;
  if (await offer(engine, runs)) turn_ms = 0;
}

/**
 * @param {Engine} engine
 * @param {WaitingRun[]} runs
 * @returns {Promise<boolean>} false: not all of them are submitted, and the error is logged
 */
async function offer(engine, runs) {
  const now_ms = Date.now();
  for (const run of runs) run.offered_ms = now_ms;
  try {
    await engine.submit(runs.map(({ due_ms, offered_ms: _, ...run }) => ({ ...run, delay_seconds: Math.max(0, Math.ceil((due_ms - now_ms) / 1000)) })));
    for (const run of runs) waiting.delete(run);
    return true;
  } catch (error) {
    for (const run of runs) run.offered_ms = 0;
    const isRefused = error instanceof HandoverRefused;
    retry_after_seconds = Math.max(RETRY_AFTER_SECONDS, isRefused ? Math.ceil(error.retry_after_seconds) : 0);
    console.error('stored, but not sent; it is sent with the next tasks, or by the sweeper', {
      taskIds: runs.map(({ taskId }) => taskId), error: isRefused ? String(error) : String(/** @type {any} */ (error)?.stack ?? error),
    });
    return false;
  }
}
