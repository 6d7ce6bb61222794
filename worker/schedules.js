/**
 * Schedules: each submits a task at every tick of a cron expression or of an interval. The id of the task is computed from the schedule's name and
 * the time of the tick, so that a tick makes one task, however many sweeps handle it.
 */

import { Cron } from 'croner';

import { sha256Hex } from './digest.js';
import { endingOf } from './group.js';
import { withPriority } from './priority.js';
import { ENDED } from './task.js';
import { timePrefix } from './task_id.js';

/** @import { Callback } from './callback.js' */
/** @import { Engine } from './engines/engine.js' */
/** @import { Insertion, KeptSchedule, Store } from './stores/store.js' */
/** @import { Group } from './group.js' */
/** @import { Tags } from './tags.js' */
/** @import { OwnPriority } from './priority.js' */
/** @import { NewTask, Parameters } from './task.js' */

/** When a schedule ticks: one of the two. @typedef {{cron: string | null, timezone: string, every_seconds: number | null}} Timing */

/** The task made at a tick. A payload that is not text is in base64; `group` is the name of a group.
 *
 * @typedef {{handler: string, parameters: Parameters, payload: string, is_base64: boolean, delay_seconds: number, ttl_seconds: number | null,
 *   max_retries: number | null, callback: Callback | null, group?: string | null, tags?: Tags, priority?: OwnPriority}} TaskOfTick
 */

/** The definition of a schedule. @typedef {Timing & {overlap: 'skip' | 'allow', missed: 'skip' | 'last' | 'all', task: TaskOfTick}} Definition */

/**
 * A schedule as it is stored. `declared`: the fields, as JSON, by which the stack declares it; missing for one made by the API. `runs` are the last
 * ones, oldest first. Times are Unix times in milliseconds.
 *
 * @typedef {Definition & {declared?: string, paused: boolean, next_ms: number | null, runs: {taskId: string, tick_ms: number}[]}} Schedule
 */

/** How many runs a schedule remembers. */
const KEPT_RUNS = 10;

/** A tick found later than this was missed: sweeps run every minute, and may be slow. */
const ON_TIME_MS = 120_000;

/** The most missed ticks that `all` makes up for: the latest ones. */
export const MAX_MISSED_TICKS = 100;

/** How many ticks are examined one by one; after an outage with more of them, only those of the last day. */
const WALKED_TICKS = 2_000;
const DAY_MS = 86_400_000;

/** The last digits of ticks' ids: schedules are in the first shard, and so are their tasks, except those of a group, which are in the group's shard. */
const FIRST_SHARD = '00';

/**
 * An interval's ticks are its multiples since 1970, so that an edit does not move them. At a change to summer time, a cron expression that names a
 * skipped time ticks at the end of the skipped hour. In the repeated hour it ticks only the first time, unless its hour is `*`.
 *
 * @param {Timing} timing
 * @param {number} after_ms
 * @returns {number | null} the next tick; null if there is none any more
 */
export function nextTick({ cron, timezone, every_seconds }, after_ms) {
  if (cron !== null) return cronOf(cron, timezone).nextRun(new Date(after_ms))?.getTime() ?? null;
  const every_ms = Number(every_seconds) * 1000;
  return (Math.floor(after_ms / every_ms) + 1) * every_ms;
}

/**
 * @param {string} cron five fields
 * @param {string} timezone
 * @throws {TypeError | RangeError} the text is not a cron expression
 */
function cronOf(cron, timezone) {
  return new Cron(cron, { timezone, mode: '5-part', paused: true });
}

/**
 * Gives a schedule a new definition. It keeps its past runs and its pause. The next tick is in the future, unless the timing is unchanged.
 *
 * @param {Schedule | null} before null: a new schedule
 * @param {Definition} definition
 * @param {number} now_ms
 * @returns {Schedule}
 */
export function redefined(before, definition, now_ms) {
  const { runs = [], paused = false } = before ?? {};
  const isSameTiming = before && before.cron === definition.cron && before.timezone === definition.timezone && before.every_seconds === definition.every_seconds;
  const next_ms = isSameTiming ? before.next_ms : paused ? null : nextTick(definition, now_ms);
  return { ...definition, runs, paused, next_ms };
}

/**
 * @param {string} name
 * @param {number} tick_ms
 * @param {string | null} [group]
 * @returns {Promise<string>} a UUID of version 7 with the tick's time
 */
export async function tickTaskId(name, tick_ms, group = null) {
  const ending = group === null ? FIRST_SHARD : await endingOf(group);
  const hash = await sha256Hex(`${name}\n${tick_ms}`);
  return `${timePrefix(tick_ms)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 16)}${ending}`;
}

/**
 * Returns the ticks that make tasks now: all that are on time, and missed ones according to the schedule. A schedule whose tasks must not overlap
 * makes at most one.
 *
 * @param {Schedule} schedule a schedule that is due
 * @param {number} now_ms
 * @returns {number[]} the ticks, oldest first
 */
export function dueTicks(schedule, now_ms) {
  const due = ticksBetween(schedule, Number(schedule.next_ms), now_ms);
  const onTime = due.filter((tick_ms) => tick_ms >= now_ms - ON_TIME_MS);
  const missed = due.slice(0, due.length - onTime.length);
  const chosen = schedule.missed === 'all' ? [...missed.slice(-MAX_MISSED_TICKS), ...onTime]
    : schedule.missed === 'last' && onTime.length === 0 ? missed.slice(-1) : onTime;
  return schedule.overlap === 'skip' ? chosen.slice(-1) : chosen;
}

/**
 * @param {Timing} timing
 * @param {number} first_ms a tick
 * @param {number} last_ms
 * @returns {number[]} the ticks; only the latest if there are very many
 */
function ticksBetween(timing, first_ms, last_ms) {
  const ticks = [];
  for (let tick = /** @type {number | null} */ (first_ms); tick !== null && tick <= last_ms; tick = nextTick(timing, tick)) {
    ticks.push(tick);
    if (ticks.length === WALKED_TICKS && tick < last_ms - DAY_MS) {
      const first = nextTick(timing, last_ms - DAY_MS);
      return first === null ? ticks : ticksBetween(timing, first, last_ms);
    }
  }
  return ticks;
}

/** What tasks with a group need: the group's limits, and the store of all tasks, if the schedules' store is only a part of it.
 *
 * @typedef {{groupOf?: (name: string) => Group, all?: Store}} Grouping
 */

/**
 * Submits the tasks of due schedules.
 *
 * @param {Store} store
 * @param {Engine} engine
 * @param {KeptSchedule[]} schedules
 * @param {Grouping} grouping
 */
export async function runSchedules(store, engine, schedules, grouping) {
  for (const kept of schedules) {
    try {
      await runSchedule(store, engine, kept, Date.now(), grouping);
    } catch (error) {
      console.error('a schedule could not be run; the next sweep tries again', { schedule: kept.name, error: String(error) });
    }
  }
}

/**
 * Stores the tasks first, then moves the schedule on. If this is interrupted in between, it is repeated and finds the tasks.
 *
 * @param {Store} store
 * @param {Engine} engine
 * @param {KeptSchedule} kept
 * @param {number} now_ms
 * @param {Grouping} [grouping]
 */
export async function runSchedule(store, engine, { name, schedule: text }, now_ms, { groupOf, all = store } = {}) {
  /** @type {Schedule} */
  const schedule = JSON.parse(text);
  if (schedule.paused || schedule.next_ms === null || schedule.next_ms > now_ms) return;
  const home = schedule.task.group ? all : store;
  const isBusy = schedule.overlap === 'skip' && await isRunning(schedule, home, all);
  const tasks = isBusy ? [] : await Promise.all(dueTicks(schedule, now_ms).map((tick_ms) => taskOf(name, schedule, { tick_ms, now_ms, groupOf })));
  if (isBusy) console.log('a tick was left out, because the task of the last one has not ended', { schedule: name });
  const insertions = tasks.length > 0 ? await home.insert(tasks.map(({ task }) => task)) : [];
  const failed = insertions.find((insertion) => insertion instanceof Error);
  if (failed) throw failed;
  const runs = [...schedule.runs, ...tasks.map(({ task: { taskId }, tick_ms }) => ({ taskId, tick_ms }))].slice(-KEPT_RUNS);
  await store.changeSchedule(name, text, JSON.stringify({ ...schedule, runs, next_ms: nextTick(schedule, now_ms) }));
  if (tasks.length === 0) return;
  const { delay_seconds, max_retries, priority } = schedule.task;
  const ready = tasks.flatMap(({ task: { taskId } }, index) => {
    const { isHeld, follows = [] } = /** @type {Insertion} */ (insertions[index]);
    return [...(isHeld ? [] : [{ taskId, run: 1, delay_seconds, max_retries, ...withPriority(priority) }]), ...follows];
  });
  await engine.submit(ready).catch((error) => {
    console.error('tasks of a schedule are stored, but not sent; the sweeper sends them', { schedule: name, error: String(error) });
  });
}

/**
 * @param {Schedule} schedule
 * @param {Store} home
 * @param {Store} all the whole store, where its last task is if the schedule was moved from a former store
 * @returns {Promise<boolean>} whether its last task has not ended
 */
async function isRunning({ runs, next_ms }, home, all) {
  const last = runs.at(-1);
  if (!last || last.tick_ms >= Number(next_ms)) return false;
  const task = await home.find(last.taskId) ?? (home === all ? null : await all.find(last.taskId));
  return task !== null && !ENDED.has(task.status);
}

/**
 * The id has the tick's time, and the delay and the time to live are counted from then. A tick that is made up for counts from now.
 *
 * @param {string} name
 * @param {Schedule} schedule
 * @param {{tick_ms: number, now_ms: number, groupOf: Grouping['groupOf']}} tick
 * @returns {Promise<{task: NewTask, tick_ms: number}>}
 */
async function taskOf(name, { task: { is_base64, payload, delay_seconds, group = null, ...task } }, { tick_ms, now_ms, groupOf }) {
  const late_seconds = Math.floor((now_ms - tick_ms) / 1000);
  return {
    tick_ms,
    task: {
      ...task, taskId: await tickTaskId(name, tick_ms, group), idempotency: null, mayBeThere: true,
      group: group !== null && groupOf ? groupOf(group) : null,
      payload: is_base64 ? Uint8Array.fromBase64(payload) : payload,
      delay_seconds: delay_seconds + late_seconds,
    },
  };
}
