/**
 * Hands stored runs to the engine. A run that is stored is accepted: should the platform not take it, this isolate hands it over
 * with the next ones, and so does the sweeper. What waits so is bounded: past that, new tasks are refused.
 */

import { HandoverRefused } from '../engines/engine.js';
import { Refusal } from './refusal.js';

/** @import { Engine, Submission as Run } from '../engines/engine.js' */

/**
 * How many runs may wait in an isolate for an engine that takes none: what the slower engine takes in ten seconds
 * (a workflow: 100 instances a second, https://developers.cloudflare.com/workflows/reference/limits/), so that nothing that was
 * accepted waits long once the platform takes runs again. Each isolate counts its own.
 */
export const MAX_WAITING_RUNS = 1_000;

/** How many are handed over at once beside new ones, and how long nothing else tries that meanwhile. */
const CHUNK_RUNS = 100;
const TURN_MS = 1_000;

/** When a client is to try again, at the earliest. */
const RETRY_AFTER_SECONDS = 1;

/** A run that the engine did not take; its delay ends at a Unix time. @typedef {Omit<Run, 'delay_seconds'> & {due_ms: number}} WaitingRun */

/** What waits in this isolate, oldest first. @type {WaitingRun[]} */
let waiting = [];

/** When a request took its turn to hand over what waits. A request may be cut off at any moment, so a turn ends by itself. */
let turn_ms = 0;

/** When the engine said that it would take runs again. */
let retry_after_seconds = RETRY_AFTER_SECONDS;

/**
 * Asked before a run is stored. While there is no room, one request a second finds out whether the engine takes runs again.
 *
 * @param {Engine} engine
 * @throws {Refusal} too many runs wait
 */
export async function requireRoom(engine) {
  if (waiting.length >= MAX_WAITING_RUNS) await handOverWaiting(engine);
  if (waiting.length < MAX_WAITING_RUNS) return;
  throw new Refusal('backlog_full', `no new tasks for now: ${waiting.length} wait to be handed over, and the platform takes none; try again`, {
    headers: { 'Retry-After': String(retry_after_seconds) },
  });
}

/**
 * Hands over runs that are stored; never rejects.
 *
 * @param {Engine} engine
 * @param {Run[]} runs
 */
export async function handOver(engine, runs) {
  if (runs.length === 0) return;
  if (await isTaken(engine, runs)) await handOverWaiting(engine);
  else waiting.push(...runs.map(({ delay_seconds, ...run }) => ({ ...run, due_ms: Date.now() + delay_seconds * 1000 })));
}

/** @param {Engine} engine */
async function handOverWaiting(engine) {
  const now_ms = Date.now();
  if (waiting.length === 0 || now_ms - turn_ms < TURN_MS) return;
  turn_ms = now_ms;
  const chunk = waiting.slice(0, CHUNK_RUNS);
  const runs = chunk.map(({ due_ms, ...run }) => ({ ...run, delay_seconds: Math.max(0, Math.ceil((due_ms - now_ms) / 1000)) }));
  if (!await isTaken(engine, runs)) return;
  const taken = new Set(chunk);
  waiting = waiting.filter((run) => !taken.has(run));
  turn_ms = 0;
}

/**
 * @param {Engine} engine
 * @param {Run[]} runs
 * @returns {Promise<boolean>} false: logged, and not all of them are handed over
 */
async function isTaken(engine, runs) {
  try {
    await engine.submit(runs);
    return true;
  } catch (error) {
    const isRefused = error instanceof HandoverRefused;
    retry_after_seconds = Math.max(RETRY_AFTER_SECONDS, isRefused ? Math.ceil(error.retry_after_seconds) : 0);
    console.error('stored, but not sent; it is sent with the next tasks, or by the sweeper', {
      taskIds: runs.map(({ taskId }) => taskId), error: isRefused ? String(error) : String(/** @type {any} */ (error)?.stack ?? error),
    });
    return false;
  }
}
