/** The context that a handler receives for an attempt. */

import { webhookHeaders } from './signature.js';
import { bounded } from './text.js';

/** @import { Cancellation } from './cancellation.js' */
/** @import { Context } from './handler.js' */
/** @import { OtherTasks } from './other_tasks.js' */
/** @import { Steps } from './steps.js' */
/** @import { Journal, Level } from './story.js' */
/** @import { ClaimedTask, Payload, Progress } from './task.js' */

/** The longest note of a progress report, in UTF-16 code units. */
const MAX_NOTE_LENGTH = 200;

/** The bindings that handlers see, by environment; all tasks of an invocation have the same one. @type {WeakMap<object, Readonly<Record<string, any>>>} */
const BINDINGS = new WeakMap();

/**
 * @param {ClaimedTask} task
 * @param {any} env the Worker's environment
 * @param {Cancellation} cancellation
 * @param {(progress: Progress) => void} tell
 * @param {Pick<Steps, 'step' | 'sleep' | 'waitForEvent'>} steps
 * @param {Pick<Journal, 'log'>} journal stores what is logged
 * @param {Pick<OtherTasks, 'submit' | 'dependencies'>} others
 * @returns {Context}
 */
export function contextOf({ taskId, handler, attempts, parameters, parent, after }, env, cancellation, tell, steps, journal, others) {
  /** @param {Level} level */
  const logAt = (level) => (/** @type {string} */ message, /** @type {Record<string, unknown>} */ fields = {}) => {
    console[level](message, { taskId, handler, attempt: attempts, ...fields });
    journal.log(level, message, fields);
  };
  return {
    taskId,
    attempt: attempts,
    get signal() {
      return cancellation.signal;
    },
    parameters,
    callback: parent ? { parent, headers: (/** @type {Payload} */ payload) => (
      webhookHeaders(env.CALLBACK_SECRETS ?? '[]', { id: taskId, timestamp: Math.floor(Date.now() / 1000), payload })
    ) } : null,
    bindings: bindingsOf(env),
    progress: (percent, note) => tell(checkedProgress(percent, note)),
    step: (/** @type {string} */ name, /** @type {any[]} */ ...rest) => (
      typeof rest[0] === 'function' ? steps.step(name, {}, rest[0]) : steps.step(name, rest[0] ?? {}, rest[1])
    ),
    sleep: (name, seconds) => steps.sleep(name, seconds),
    submit: (task) => others.submit(task),
    after: after ?? null,
    dependencies: (taskIds) => others.dependencies(taskIds),
    waitForEvent: (name, options) => steps.waitForEvent(name, options),
    log: { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') },
  };
}

/**
 * @param {any} env the Worker's environment
 * @returns {Readonly<Record<string, any>>} the bindings that a handler may see: all except the API's tokens, the secrets of callbacks and the token
 *   of Cloudflare's API
 */
export function bindingsOf(env) {
  const known = BINDINGS.get(env);
  if (known) return known;
  const { API_TOKENS: _, CALLBACK_SECRETS: __, DEAD_LETTER_API_TOKEN: ___, ...bindings } = env;
  BINDINGS.set(env, Object.freeze(bindings));
  return bindings;
}

/**
 * @param {unknown} percent
 * @param {unknown} note
 * @returns {Progress}
 * @throws {TypeError | RangeError} the progress is invalid
 */
function checkedProgress(percent, note = null) {
  if (typeof percent !== 'number') throw new TypeError(`expected percent to be a number, got ${typeName(percent)}`);
  if (!(percent >= 0 && percent <= 100)) throw new RangeError(`expected percent to be from 0 to 100, got ${percent}`);
  if (note === null) return { percent, note };
  if (typeof note !== 'string') throw new TypeError(`expected note to be a string, got ${typeName(note)}`);
  if (note.length > MAX_NOTE_LENGTH) throw new RangeError(`expected note to have at most ${MAX_NOTE_LENGTH} characters, got ${note.length}`);
  return { percent, note: bounded(note, MAX_NOTE_LENGTH) };
}

/** @param {unknown} value */
function typeName(value) {
  return value === null ? 'null' : typeof value;
}
