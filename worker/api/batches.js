/**
 * `POST /tasks`: up to a hundred tasks in one request, each accepted or refused on its own; with `then`, a batch with a last task, and
 * `/batches/:id`. A batch is identified by its last task, which starts after all others: both have the same id.
 */

import { stillAwaited } from '../dependencies.js';
import { GROUP_KEY, GROUP_KEY_IN_WORDS } from '../group.js';
import { MAX_PAYLOAD_BYTES, STATUSES } from '../task.js';
import { acceptTasks, answerTo } from './intake.js';
import { invalidParameter, jsonReply, quoted, Refusal, summaryView } from './reply.js';
import { isObject, parseJson, readBody, readQuery, requireKnown, textLike, tooLarge, toPayload, wholeNumber } from './request.js';
import {
  DEFAULT_HANDLER, DELAY_SECONDS, findHandler, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS,
  newTask, readAfter, readCallback, readPriority, readReplace, readStartWhen,
  requireHolding, RETRIES, tagsOfField, TTL_SECONDS, withAwaited,
} from './submission.js';
import { requireTaskId } from './task.js';

/** @import { Handlers } from '../handler.js' */
/** @import { Insertion } from '../stores/store.js' */
/** @import { NewTask, Parameters, Payload, Status } from '../task.js' */
/** @import { Reviver } from './request.js' */
/** @import { Call } from './router.js' */
/** @import { Submission } from './submission.js' */

/** @param {Call} call */
export async function submitBatch(call) {
  const batch = await readBatch(call);
  return batch.then === undefined ? submitEach(call, batch.items) : submitWithThen(call, batch);
}

/**
 * Stores all tasks of the batch, or none if one of them is invalid, because the last task depends on all others. If the store fails in between, the
 * same request with the same key stores the missing tasks.
 *
 * @param {Call} call
 * @param {{items: unknown[], then: unknown, startWhen: unknown}} batch
 */
async function submitWithThen(call, batch) {
  requireHolding(call.store, 'then');
  const key = textLike('Idempotency-Key', call.request.headers.get('Idempotency-Key') ?? undefined, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS);
  const startWhen = readStartWhen(batch.startWhen);
  // The batch sets what its last task starts after, and its key.
  const last = { ...readItem(batch.then, call.handlers, OWN_FIELDS), idempotencyKey: keyOf(key, 'then') };
  await newTask(last, call); // finds every error before a task is stored
  const tasks = await Promise.all(batch.items.map((item, index) => numbered(index, async () => {
    const submission = readItem(item, call.handlers);
    return newTask({ ...submission, idempotencyKey: submission.idempotencyKey ?? keyOf(key, String(index)) }, call);
  })));
  const good = (await withAwaited(tasks, call.store)).map((task, index) => orThrow(index, task));
  const answers = (await acceptTasks(good, call)).map((insertion, index) => orThrow(index, answerTo(insertion)));
  const statuses = new Map(answers.map(({ taskId, status }) => [taskId, status]));
  const insertion = await submitLast(call, { ...last, after: { taskIds: [...statuses.keys()], startWhen } }, statuses);
  const answer = answerTo(insertion);
  if (answer instanceof Refusal) throw answer;
  return jsonReply(
    { batchId: answer.taskId, tasks: answers.map((each) => ({ httpStatus: 200, ...each })) },
    'isNew' in insertion && insertion.isNew ? {} : { headers: { 'Idempotent-Replayed': 'true' } },
  );
}

/**
 * @param {Call} call
 * @param {Submission & {after: NonNullable<Submission['after']>}} submission
 * @param {Map<string, Status>} statuses the statuses of the others
 * @returns {Promise<Insertion | Error>}
 */
async function submitLast(call, submission, statuses) {
  const awaits = stillAwaited(submission.after, statuses);
  const task = { ...await newTask(submission, call), awaits, isHeld: awaits.length > 0 };
  return /** @type {Insertion | Error} */ ((await acceptTasks([task], call))[0]);
}

/**
 * @param {string | null} key
 * @param {string} part
 * @returns {string | null} the key of a part of the batch; a caller's key has no line break, so it cannot be equal
 */
function keyOf(key, part) {
  return key === null ? null : `batch\n${key}\n${part}`;
}

/**
 * @template Result
 * @param {number} index
 * @param {() => Promise<Result>} read
 * @throws {Refusal} the error says which task of the batch is invalid
 */
async function numbered(index, read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Refusal) orThrow(index, error);
    throw error;
  }
}

/**
 * @template Result
 * @param {number} index the index of a task of the batch, from 0
 * @param {Result | Refusal} result
 * @returns {Result}
 * @throws {Refusal}
 */
function orThrow(index, result) {
  if (!(result instanceof Refusal)) return result;
  const { error, code, ...extras } = result.body;
  throw new Refusal(code, `tasks[${index}]: ${error}`, { extras: { ...extras, index }, headers: result.headers });
}

/**
 * @param {Call} call
 * @param {string} batchId
 */
export async function showBatch({ url, store, env }, batchId) {
  readQuery(url, []);
  requireTaskId(batchId);
  const last = await store.find(batchId);
  if (!last?.after) throw new Refusal('batch_not_found', `there is no batch ${quoted(batchId)}: its id is what POST /tasks with then was answered with`);
  const { taskIds, startWhen } = last.after;
  const statuses = await store.statuses(taskIds);
  const counts = Object.fromEntries(STATUSES.map((status) => [status, taskIds.filter((taskId) => statuses.get(taskId) === status).length]));
  return jsonReply({
    batchId, startWhen,
    counts: { ...counts, expired: taskIds.length - statuses.size },
    tasks: taskIds.map((taskId) => ({ taskId, status: statuses.get(taskId) ?? null })),
    then: summaryView(last, env),
  });
}

// The tasks of a request, each on its own.

/** The most tasks of a batch: as many as a queue's sendBatch takes (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_BATCH_TASKS = 100;

/** The longest body: the body and what is made of it must fit into a Worker's 128 MB. */
const MAX_BATCH_BYTES = 10 * 1024 * 1024;

/** Matches a text that may contain a number which a double cannot represent exactly. A check of every value would take thirty times as long. */
const LONG_NUMBER = /[\d.]{16}|\d[eE]/;

/** The fields of a request body. */
const BATCH_FIELDS = ['tasks', 'then', 'startWhen'];

/** The fields of a task in a request body. */
export const FIELDS = ['payload', 'payloadBase64', 'handler', 'parameters', 'delaySeconds', 'ttlSeconds', 'maxRetries', 'idempotencyKey', 'replace', 'callbackUrl', 'on', 'after', 'startWhen', 'group', 'tags', 'priority'];

/** The fields of a task that is part of something else: without an idempotency key, and without the tasks it starts after. */
export const OWN_FIELDS = FIELDS.filter((name) => !['idempotencyKey', 'replace', 'after', 'startWhen'].includes(name));

/**
 * Submits tasks, each of which is accepted or refused on its own.
 *
 * @param {Call} call
 * @param {unknown[]} items
 */
async function submitEach(call, items) {
  const tasks = await withAwaited(await Promise.all(items.map((item) => readTask(item, call))), call.store);
  const good = tasks.flatMap((task) => (task instanceof Refusal ? [] : [task]));
  const inserted = good.length > 0 ? await acceptTasks(good, call) : [];
  const insertions = new Map(good.map((task, index) => [task, /** @type {Insertion | Error} */ (inserted[index])]));
  const answers = tasks.map((task) => (task instanceof Refusal ? task : answerTo(/** @type {Insertion | Error} */ (insertions.get(task)))));
  return jsonReply({
    tasks: answers.map((answer) => (
      answer instanceof Refusal ? { httpStatus: answer.status, ...answer.body } : { httpStatus: 200, ...answer }
    )),
  });
}

/**
 * @param {Call} call
 * @returns {Promise<{items: unknown[], then: unknown, startWhen: unknown}>}
 * @throws {Refusal}
 */
async function readBatch({ request, url }) {
  readQuery(url, []);
  const body = await readBody(request, MAX_BATCH_BYTES);
  const text = toPayload(body);
  const batch = parseJson(text, 'POST /tasks takes it', typeof text === 'string' && LONG_NUMBER.test(text) ? asWritten : undefined);
  if (!isObject(batch)) throw invalidParameter('the body', 'an object with a list of tasks', batch);
  for (const name of Object.keys(batch)) requireKnown(name, BATCH_FIELDS, 'field');
  const { tasks: items, then, startWhen } = batch;
  if (then === undefined && startWhen !== undefined) {
    throw new Refusal('invalid_parameter', 'expected startWhen to come with then, the task that it is about; got it alone', { extras: { parameter: 'startWhen' } });
  }
  if (Array.isArray(items) && items.length > 0 && items.length <= MAX_BATCH_TASKS) return { items, then, startWhen };
  throw invalidParameter('tasks', `a list of 1 to ${MAX_BATCH_TASKS} tasks`, Array.isArray(items) ? items.length : items);
}

/**
 * Keeps a number that a double would change, such as a 64-bit id, as its text.
 *
 * @type {Reviver}
 */
function asWritten(_, value, { source }) {
  const isExact = typeof value !== 'number' || Number.isSafeInteger(value) || String(value) === source;
  return isExact ? value : /** @type {any} */ (JSON).rawJSON(source);
}

/**
 * @param {unknown} item
 * @param {Call} call
 * @returns {Promise<NewTask | Refusal>}
 */
async function readTask(item, call) {
  try {
    return await newTask(readItem(item, call.handlers), call);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

/**
 * @param {unknown} item
 * @param {Handlers} handlers
 * @param {string[]} [known] the fields that it may have
 * @returns {Submission}
 * @throws {Refusal}
 */
export function readItem(item, handlers, known = FIELDS) {
  if (!isObject(item)) throw invalidParameter('a task', 'an object', item);
  for (const name of Object.keys(item)) requireKnown(name, known, 'field');
  const { payload, payloadBase64, handler = DEFAULT_HANDLER, parameters = {}, delaySeconds, ttlSeconds, maxRetries, replace, callbackUrl, on, after, startWhen, group, tags, priority } = item;
  if (typeof handler !== 'string') throw invalidParameter('handler', 'the name of a handler', handler);
  const own = Object.keys(findHandler(handlers, handler).parameters ?? {});
  const idempotencyKey = textLike('idempotencyKey', item['idempotencyKey'], IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS);
  return {
    handler,
    parameters: readParameters(parameters, own),
    delay_seconds: wholeNumber('delaySeconds', delaySeconds, DELAY_SECONDS, null),
    ttl_seconds: wholeNumber('ttlSeconds', ttlSeconds, TTL_SECONDS, null),
    max_retries: wholeNumber('maxRetries', maxRetries, RETRIES, null),
    idempotencyKey,
    replacesPending: readReplace(replace, idempotencyKey, 'idempotencyKey'),
    callback: readCallback(callbackUrl, on, 'callbackUrl'),
    after: readAfter(after, startWhen),
    group: textLike('group', group, GROUP_KEY, GROUP_KEY_IN_WORDS),
    tags: tagsOfField(tags),
    priority: readPriority(priority),
    payload: readPayload(payload, payloadBase64),
  };
}

/**
 * @param {unknown} parameters
 * @param {string[]} known
 * @returns {Parameters}
 * @throws {Refusal}
 */
function readParameters(parameters, known) {
  if (!isObject(parameters)) throw invalidParameter('parameters', 'an object of texts', parameters);
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => {
    requireKnown(name, known, 'parameter of the handler');
    if (!isText(value)) throw invalidParameter(name, 'a text', value);
    return [name, value];
  }));
}

/**
 * Returns the payload that the body of a `POST /task` would give.
 *
 * @param {unknown} payload any JSON; a string is used as it is
 * @param {unknown} payloadBase64 the payload's bytes in base64
 * @returns {Payload}
 * @throws {Refusal}
 */
function readPayload(payload, payloadBase64) {
  if (payload !== undefined && payloadBase64 !== undefined) throw invalidParameter('payload', 'alone, without payloadBase64', 'both');
  const bytes = payloadBase64 === undefined ? encoded(payload) : fromBase64(payloadBase64);
  if (bytes.byteLength > MAX_PAYLOAD_BYTES) throw tooLarge(MAX_PAYLOAD_BYTES);
  return toPayload(bytes);
}

/**
 * @param {unknown} payload
 * @returns {Uint8Array<ArrayBuffer>}
 */
function encoded(payload) {
  if (payload === undefined) return new Uint8Array();
  if (typeof payload === 'string' && !isText(payload)) throw invalidParameter('payload', 'Unicode text without lone surrogates', payload);
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return /** @type {Uint8Array<ArrayBuffer>} */ (new TextEncoder().encode(text));
}

/** @param {unknown} text */
function fromBase64(text) {
  try {
    if (typeof text === 'string') return Uint8Array.fromBase64(text);
  } catch {
    // not base64
  }
  throw invalidParameter('payloadBase64', 'base64 (RFC 4648)', text);
}

/**
 * @param {unknown} value
 * @returns {value is string} whether the value is a string that UTF-8 can encode
 */
function isText(value) {
  return typeof value === 'string' && value.isWellFormed();
}
