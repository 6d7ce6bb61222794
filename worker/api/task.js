/** `/task/:id`: to look at a task, to cancel it, to run it again. */

import { handOverFollowUp } from '../follow_up.js';
import { withPriority } from '../priority.js';
import { attemptsOf } from '../story.js';
import { TASK_ID } from '../task_id.js';
import { handOver, requireRoom } from './intake.js';
import { attemptsView, jsonReply, jsonTextReply, Refusal, taskJson, taskNotFound, UNCACHED } from './reply.js';
import { fromDigits, readQuery, wholeNumber } from './request.js';
import { hasSteps, streamTask, wantsStream } from './stream.js';
import { findEnded, MAX_WAIT_SECONDS } from './watch.js';

/** @import { Store } from '../stores/store.js' */
/** @import { Status } from '../task.js' */
/** @import { Call } from './router.js' */

export const WAIT_SECONDS = /** @type {const} */ ([0, MAX_WAIT_SECONDS]);

/**
 * @param {Call} call
 * @param {string} taskId
 */
export async function showTask(call, taskId) {
  const { wait } = readQuery(call.url, ['wait']);
  const wait_seconds = wholeNumber('wait', fromDigits(wait), WAIT_SECONDS, 0);
  requireTaskId(taskId);
  const isStream = wantsStream(call.request);
  const task = await findEnded(call.store, taskId, isStream ? 0 : wait_seconds);
  if (!task) throw taskNotFound(taskId);
  if (isStream) return streamTask(call, task);
  return jsonTextReply(taskJson(task, call.env, hasSteps(call.handlers, task) ? await call.store.steps(taskId) : null));
}

/**
 * @param {Call} call
 * @param {string} taskId
 */
export async function showAttempts({ url, store }, taskId) {
  readQuery(url, []);
  requireTaskId(taskId);
  const task = await find(store, taskId);
  const kept = await store.story(taskId);
  if (!kept) throw taskNotFound(taskId);
  return jsonReply({ taskId, status: task.status, attempts: attemptsView(attemptsOf(task, kept)) });
}

/**
 * @param {Call} call
 * @param {string} taskId
 */
export async function showParameters({ url, store }, taskId) {
  readQuery(url, []);
  requireTaskId(taskId);
  const { handler, parent } = await find(store, taskId);
  const kept = await store.story(taskId);
  if (!kept) throw taskNotFound(taskId);
  // Whoever may see a task's parameters has not therefore made its callback, whose URL often is a secret.
  const parameters = parent === null ? kept.parameters : { ...kept.parameters, url: URL.parse(kept.parameters['url'] ?? '')?.origin ?? '' };
  return jsonReply({ taskId, handler, parameters });
}

/**
 * A payload is anything that anybody submitted: no browser is to show it, or to run what is in it.
 */
const DOWNLOAD = Object.freeze({
  'Content-Type': 'application/octet-stream', 'X-Content-Type-Options': 'nosniff', 'Content-Security-Policy': "default-src 'none'; sandbox", ...UNCACHED,
});

/**
 * @param {Call} call
 * @param {string} taskId
 */
export async function showPayload({ url, store }, taskId) {
  readQuery(url, []);
  requireTaskId(taskId);
  const kept = await store.payload(taskId);
  if (!kept) throw taskNotFound(taskId);
  if (kept.payload === null) {
    throw new Refusal('payload_not_kept', `the payload of task ${taskId} is not kept: it was dropped when the task had completed, as the setting keep_payload says`);
  }
  return new Response(kept.payload, { headers: { ...DOWNLOAD, 'Content-Disposition': `attachment; filename="${taskId}"` } });
}

/**
 * @param {Call} call
 * @param {string} taskId
 */
export async function cancelTask(call, taskId) {
  readQuery(call.url, []);
  requireTaskId(taskId);
  const followUp = await call.store.cancel(taskId);
  if (followUp) call.invocation.waitUntil(handOverFollowUp(call.engine, followUp));
  const task = await find(call.store, taskId);
  if (!followUp && task.status !== 'cancelled') throw wrongStatus(task.status, 'pending or processing');
  return jsonTextReply(taskJson(task, call.env));
}

/**
 * @param {Call} call
 * @param {string} taskId
 */
export async function retryTask({ url, store, engine, invocation }, taskId) {
  readQuery(url, []);
  requireTaskId(taskId);
  const { status, max_retries, priority, run: former } = await find(store, taskId);
  if (status !== 'failed' && status !== 'cancelled') throw wrongStatus(status, 'failed or cancelled');
  await requireRoom(engine);
  const run = await store.retry(taskId, former);
  if (run === null) throw wrongStatus((await find(store, taskId)).status, 'failed or cancelled');
  handOver(engine, [{ taskId, run, delay_seconds: 0, max_retries, ...withPriority(priority) }], invocation);
  return jsonReply({ taskId, status: 'pending' });
}

/**
 * @param {Store} store
 * @param {string} taskId
 * @throws {Refusal} it is not there
 */
export async function find(store, taskId) {
  const task = await store.find(taskId);
  if (!task) throw taskNotFound(taskId);
  return task;
}

/**
 * Keeps from the store what cannot be in it, and what it may not even take as a key.
 *
 * @param {string} taskId as it stands in the path
 * @throws {Refusal}
 */
export function requireTaskId(taskId) {
  if (!TASK_ID.test(taskId)) throw taskNotFound(taskId);
}

/**
 * @param {Status} status
 * @param {string} expected
 */
export function wrongStatus(status, expected) {
  return new Refusal('wrong_status', `expected a ${expected} task, got a ${status} one`, { extras: { status } });
}
