/** `POST /tasks`: up to a hundred tasks in one request, each accepted or refused on its own. */

import { GROUP_KEY, GROUP_KEY_IN_WORDS } from '../group.js';
import { MAX_PAYLOAD_BYTES } from '../task.js';
import { readAfter, withAwaited } from './after.js';
import { readCallback } from './callback.js';
import { acceptTasks, answerTo } from './intake.js';
import { parseJson, toPayload } from './payload.js';
import { readPriority } from './priority.js';
import { invalidParameter, jsonReply, Refusal } from './reply.js';
import { isObject, readBody, readQuery, requireKnown, textLike, tooLarge, wholeNumber } from './request.js';
import {
  DEFAULT_HANDLER, DELAY_SECONDS, findHandler, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS, newTask, readReplace, RETRIES, TTL_SECONDS,
} from './submission.js';
import { tagsOfField } from './tags.js';

/** @import { Handlers } from '../handler.js' */
/** @import { Insertion } from '../stores/store.js' */
/** @import { NewTask, Parameters, Payload } from '../task.js' */
/** @import { Reviver } from './payload.js' */
/** @import { Call } from './router.js' */
/** @import { Submission } from './submission.js' */

/** Most tasks of a batch: as many as a queue's sendBatch takes (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_BATCH_TASKS = 100;

/** Longest body: it and what it becomes must fit in a Worker's 128 MB. */
export const MAX_BATCH_BYTES = 10 * 1024 * 1024;

/** Where a number may stand that no double holds as it is written; to look at every value takes thirty times as long. */
const LONG_NUMBER = /[\d.]{16}|\d[eE]/;

/** Of a body. */
const BATCH_FIELDS = ['tasks', 'then', 'startWhen'];

/** Of a task in a body. */
export const FIELDS = ['payload', 'payloadBase64', 'handler', 'parameters', 'delaySeconds', 'ttlSeconds', 'maxRetries', 'idempotencyKey', 'replace', 'callbackUrl', 'on', 'after', 'startWhen', 'group', 'tags', 'priority'];

/** What such a task says of itself alone: neither a key of the caller's, nor what it starts after. */
export const OWN_FIELDS = FIELDS.filter((name) => !['idempotencyKey', 'replace', 'after', 'startWhen'].includes(name));

/**
 * Takes in tasks of which each is accepted or refused on its own.
 *
 * @param {Call} call
 * @param {unknown[]} items
 */
export async function submitEach(call, items) {
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
export async function readBatch({ request, url }) {
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
 * Keeps a number that a double would change, such as an id of 64 bits, as its text.
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
 * What the body of a `POST /task` would be.
 *
 * @param {unknown} payload any JSON; a text stands for itself
 * @param {unknown} payloadBase64 its bytes
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
 * @returns {value is string} a text that UTF-8 can hold
 */
function isText(value) {
  return typeof value === 'string' && value.isWellFormed();
}
