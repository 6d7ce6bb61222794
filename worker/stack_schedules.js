/**
 * Schedules of the stack: its settings declare them, a binding passes them to the Worker, and a sweep changes the stored ones to match. The newest
 * version of the Worker that has swept decides, so that during a gradual rollout the older version does not undo its changes.
 */

import { Refusal } from './api/reply.js';
import { MAX_SCHEDULES, readSchedule, requireScheduleName } from './api/schedules.js';
import { redefined } from './schedules.js';

/** @import { Call } from './api/router.js' */
/** @import { Schedule } from './schedules.js' */
/** @import { KeptSchedule, Store } from './stores/store.js' */

/** What is needed to read a definition. @typedef {Pick<Call, 'env' | 'handlers' | 'Validator'>} Reading */

/** A declared schedule that was refused, and the reason. @typedef {{name: string, error: string}} RefusedSchedule */

/**
 * What was last applied: the declaration of the Worker's version that was uploaded at a Unix time.
 *
 * @typedef {{version_ms: number, declared: string, refused: RefusedSchedule[]}} Settled
 */

/** The name of the note with what was last applied. */
const NOTE = 'stack-schedules';

/** An empty declaration. */
const NONE = '[]';

/**
 * Creates, changes and deletes the stack's schedules. It does so if the stored ones differ from the declared ones, and once for each version of the
 * Worker, because its handlers and defaults may differ.
 *
 * @param {Store} store
 * @param {Reading} reading
 * @param {object} known
 * @param {KeptSchedule[] | null} known.swept the schedules that this sweep has read; null: none were read
 * @param {boolean} known.isWhole whether the store is complete; an object passes what it has, and the first schedules are passed to it
 */
export async function keepStackSchedules(store, reading, { swept, isWhole }) {
  const { SCHEDULES: declared = NONE, CF_VERSION_METADATA } = reading.env;
  if (declared === NONE && swept !== null && declarations(swept).size === 0) return;
  const note = await store.note(NOTE);
  if (note === null && !isWhole) return;
  /** @type {Settled} */
  const last = note === null ? { version_ms: -1, declared: NONE, refused: [] } : JSON.parse(note);
  const version_ms = Date.parse(CF_VERSION_METADATA?.timestamp ?? '') || 0;
  const wanted = new Map(JSON.parse(declared).map((/** @type {Record<string, unknown>} */ { name, ...fields }) => [String(name), JSON.stringify(fields)]));
  const isAsDeclared = swept === null ? last.declared === declared : isSame(declarations(swept), wanted);
  if (version_ms < last.version_ms || (version_ms === last.version_ms && last.refused.length === 0 && isAsDeclared)) return;
  const refused = await settle(store, reading, wanted);
  const settled = JSON.stringify(/** @type {Settled} */ ({ version_ms, declared, refused }));
  if (settled !== note) await store.changeNote(NOTE, note, settled);
}

/**
 * @param {Store} store
 * @param {Reading['env']} env
 * @returns {Promise<RefusedSchedule[]>} the refused schedules as of the last sweep
 */
export async function refusedSchedules(store, { SCHEDULES }) {
  if (SCHEDULES === undefined) return [];
  const note = await store.note(NOTE);
  return note === null ? [] : /** @type {Settled} */ (JSON.parse(note)).refused;
}

/**
 * @param {Store} store
 * @param {Reading} reading
 * @param {Map<string, string>} wanted the fields of each, as JSON, by name
 * @returns {Promise<RefusedSchedule[]>}
 */
async function settle(store, reading, wanted) {
  const schedules = await store.schedules();
  const kept = new Map(schedules.map(({ name, schedule }) => [name, schedule]));
  for (const name of declarations(schedules).keys()) {
    if (wanted.has(name)) continue;
    await change(store, name, kept.get(name) ?? null, null);
    kept.delete(name);
  }
  /** @type {RefusedSchedule[]} */
  const refused = [];
  for (const [name, declared] of wanted) {
    const before = kept.get(name) ?? null;
    try {
      const after = await declaredAs(name, declared, before, kept.size, { ...reading, store });
      if (after !== before) await change(store, name, before, after);
      kept.set(name, after);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      console.error('a schedule of the stack is refused', { schedule: name, error: error.message });
      refused.push({ name, error: error.message });
    }
  }
  return refused;
}

/**
 * @param {string} name
 * @param {string} declared
 * @param {string | null} before the present schedule of that name
 * @param {number} count the number of schedules
 * @param {Reading & {store: Store}} reading
 * @returns {Promise<string>}
 * @throws {Refusal}
 */
async function declaredAs(name, declared, before, count, reading) {
  requireScheduleName(name);
  const found = /** @type {Schedule | null} */ (JSON.parse(before ?? 'null'));
  if (found && found.declared === undefined) {
    throw new Refusal('schedule_of_stack', 'there is a schedule of this name that the API has made: delete it, and within a minute that of the stack takes its place');
  }
  if (!found && count >= MAX_SCHEDULES) {
    throw new Refusal('too_many_schedules', `expected at most ${MAX_SCHEDULES} schedules, got another one: delete one that is not needed`);
  }
  return JSON.stringify({ declared, ...redefined(found, await readSchedule(JSON.parse(declared), reading), Date.now()) });
}

/**
 * @param {Store} store
 * @param {string} name
 * @param {string | null} before
 * @param {string | null} after
 * @throws {Error} it was changed concurrently; the next sweep does the rest
 */
async function change(store, name, before, after) {
  if (!await store.changeSchedule(name, before, after)) throw new Error(`schedule ${name} has changed meanwhile`);
}

/**
 * @param {KeptSchedule[]} schedules
 * @returns {Map<string, string>} the declarations of the stack's stored schedules, by name
 */
function declarations(schedules) {
  return new Map(schedules.flatMap(({ name, schedule }) => {
    const { declared } = /** @type {Schedule} */ (JSON.parse(schedule));
    return declared === undefined ? [] : [[name, declared]];
  }));
}

/**
 * @param {Map<string, string>} one
 * @param {Map<string, string>} other
 */
function isSame(one, other) {
  return one.size === other.size && [...one].every(([name, text]) => other.get(name) === text);
}
