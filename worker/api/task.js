/** Existing tasks: show, cancel, retry, delete, send an event, follow, and list. */

import { handOverFollowUp } from '../follow_up.js';
import { GROUP_KEY, GROUP_KEY_IN_WORDS } from '../group.js';
import { withPriority } from '../priority.js';
import { MAX_STEP_NAME_LENGTH } from '../steps.js';
import { attemptsOf } from '../story.js';
import { ENDED, MAX_PAYLOAD_BYTES, STATUSES } from '../task.js';
import { TASK_ID, timePrefix } from '../task_id.js';
import { findEnded, MAX_WAIT_SECONDS, TaskWatch } from '../watch.js';
import { handOver, requireRoom } from './intake.js';
import { attemptsView, invalidParameter, jsonReply, jsonTextReply, Refusal, summaryView, taskJson, taskNotFound, UNCACHED } from './reply.js';
import { fromDigits, parseJson, readBody, readQuery, textLike, toPayload, wholeNumber } from './request.js';
import { TAG, tagsOfQuery } from './submission.js';

/** @import { Handlers } from '../handler.js' */
/** @import { Store } from '../stores/store.js' */
/** @import { Status, TaskRecord } from '../task.js' */
/** @import { SeenTask } from '../watch.js' */
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
  // A caller who may see a task's parameters did not make its callback, whose URL is often a secret.
  const parameters = parent === null ? kept.parameters : { ...kept.parameters, url: URL.parse(kept.parameters['url'] ?? '')?.origin ?? '' };
  return jsonReply({ taskId, handler, parameters });
}

/** Anybody may have submitted the payload: no browser may display it or run its contents. */
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
 * @throws {Refusal} there is no such task
 */
export async function find(store, taskId) {
  const task = await store.find(taskId);
  if (!task) throw taskNotFound(taskId);
  return task;
}

/**
 * Keeps ids from the store that cannot be in it, or that it would refuse as a key.
 *
 * @param {string} taskId the id as it is in the path
 * @throws {Refusal}
 */
export function requireTaskId(taskId) {
  if (!TASK_ID.test(taskId)) throw taskNotFound(taskId);
}

/**
 * @param {Status} status
 * @param {string} expected
 */
function wrongStatus(status, expected) {
  return new Refusal('wrong_status', `expected a ${expected} task, got a ${status} one`, { extras: { status } });
}

// `GET /tasks`: the newest tasks first.

export const LIST_TASKS = /** @type {const} */ ([1, 100]);
export const DEFAULT_LIST_TASKS = 20;

/** The name of a handler, deployed or not: a task may be older than the deployment. */
export const HANDLER_NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** The first digits of an id, or what sorts after all ids with these first digits. */
export const CURSOR = /^[0-9a-f-]{1,36}g?$/;

const ERROR_TEXT = /^[^]{1,200}$/;
const STATUS = new RegExp(`^(?:${STATUSES.join('|')})$`);

/** The beginning of an id, or a whole id. */
export const ID_PREFIX = /^[0-9a-f-]{1,36}$/;

/** A time with its offset, as in RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6). */
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** The longest text that is searched in errors, in UTF-16 code units. */
export const MAX_ERROR_TEXT_LENGTH = 200;

/** Appended to a text, it sorts after every id that begins with the text. */
const AFTER = 'g';

/** @param {Call} call */
export async function listTasks({ url, store, env }) {
  const query = readQuery(url, ['status', 'handler', 'group', TAG, 'parent', 'id', 'createdAfter', 'createdBefore', 'error', 'limit', 'cursor'], [], TAG);
  const id = textLike('id', query['id'], ID_PREFIX, 'the id of a task, or its beginning');
  const after = timeOf('createdAfter', query['createdAfter']);
  const before = timeOf('createdBefore', query['createdBefore']);
  const cursor = textLike('cursor', query['cursor'], CURSOR, 'one that a list gave');
  // Ids sort by creation time, so a time and the beginning of an id are both bounds of ids.
  const ends = [cursor, id && id + AFTER, before].filter((end) => end !== null).sort();
  const { tasks, cursor: next } = await store.list({
    status: /** @type {Status | null} */ (textLike('status', query['status'], STATUS, `one of ${STATUSES.join(', ')}`)),
    handler: textLike('handler', query['handler'], HANDLER_NAME, 'the name of a handler'),
    group: textLike('group', query['group'], GROUP_KEY, GROUP_KEY_IN_WORDS),
    tags: tagsOfQuery(url),
    parent: textLike('parent', query['parent'], TASK_ID, 'the id of a task'),
    limit: wholeNumber('limit', fromDigits(query['limit']), LIST_TASKS, DEFAULT_LIST_TASKS),
    since: [id ?? '', after ?? ''].sort()[1] ?? '',
    error: textLike('error', query['error'], ERROR_TEXT, `a text of 1 to ${MAX_ERROR_TEXT_LENGTH} characters`),
    cursor: ends[0] ?? null,
  });
  return jsonReply({ tasks: tasks.map((task) => summaryView(task, env)), cursor: next });
}

/**
 * @param {string} name
 * @param {string | undefined} text
 * @returns {string | null} a text that sorts before every id of that millisecond
 * @throws {import('./reply.js').Refusal}
 */
function timeOf(name, text) {
  const checked = textLike(name, text, TIME, 'a time as 2026-11-30T09:00:00Z');
  if (checked === null) return null;
  const time_ms = Date.parse(checked);
  if (Number.isNaN(time_ms)) throw invalidParameter(name, 'a time that there is, as 2026-11-30T09:00:00Z', text);
  return timePrefix(Math.max(0, time_ms));
}

// `POST /task/:id/events/:name`: sends a task an event that its handler waits for, now or later.

/** The allowed names of an event. */
export const EVENT_NAME = new RegExp(`^[A-Za-z0-9_.-]{1,${MAX_STEP_NAME_LENGTH}}$`);

/**
 * The first event of a name counts, so that sending it again is harmless. It is stored even if the handler does not wait for it yet.
 *
 * @param {Call} call
 * @param {string} taskId
 * @param {string} name
 */
export async function sendEvent({ request, url, store, engine, invocation, handlers }, taskId, name) {
  readQuery(url, []);
  requireTaskId(taskId);
  if (!EVENT_NAME.test(name)) throw invalidParameter('name', `1 to ${MAX_STEP_NAME_LENGTH} letters, digits, _, . or -`, name);
  const payload = toPayload(await readBody(request, MAX_PAYLOAD_BYTES));
  parseJson(payload, 'an event is');
  const { handler } = await find(store, taskId);
  if (handlers[handler]?.steps !== true) {
    throw new Refusal('invalid_parameter', `expected a task whose handler has steps, got one of ${handler}: add \`export const steps = true;\` to its module`);
  }
  const receipt = await store.putEvent(taskId, name, { payload: /** @type {string} */ (payload), received_ms: Date.now() });
  if (!receipt) throw wrongStatus((await find(store, taskId)).status, 'pending or processing');
  const { waiting, isFirst } = receipt;
  if (waiting) {
    invocation.waitUntil(engine.wake({ taskId, ...waiting, delay_seconds: 0 }).catch((error) => {
      console.error('an event is kept, and its task could not be told; the sweeper does it', { taskId, event: name, error: String(error) });
    }));
  }
  return jsonReply({ taskId, event: name, isNew: isFirst });
}

// `GET /task/:id` as a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

/** How long a stream lasts; its client then reconnects. That is at most 43 looks at the store, or 20 of two queries each for a task with steps, which
 * the Free plan allows with some reserve. A stream with more changes ends when these looks are used up. */
const STREAM_SECONDS = 40;

/** How long the client waits before it reconnects after the end of a stream. */
const RECONNECT_MS = 1_000;

/** A comment that keeps a connection alive and shows whether the client is still there. */
const NOTHING_NEW = ':\n\n';

export const EVENT_STREAM = 'text/event-stream';

/** @param {Request} request */
function wantsStream({ method, headers }) {
  const accepted = (headers.get('Accept') ?? '').toLowerCase().split(',').map((each) => each.split(';')[0]?.trim());
  return method === 'GET' && accepted.includes(EVENT_STREAM);
}

/**
 * A client reconnects even after it has seen the end; the status 204 tells it to stop.
 *
 * @param {Call} call
 * @param {TaskRecord} task
 */
function streamTask(call, task) {
  if (ENDED.has(task.status) && call.request.headers.get('Last-Event-ID') === eventId(task)) {
    return new Response(null, { status: 204, headers: UNCACHED });
  }
  return new Response(bytesOf(eventsOf(call, task)), { headers: { 'Content-Type': EVENT_STREAM, ...UNCACHED } });
}

/**
 * @param {Call} call
 * @param {TaskRecord} first the task's present state
 * @returns {AsyncGenerator<string>} the events up to the task's end
 */
async function* eventsOf({ store, env, handlers }, first) {
  const watch = new TaskWatch(store, first.taskId, Date.now() + STREAM_SECONDS * 1000, hasSteps(handlers, first));
  try {
    yield `retry: ${RECONNECT_MS}\n\n`;
    let sent = '';
    /** @type {SeenTask | null} */
    let task = await watch.again(first); // the task may have changed before this began to listen
    for (; task; task = await watch.again(task)) {
      const json = taskJson(task, env, task.steps);
      yield json === sent ? NOTHING_NEW : `id: ${eventId(task)}\nevent: task\ndata: ${json}\n\n`;
      sent = json;
      if (ENDED.has(task.status) || !await watch.next(task)) return;
    }
  } finally {
    watch.stop();
  }
}

/**
 * @param {AsyncGenerator<string>} texts
 * @returns {ReadableStream<Uint8Array>} a stream that takes a text only after the one before was sent, and so takes no more once its client is gone
 */
function bytesOf(texts) {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
  }, { highWaterMark: 0 });
}

/**
 * @param {Handlers} handlers
 * @param {TaskRecord} task
 */
export function hasSteps(handlers, { handler }) {
  return Object.hasOwn(handlers, handler) && handlers[handler]?.steps === true;
}

/** @param {TaskRecord} task */
function eventId({ run, status }) {
  return `${run}-${status}`;
}
