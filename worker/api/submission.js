/**
 * Reads and checks submissions. In `POST /task` the body is the payload, unchanged, and the query has the settings. A task of a batch or of a
 * schedule has both in JSON.
 */

import { ENDS } from '../callback.js';
import { bindingsOf } from '../context.js';
import { MAX_AFTER, START_WHEN, stillAwaited } from '../dependencies.js';
import { sha256Hex } from '../digest.js';
import { endingOf, GROUP_KEY, GROUP_KEY_IN_WORDS, groupName, groupNamed, hasLimits, WHOLE_HANDLER } from '../group.js';
import { PermanentError } from '../handler.js';
import { readUrl } from '../handlers/_delivery.js';
import { hasPriorities, PRIORITIES } from '../priority.js';
import { MAX_TAGS, MAX_TAGS_LENGTH, sortedTags, TAG_KEY, TAG_KEY_IN_WORDS, TAG_VALUE, TAG_VALUE_IN_WORDS } from '../tags.js';
import { MAX_DELAY_SECONDS, MAX_PAYLOAD_BYTES, MAX_RETRIES, MAX_TTL_SECONDS, MIN_TTL_SECONDS } from '../task.js';
import { newTaskId, TASK_ID } from '../task_id.js';
import { bounded } from '../text.js';
import { describeError } from '../thrown.js';
import { acceptTasks, answerTo } from './intake.js';
import { invalidParameter, jsonReply, quoted, Refusal } from './reply.js';
import { fromDigits, isObject, readBody, readQuery, requireDeclaredJson, requireValid, textLike, toPayload, wholeNumber } from './request.js';

/** @import { Callback, End } from '../callback.js' */
/** @import { After, StartWhen } from '../dependencies.js' */
/** @import { Group } from '../group.js' */
/** @import { HandlerModule, Handlers } from '../handler.js' */
/** @import { OwnPriority, Priority, PrioritySettings } from '../priority.js' */
/** @import { Insertion, Store } from '../stores/store.js' */
/** @import { Tags } from '../tags.js' */
/** @import { Idempotency, NewTask, Parameters, Payload } from '../task.js' */
/** @import { Call, Environment } from './router.js' */

/** The name of a tag as a query parameter, which may be repeated, and of all tags as a field. */
export const TAG = 'tag';
const TAGS_FIELD = 'tags';

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
 * A checked submission. `delay_seconds` null: the stack's default; `priority` null: the handler's default.
 *
 * @typedef {Omit<NewTask, 'taskId' | 'idempotency' | 'delay_seconds' | 'callback' | 'group' | 'priority'>
 *   & {delay_seconds: number | null, idempotencyKey: string | null, callback: AskedCallback, group: string | null, priority: Priority | null}} Submission
 */

/** The query parameters of every task. They have the same names as the fields of a batch's tasks and of replies.
 *
 * @type {readonly string[]}
 */
const SETTINGS = ['handler', 'delaySeconds', 'ttlSeconds', 'maxRetries', 'callbackUrl', 'on', 'replace', 'after', 'startWhen', 'group', TAG, 'priority'];

/** The first names of settings in queries; they are still read. @type {Readonly<Record<string, string>>} */
const FORMER_NAMES = { delaySeconds: 'delay', ttlSeconds: 'ttl', maxRetries: 'max_retries', callbackUrl: 'callback_url' };

/** The prefix of a handler's parameter in a query, so that it cannot be mistaken for a setting. */
export const PARAMETER_PREFIX = 'param.';

/**
 * @param {Record<string, string>} query
 * @param {string[]} own the names of the handler's parameters
 * @returns {Parameters}
 * @throws {Refusal}
 */
function parametersOf(query, own) {
  return Object.fromEntries(own.flatMap((name) => {
    // Parameters without the prefix are still read, as in the first version. One that has a setting's name needs the prefix.
    const isSetting = SETTINGS.includes(name) || Object.values(FORMER_NAMES).includes(name);
    const [, value] = eitherOf(query, PARAMETER_PREFIX + name, isSetting ? undefined : name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/**
 * @param {Record<string, string>} query
 * @param {string} name the name of a numeric setting
 * @returns {[string, string | number | undefined]} the name under which it was given, and its value
 */
function digitsOf(query, name) {
  const [used, value] = eitherOf(query, name, FORMER_NAMES[name]);
  return [used, fromDigits(value)];
}

/**
 * @param {Record<string, string>} query
 * @param {string} name
 * @param {string | undefined} formerName
 * @returns {[string, string | undefined]} the name that was used, and the value
 * @throws {Refusal} both names are used
 */
function eitherOf(query, name, formerName) {
  if (formerName === undefined || query[formerName] === undefined) return [name, query[name]];
  if (query[name] !== undefined) throw invalidParameter(name, `given once, not as ${formerName} too`, [query[name], query[formerName]]);
  return [formerName, query[formerName]];
}

/** The handler of a task that names none. */
export const DEFAULT_HANDLER = 'default';

/** The longest parameters of a task in total, as JSON in UTF-16 code units: as long as a URL can be
 * (https://developers.cloudflare.com/workers/platform/limits/). */
const MAX_PARAMETERS_LENGTH = 16_384;

/** The longest sentence in which a handler explains what is wrong with parameters, in UTF-16 code units. */
const MAX_FAULT_LENGTH = 1_000;

/** The pattern of an idempotency key: visible ASCII, which a header's value can hold. */
export const IDEMPOTENCY_KEY = /^[!-~]{1,255}$/;
export const IDEMPOTENCY_KEY_IN_WORDS = '1 to 255 visible ASCII characters';

/** The status of tasks that a submission can replace. */
export const REPLACEABLE = 'pending';

/**
 * @param {unknown} value undefined if it is not given
 * @param {string | null} idempotencyKey
 * @param {string} keyName the caller's name of the key
 * @returns {boolean} whether it replaces the task with the same key, if that has not started
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
 * @param {Submission} submission a submission whose handler exists and accepts its parameters
 * @param {Pick<Call, 'handlers' | 'env' | 'Validator' | 'store'>} call
 * @returns {Promise<NewTask>}
 * @throws {Refusal} the handler refuses the parameters or the payload, or its check fails
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
  // Tasks of a group, or with the same key, have the same last digits of the id, so that they are in the same shard of a store.
  const ending = group ? await endingOf(group.name) : idempotency?.key.slice(0, 2);
  return { taskId: newTaskId(Date.now(), ending), ...task, delay_seconds, idempotency, callback, group, priority };
}

/**
 * Calls the handler's check of a submission's parameters.
 *
 * @param {string} handler the handler's name
 * @param {HandlerModule} module
 * @param {Parameters} parameters
 * @param {Readonly<Record<string, any>>} bindings
 * @throws {Refusal} the handler refuses them, which is the caller's fault; or it throws or returns something else than an answer, which is the
 *   handler's fault
 */
function checkParameters(handler, module, parameters, bindings) {
  const name = `check of handler ${handler}`;
  /** @type {unknown} */
  let fault;
  try {
    fault = module.check?.({ ...parameters }, bindings); // a copy, so that the handler cannot change what is stored
  } catch (thrown) {
    const error = describeError(thrown);
    console.error(`${name} failed`, { handler, error: error.name, message: error.message, stack: stackOf(thrown) });
    // The error may contain values of bindings, which the caller must not see.
    throw new Refusal('handler_check_failed', `expected ${name} to say what is wrong with the parameters, if anything; it threw ${error.name}: the log says more`);
  }
  if (fault === null || fault === undefined) return;
  if (typeof fault === 'string' && fault !== '') throw new Refusal('invalid_parameter', bounded(fault, MAX_FAULT_LENGTH));
  if (fault instanceof Promise) fault.catch(() => {}); // nobody waits for the promise
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
 * A key is unique within its group: the same key in another group may be in another shard.
 *
 * @param {string} key
 * @param {Omit<Submission, 'idempotencyKey'>} task
 * @param {Group | null} group
 * @returns {Promise<Idempotency>}
 */
async function idempotencyOf(key, { handler, parameters, payload, delay_seconds, ttl_seconds, max_retries, callback, after, tags, priority }, group) {
  /** @type {unknown[]} */
  const settings = [handler, Object.entries(parameters).sort(), delay_seconds, ttl_seconds, max_retries];
  if (callback.url !== null || callback.on !== null) settings.push([callback.url, callback.on]); // submissions without a callback keep their former fingerprint
  if (after) settings.push(after);
  if (tags) settings.push({ tags });
  if (priority) settings.push({ priority });
  const head = new TextEncoder().encode(`${JSON.stringify(settings)}\n`);
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  return { key: await sha256Hex(group ? `${group.name}\n${key}` : key), fingerprint: await sha256Hex(await new Blob([head, body]).arrayBuffer()) };
}

// The callback of a submission: its own, else the handler's, else the stack's.

/** The callback settings of a submission; null if not given. An empty URL means no callback, whatever the defaults are.
 *
 * @typedef {{url: string | null, on: End[] | null}} AskedCallback
 */

/**
 * @param {unknown} url undefined if it is not given
 * @param {unknown} on a list of ends
 * @param {string} urlName the caller's name of the URL
 * @returns {AskedCallback}
 * @throws {Refusal}
 */
export function readCallback(url, on, urlName) {
  if (url !== undefined && typeof url !== 'string') throw invalidParameter(urlName, 'a URL', url);
  return { url: url ?? null, on: on === undefined ? null : readEnds(on) };
}

/**
 * @param {AskedCallback} asked
 * @param {string} handler the handler's name
 * @param {HandlerModule} module
 * @param {Environment} env
 * @returns {Callback | null}
 * @throws {Refusal} `on` is given without a callback, or the URL's host is not allowed
 */
export function callbackOf({ url, on }, handler, module, env) {
  const usual = defaultCallback(handler, module, env);
  if (url === '') return null;
  if (url === null && usual === null) {
    if (on === null) return null;
    throw new Refusal('invalid_parameter', 'expected on to come with callbackUrl, got it alone: neither the handler nor the stack has a callback', {
      extras: { parameter: 'on' },
    });
  }
  if (url !== null) return { url: checkedUrl(url, env), on: on ?? usual?.on ?? [...ENDS] };
  return usual && { ...usual, ...(on && { on }) };
}

/**
 * @param {string} handler
 * @param {HandlerModule} module
 * @param {Environment} env
 * @returns {Callback | null}
 * @throws {Refusal} the host of the handler's URL is not allowed, which is not the caller's fault
 */
function defaultCallback(handler, { callback }, env) {
  if (callback) {
    try {
      return { url: checkedUrl(callback.url, env), on: callback.on ?? [...ENDS] };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      console.error(`the callback of handler ${handler} is of no use`, { handler, error: error.message });
      throw new Refusal('handler_check_failed', `the callback of handler ${handler} is of no use: ${error.message}`);
    }
  }
  if (!env.CALLBACK_URL) return null;
  return { url: env.CALLBACK_URL, on: env.CALLBACK_ON ? /** @type {End[]} */ (env.CALLBACK_ON.split(' ')) : [...ENDS] };
}

/**
 * @param {string} text
 * @param {Environment} env
 * @throws {Refusal}
 */
function checkedUrl(text, env) {
  try {
    readUrl(text, env.HTTP_ALLOWED_HOSTS, 'callbackUrl');
    return text;
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    throw new Refusal('invalid_parameter', error.message, { extras: { parameter: 'callbackUrl' } });
  }
}

/**
 * @param {unknown} on
 * @returns {End[]}
 * @throws {Refusal}
 */
function readEnds(on) {
  const known = /** @type {readonly unknown[]} */ (ENDS);
  if (Array.isArray(on) && on.length > 0 && on.every((end) => known.includes(end)) && new Set(on).size === on.length) return on;
  throw invalidParameter('on', `some of ${ENDS.join(', ')}, each once`, on);
}

// The tasks that a new one starts after: `after` and `startWhen` of a submission.

/**
 * @param {unknown} after a list of ids; undefined if it is not given
 * @param {unknown} startWhen
 * @returns {After | null}
 * @throws {Refusal}
 */
export function readAfter(after, startWhen) {
  if (after === undefined) {
    if (startWhen === undefined) return null;
    throw new Refusal('invalid_parameter', 'expected startWhen to come with after, the ids of the tasks that it is about; got it alone', {
      extras: { parameter: 'startWhen' },
    });
  }
  const isList = Array.isArray(after) && after.length >= 1 && after.length <= MAX_AFTER && new Set(after).size === after.length;
  if (!isList) throw invalidParameter('after', `1 to ${MAX_AFTER} ids of tasks, each once`, Array.isArray(after) ? after.length : after);
  for (const taskId of after) if (typeof taskId !== 'string' || !TASK_ID.test(taskId)) throw invalidParameter('after', 'ids of tasks', taskId);
  return { taskIds: after, startWhen: readStartWhen(startWhen) };
}

/**
 * @param {unknown} startWhen
 * @returns {StartWhen}
 * @throws {Refusal}
 */
export function readStartWhen(startWhen) {
  if (startWhen === undefined) return 'completed';
  const found = START_WHEN.find((each) => each === startWhen);
  if (found) return found;
  throw invalidParameter('startWhen', START_WHEN.join(' or '), startWhen);
}

/**
 * @param {Store} store
 * @param {string} parameter the parameter that needs it
 * @throws {Refusal} the store cannot hold tasks
 */
export function requireHolding(store, parameter) {
  const refusal = refusalToHold(store, parameter);
  if (refusal) throw refusal;
}

/**
 * @param {Store} store
 * @param {string} parameter
 * @returns {Refusal | null}
 */
function refusalToHold({ holds }, parameter) {
  if (holds) return null;
  return new Refusal('invalid_parameter', `expected no ${parameter} with the state store kv: it has no compare-and-set, so that it could lose the moment when `
    + 'a task that waits is to start; d1 and durable-object have it', { extras: { parameter } });
}

/**
 * Finds out which tasks new ones have to wait for.
 *
 * @param {(NewTask | Refusal)[]} tasks
 * @param {Store} store
 * @returns {Promise<(NewTask | Refusal)[]>} the tasks in their order; one that names a missing task is refused
 */
export async function withAwaited(tasks, store) {
  const named = tasks.flatMap((task) => (task instanceof Refusal ? [] : task.after?.taskIds ?? []));
  if (named.length === 0) return tasks;
  const statuses = store.holds ? await store.statuses([...new Set(named)]) : new Map();
  return tasks.map((task) => {
    if (task instanceof Refusal || !task.after) return task;
    const refusal = refusalToHold(store, 'after');
    if (refusal) return refusal;
    if (task.replacesPending) {
      return new Refusal('invalid_parameter', 'expected replace without after, got both: a task that replaces another one waits for what that waits for', {
        extras: { parameter: 'replace' },
      });
    }
    const unknown = task.after.taskIds.find((taskId) => !statuses.has(taskId));
    if (unknown) {
      return new Refusal('invalid_parameter', `expected after to name tasks that are there, got ${quoted(unknown)}: it was never submitted, or its time to live is over`, {
        extras: { parameter: 'after' },
      });
    }
    const awaits = stillAwaited(task.after, statuses);
    return { ...task, awaits, isHeld: awaits.length > 0 };
  });
}

// The group of a submission: its own, else what its handler says.

/**
 * @param {{handler: string, payload: Payload, parameters: Parameters, group: string | null}} task the task; `group` is the requested key
 * @param {HandlerModule} module the handler's module
 * @param {Pick<Call, 'handlers' | 'env' | 'store'>} call
 * @returns {Group | null} the group; null if it is in none
 * @throws {Refusal}
 */
export function groupOf({ handler, payload, parameters, group: asked }, module, { handlers, env, store }) {
  const key = asked ?? keyOf(handler, module, payload, parameters);
  if (key === null) return null;
  const group = groupNamed(groupName(key, handler, handlers), handlers, env);
  const fault = faultOf(group, handler, store.hasGroups);
  if (fault === null) return group;
  if (asked !== null) throw new Refusal('invalid_parameter', fault, { extras: { parameter: 'group' } });
  throw new Refusal('handler_check_failed', `the group of handler ${handler} is of no use: ${fault}`);
}

/**
 * @param {Group} group
 * @param {string} handler
 * @param {boolean} isPossible
 */
function faultOf(group, handler, isPossible) {
  if (!isPossible) return 'expected no group with the state store kv, which cannot count what runs at once: d1 and durable-object can';
  if (hasLimits(group)) return null;
  return `expected a group where there are limits: give handler ${handler} some (export const limits), or the stack (group_concurrency, group_rate_limit)`;
}

/**
 * @param {string} handler
 * @param {HandlerModule} module
 * @param {Payload} payload
 * @param {Parameters} parameters
 * @returns {string | null}
 * @throws {Refusal} the handler's function throws, or returns an invalid key, which is the handler's fault
 */
function keyOf(handler, module, payload, parameters) {
  if (!module.group) return module.limits ? WHOLE_HANDLER : null;
  const name = `group of handler ${handler}`;
  /** @type {unknown} */
  let key;
  try {
    key = module.group(payload, { ...parameters });
  } catch (thrown) {
    const error = describeError(thrown);
    console.error(`${name} failed`, { handler, error: error.name, message: error.message });
    throw new Refusal('handler_check_failed', `expected ${name} to give a key; it threw ${error.name}: the log says more`);
  }
  if (key === null || key === undefined) return null;
  if (typeof key === 'string' && GROUP_KEY.test(key)) return key;
  if (key instanceof Promise) key.catch(() => {}); // nobody waits for the promise
  throw new Refusal('handler_check_failed', `expected ${name} to give ${GROUP_KEY_IN_WORDS}, or null, got ${typeof key === 'string' ? quoted(key) : typeof key}`);
}

// The priority of a submission: its own, else its handler's.

/**
 * @param {unknown} value undefined if it is not given
 * @returns {Priority | null} the priority; null means the handler's
 * @throws {Refusal}
 */
export function readPriority(value) {
  if (value === undefined) return null;
  const priority = PRIORITIES.find((each) => each === value);
  if (!priority) throw invalidParameter('priority', `one of ${PRIORITIES.join(', ')}`, value);
  return priority;
}

/**
 * @param {{handler: string, priority: Priority | null}} task the task; `priority` is the requested one
 * @param {HandlerModule} module the handler's module
 * @param {PrioritySettings} env
 * @returns {OwnPriority | null} the priority; null means normal
 * @throws {Refusal} the stack has no priorities
 */
export function priorityOf({ handler, priority: asked }, module, env) {
  const priority = asked ?? module.priority ?? 'normal';
  if (priority === 'normal') return null;
  if (hasPriorities(env)) return priority;
  const fault = `expected priority normal, got ${priority}: this stack has one queue for all tasks. Its setting priorities: true makes queues for high and low, with engine queue`;
  if (asked !== null) throw new Refusal('invalid_parameter', fault, { extras: { parameter: 'priority' } });
  throw new Refusal('handler_check_failed', `the priority of handler ${handler} is of no use: ${fault}`);
}

// Tags in requests: one parameter each in a query (`tag=key:value`), an object in JSON.

/**
 * @param {URL} url
 * @returns {Tags | null} the tags; null if there are none
 * @throws {Refusal}
 */
export function tagsOfQuery({ searchParams }) {
  const texts = searchParams.getAll(TAG);
  const pairs = texts.map((text) => {
    const colon = text.indexOf(':');
    if (colon < 0) throw invalidParameter(TAG, 'a key and a value, such as customer:acme', text);
    return /** @type {const} */ ([text.slice(0, colon), text.slice(colon + 1)]);
  });
  const keys = pairs.map(([key]) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) throw invalidParameter(TAG, `one of each key, and ${quoted(twice)} comes more than once`, texts);
  return checkedTags(TAG, Object.fromEntries(pairs));
}

/**
 * @param {unknown} value undefined if it is not given
 * @returns {Tags | null} the tags; null if there are none
 * @throws {Refusal}
 */
export function tagsOfField(value) {
  if (value === undefined) return null;
  if (!isObject(value)) throw invalidParameter(TAGS_FIELD, 'an object of texts, such as {"customer": "acme"}', value);
  return checkedTags(TAGS_FIELD, value);
}

/**
 * @param {string} name the caller's name of them
 * @param {Record<string, unknown>} given
 * @returns {Tags | null}
 * @throws {Refusal}
 */
function checkedTags(name, given) {
  const entries = Object.entries(given);
  if (entries.length > MAX_TAGS) throw invalidParameter(name, `at most ${MAX_TAGS} tags`, entries.length);
  let length = 0;
  for (const [key, value] of entries) {
    if (!TAG_KEY.test(key)) throw invalidTags(name, `expected the key of a tag to be ${TAG_KEY_IN_WORDS}, got ${quoted(key)}`);
    if (typeof value !== 'string' || !TAG_VALUE.test(value)) {
      throw invalidTags(name, `expected the value of the tag ${key} to be ${TAG_VALUE_IN_WORDS}, got ${quoted(value)}`);
    }
    length += key.length + value.length;
  }
  if (length > MAX_TAGS_LENGTH) throw invalidTags(name, `expected the keys and values of all tags to have at most ${MAX_TAGS_LENGTH} characters together, got ${length}`);
  return entries.length === 0 ? null : sortedTags(/** @type {Record<string, string>} */ (given));
}

/**
 * @param {string} parameter
 * @param {string} sentence
 */
function invalidTags(parameter, sentence) {
  return new Refusal('invalid_parameter', sentence, { extras: { parameter } });
}
