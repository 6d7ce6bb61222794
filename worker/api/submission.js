/** `POST /task`: the body is the payload, untouched; what steers the task rides beside it. */

import { bindingsOf } from '../context.js';
import { sha256Hex } from '../digest.js';
import { MAX_DELAY_SECONDS, MAX_PAYLOAD_BYTES, MAX_RETRIES, MAX_TTL_SECONDS, MIN_TTL_SECONDS } from '../task.js';
import { newTaskId } from '../task_id.js';
import { bounded } from '../text.js';
import { describeError } from '../thrown.js';
import { readAfter, withAwaited } from './after.js';
import { GROUP_KEY, GROUP_KEY_IN_WORDS, endingOf } from '../group.js';
import { callbackOf, readCallback } from './callback.js';
import { groupOf } from './group.js';
import { acceptTasks, answerTo } from './intake.js';
import { requireDeclaredJson, requireValid, toPayload } from './payload.js';
import { priorityOf, readPriority } from './priority.js';
import { invalidParameter, jsonReply, quoted, Refusal } from './reply.js';
import { fromDigits, readBody, readQuery, textLike, wholeNumber } from './request.js';
import { TAG, tagsOfQuery } from './tags.js';

/** @import { Group } from '../group.js' */
/** @import { HandlerModule, Handlers } from '../handler.js' */
/** @import { Priority } from '../priority.js' */
/** @import { Insertion } from '../stores/store.js' */
/** @import { Idempotency, NewTask, Parameters } from '../task.js' */
/** @import { AskedCallback } from './callback.js' */
/** @import { Call } from './router.js' */

export const DELAY_SECONDS = /** @type {const} */ ([0, MAX_DELAY_SECONDS]);
export const TTL_SECONDS = /** @type {const} */ ([MIN_TTL_SECONDS, MAX_TTL_SECONDS]);
export const RETRIES = /** @type {const} */ ([0, MAX_RETRIES]);

/** @param {Call} call */
export async function submitTask(call) {
  const { request, url, handlers } = call;
  const handler = url.searchParams.get('handler') ?? DEFAULT_HANDLER;
  const own = Object.keys(findHandler(handlers, handler).parameters ?? {});
  const query = readQuery(url, [...SETTINGS, ...own.map((name) => PARAMETER_PREFIX + name)], [...Object.values(FORMER_NAMES), ...own], TAG);
  const [callbackUrlName, callbackUrl] = eitherOf(query, 'callbackUrl', FORMER_NAMES['callbackUrl']);
  const idempotencyKey = textLike('Idempotency-Key', request.headers.get('Idempotency-Key') ?? undefined, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS);
  const settings = {
    handler,
    parameters: parametersOf(query, own),
    delay_seconds: wholeNumber(...digitsOf(query, 'delaySeconds'), DELAY_SECONDS, null),
    ttl_seconds: wholeNumber(...digitsOf(query, 'ttlSeconds'), TTL_SECONDS, null),
    max_retries: wholeNumber(...digitsOf(query, 'maxRetries'), RETRIES, null),
    idempotencyKey,
    replacesPending: readReplace(query['replace'], idempotencyKey, 'Idempotency-Key'),
    callback: readCallback(callbackUrl, query['on']?.split(','), callbackUrlName),
    after: readAfter(query['after']?.split(','), query['startWhen']),
    group: textLike('group', query['group'], GROUP_KEY, GROUP_KEY_IN_WORDS),
    tags: tagsOfQuery(url),
    priority: readPriority(query['priority']),
  };
  const payload = toPayload(await readBody(request, MAX_PAYLOAD_BYTES));
  requireDeclaredJson(request.headers.get('Content-Type'), payload);
  const [task] = /** @type {[NewTask | Refusal]} */ (await withAwaited([await newTask({ ...settings, payload }, call)], call.store));
  if (task instanceof Refusal) throw task;
  const [insertion] = /** @type {[Insertion | Error]} */ (await acceptTasks([task], call));
  const answer = answerTo(insertion);
  if (answer instanceof Refusal) throw answer;
  const isReplayed = !(insertion instanceof Error) && !insertion.isNew && !insertion.isReplaced;
  return jsonReply(answer, isReplayed ? { headers: { 'Idempotent-Replayed': 'true' } } : {});
}

/**
 * What a client asks for, in range; `delay_seconds` null: the stack's; `priority` null: the handler's.
 *
 * @typedef {Omit<NewTask, 'taskId' | 'idempotency' | 'delay_seconds' | 'callback' | 'group' | 'priority'>
 *   & {delay_seconds: number | null, idempotencyKey: string | null, callback: AskedCallback, group: string | null, priority: Priority | null}} Submission
 */

/** The query parameters of every task. They are named as the fields of a batch's tasks and of replies are.
 *
 * @type {readonly string[]} */
const SETTINGS = ['handler', 'delaySeconds', 'ttlSeconds', 'maxRetries', 'callbackUrl', 'on', 'replace', 'after', 'startWhen', 'group', TAG, 'priority'];

/** How settings were named in queries at first; these names are still read. @type {Readonly<Record<string, string>>} */
const FORMER_NAMES = { delaySeconds: 'delay', ttlSeconds: 'ttl', maxRetries: 'max_retries', callbackUrl: 'callback_url' };

/** What a handler's parameter begins with in a query, so that it cannot be taken for a setting. */
export const PARAMETER_PREFIX = 'param.';

/**
 * @param {Record<string, string>} query
 * @param {string[]} own the handler's parameters
 * @returns {Parameters}
 * @throws {Refusal}
 */
function parametersOf(query, own) {
  return Object.fromEntries(own.flatMap((name) => {
    // At first a parameter had no prefix. One that has a setting's name still needs it.
    const isSetting = SETTINGS.includes(name) || Object.values(FORMER_NAMES).includes(name);
    const [, value] = eitherOf(query, PARAMETER_PREFIX + name, isSetting ? undefined : name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/**
 * @param {Record<string, string>} query
 * @param {string} name of a setting that is a number
 * @returns {[string, string | number | undefined]} the name that it was given by, and what was given
 */
function digitsOf(query, name) {
  const [used, value] = eitherOf(query, name, FORMER_NAMES[name]);
  return [used, fromDigits(value)];
}

/**
 * @param {Record<string, string>} query
 * @param {string} name
 * @param {string | undefined} formerName
 * @returns {[string, string | undefined]} the name that is used, and the value
 * @throws {Refusal} both are
 */
function eitherOf(query, name, formerName) {
  if (formerName === undefined || query[formerName] === undefined) return [name, query[name]];
  if (query[name] !== undefined) throw invalidParameter(name, `given once, not as ${formerName} too`, [query[name], query[formerName]]);
  return [formerName, query[formerName]];
}

/** The handler of a task that names none. */
export const DEFAULT_HANDLER = 'default';

/** Longest parameters of a task together, as JSON in UTF-16 code units: as long as a URL can be
 * (https://developers.cloudflare.com/workers/platform/limits/). */
const MAX_PARAMETERS_LENGTH = 16_384;

/** Longest sentence of a handler on what is wrong with parameters, in UTF-16 code units. */
const MAX_FAULT_LENGTH = 1_000;

/** What an idempotency key may be: visible ASCII, as a header's value can be. */
export const IDEMPOTENCY_KEY = /^[!-~]{1,255}$/;
export const IDEMPOTENCY_KEY_IN_WORDS = '1 to 255 visible ASCII characters';

/** Which tasks a submission can take the place of. */
export const REPLACEABLE = 'pending';

/**
 * @param {unknown} value undefined where it is not given
 * @param {string | null} idempotencyKey
 * @param {string} keyName what the caller calls the key
 * @returns {boolean} whether it replaces the task with its key that has not started
 * @throws {Refusal}
 */
export function readReplace(value, idempotencyKey, keyName) {
  if (value === undefined) return false;
  if (value !== REPLACEABLE) throw invalidParameter('replace', REPLACEABLE, value);
  if (idempotencyKey !== null) return true;
  throw new Refusal('invalid_parameter', `expected replace to come with ${keyName}, which names the task to replace, got it alone`, {
    extras: { parameter: 'replace' },
  });
}

/**
 * @param {Handlers} handlers
 * @param {string} name
 * @returns {HandlerModule}
 * @throws {Refusal}
 */
export function findHandler(handlers, name) {
  const module = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (module) return module;
  const names = Object.keys(handlers);
  throw new Refusal('unknown_handler', `unknown handler ${quoted(name)}: there are ${names.join(', ')}`, { extras: { handlers: names } });
}

/**
 * @param {Submission} submission of a handler that is there, with parameters that it knows
 * @param {Pick<Call, 'handlers' | 'env' | 'Validator' | 'store'>} call
 * @returns {Promise<NewTask>}
 * @throws {Refusal} the handler finds fault with its parameters or its payload, or fails at looking at them
 */
export async function newTask(submission, call) {
  const { handlers, env, Validator } = call;
  const { idempotencyKey, ...task } = submission;
  const { length } = JSON.stringify(task.parameters);
  if (length > MAX_PARAMETERS_LENGTH) {
    throw new Refusal('invalid_parameter', `expected parameters of at most ${MAX_PARAMETERS_LENGTH} characters as JSON, got ${length}`);
  }
  const module = findHandler(handlers, task.handler);
  checkParameters(task.handler, module, task.parameters, bindingsOf(env));
  if (module.payload && Validator) requireValid(task.payload, module.payload, Validator, task.handler);
  const callback = callbackOf(task.callback, task.handler, module, env);
  const group = groupOf(task, module, call);
  const priority = priorityOf(task, module, env);
  const idempotency = idempotencyKey === null ? null : await idempotencyOf(idempotencyKey, task, group);
  const delay_seconds = task.delay_seconds ?? Number(env.DELIVERY_DELAY_SECONDS ?? 0);
  // Tasks of a group, or with the same key, have the same last digits, so that they meet in the same shard of a store.
  const ending = group ? await endingOf(group.name) : idempotency?.key.slice(0, 2);
  return { taskId: newTaskId(Date.now(), ending), ...task, delay_seconds, idempotency, callback, group, priority };
}

/**
 * Lets the handler look at a submission's parameters.
 *
 * @param {string} handler its name
 * @param {HandlerModule} module
 * @param {Parameters} parameters
 * @param {Readonly<Record<string, any>>} bindings
 * @throws {Refusal} it finds fault with them: that is the caller's fault; or it throws, or answers with what is no answer: that
 *   is the handler's
 */
function checkParameters(handler, module, parameters, bindings) {
  const name = `check of handler ${handler}`;
  /** @type {unknown} */
  let fault;
  try {
    fault = module.check?.({ ...parameters }, bindings); // a copy: what is stored is what came
  } catch (thrown) {
    const error = describeError(thrown);
    console.error(`${name} failed`, { handler, error: error.name, message: error.message, stack: stackOf(thrown) });
    // What it threw may tell of bindings, which are none of the caller's business.
    throw new Refusal('handler_check_failed', `expected ${name} to say what is wrong with the parameters, if anything; it threw ${error.name}: the log says more`);
  }
  if (fault === null || fault === undefined) return;
  if (typeof fault === 'string' && fault !== '') throw new Refusal('invalid_parameter', bounded(fault, MAX_FAULT_LENGTH));
  if (fault instanceof Promise) fault.catch(() => {}); // nobody waits for it
  const got = fault === '' ? 'an empty text' : fault instanceof Promise ? 'a promise, which nobody waits for' : `a value of type ${typeof fault}`;
  console.error(`${name} failed`, { handler, got });
  throw new Refusal('handler_check_failed', `expected ${name} to return null or a sentence, got ${got}`);
}

/** @param {unknown} thrown */
function stackOf(thrown) {
  try {
    return String(/** @type {any} */ (thrown)?.stack ?? '');
  } catch {
    return '';
  }
}

/**
 * A key counts within its group: that of another group may be in another shard.
 *
 * @param {string} key
 * @param {Omit<Submission, 'idempotencyKey'>} task
 * @param {Group | null} group
 * @returns {Promise<Idempotency>}
 */
async function idempotencyOf(key, { handler, parameters, payload, delay_seconds, ttl_seconds, max_retries, callback, after, tags, priority }, group) {
  /** @type {unknown[]} */
  const settings = [handler, Object.entries(parameters).sort(), delay_seconds, ttl_seconds, max_retries];
  if (callback.url !== null || callback.on !== null) settings.push([callback.url, callback.on]); // others keep the fingerprint that they had
  if (after) settings.push(after);
  if (tags) settings.push({ tags });
  if (priority) settings.push({ priority });
  const head = new TextEncoder().encode(`${JSON.stringify(settings)}\n`);
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  return { key: await sha256Hex(group ? `${group.name}\n${key}` : key), fingerprint: await sha256Hex(await new Blob([head, body]).arrayBuffer()) };
}
