/**
 * Alerts: numbers that are held against limits of the stack's settings, once a minute by the cron. One that has reached its limit for long
 * enough fires, which is told to a URL; one that has fallen far enough below it is resolved, which is told as well. A note has which fire,
 * and what is still to be told: it is written before anything is sent, so that whatever is cut off is sent again, by the same id.
 *
 * They are told by the cron itself and not by tasks: a task would wait in the very backlog that it tells of.
 */

import { isStoreError } from './stores/store_error.js';
import { MINUTE_MS, RECENT_MINUTES } from './stores/tally.js';
import { postAlerts } from './alert_post.js';

/** @import { Backlog, Engine } from './engines/engine.js' */
/** @import { Fill, Statistics, Store } from './stores/store.js' */

/** What is measured; see `docs/alerts.md`. @typedef {'backlog_age_seconds' | 'dead_letters' | 'failure_percent' | 'database_percent'} AlertName */

/**
 * The stack's settings. `limits` has those alerts that are set. `resolve_percent`: below which part of its limit one is resolved;
 * `remind_seconds`: 0 for never; `worker`: the Worker's name, by which receivers tell stacks apart.
 *
 * @typedef {object} AlertSettings
 * @property {string} worker
 * @property {string} url
 * @property {Partial<Record<AlertName, number>>} limits
 * @property {number} failure_minutes how far back failures are counted
 * @property {number} failure_min_tasks how many runs must have ended in that time
 * @property {number} hold_seconds
 * @property {number} resolve_percent
 * @property {number} remind_seconds
 */

/** One that has reached its limit, since a Unix time; `fired_ms` null: not for long enough yet. `episode` is another one each time; `told_ms` is when it was
 * told last, for the `reminders`-th time beside the first.
 *
 * @typedef {{episode: string, since_ms: number, fired_ms: number | null, told_ms: number | null, reminders: number}} Episode
 */

/** What is to be told; `value` null: the alert is not set any more. @typedef {{id: string, state: 'firing' | 'resolved', alert: string, value: number | null, limit: number | null, since_ms: number, at_ms: number}} Post */

/** What the note has. @typedef {{episodes: Partial<Record<string, Episode>>, posts: Post[]}} KeptAlerts */

/** What numbers are made of; null: it did not tell. @typedef {{told: Statistics | null, backlogs: {backlog: Backlog, deadLetters: Backlog} | null, databases: Fill[] | null}} Figures */

/** The environment, so far as alerts read it. @typedef {{ALERTS?: string, HTTP_ALLOWED_HOSTS?: string, CALLBACK_SECRETS?: string}} AlertEnvironment */

/** In the order in which they are shown. @type {readonly AlertName[]} */
export const ALERT_NAMES = ['backlog_age_seconds', 'dead_letters', 'failure_percent', 'database_percent'];

/** The note that has them; there is none while nothing has reached its limit. */
export const ALERTS_NOTE = 'alerts';

/** How long something is tried to be told, and how many things wait for it at most: past that the oldest is given up. */
const POST_TTL_MS = 86_400_000;
const MAX_POSTS = 20;

/**
 * @param {AlertEnvironment} env
 * @returns {AlertSettings | null} null: there are none
 */
export function alertSettings({ ALERTS }) {
  return ALERTS === undefined ? null : JSON.parse(ALERTS);
}

/**
 * @param {Pick<Store, 'note'>} store
 * @returns {Promise<KeptAlerts>}
 */
export async function keptAlerts(store) {
  return parsed(await store.note(ALERTS_NOTE));
}

/**
 * @param {KeptAlerts} kept
 * @returns {string[]} the names of those that fire
 */
export function firingAlerts({ episodes }) {
  return ALERT_NAMES.filter((name) => (episodes[name]?.fired_ms ?? null) !== null);
}

/**
 * @param {string | null} note
 * @returns {KeptAlerts}
 */
function parsed(note) {
  return note === null ? { episodes: {}, posts: [] } : JSON.parse(note);
}

/**
 * @param {Store} store all of it
 * @param {Engine} engine
 * @param {AlertEnvironment} env
 */
export async function checkAlerts(store, engine, env) {
  const settings = alertSettings(env);
  if (!settings) return;
  const figures = await measure(settings, store, engine);
  const now_ms = Date.now();
  let note = await store.note(ALERTS_NOTE);
  const kept = parsed(note);
  const next = stepped(kept, settings, valuesOf(settings, figures, engine.hasQueues, now_ms), now_ms);
  const text = textOf(next);
  if (text !== textOf(kept)) {
    if (!await store.changeNote(ALERTS_NOTE, note, text)) return; // another sweep does it
    note = text;
  }
  if (next.posts.length === 0) return;
  const sent = await postAlerts(next.posts, settings, env);
  if (sent.size === 0) return;
  const left = { ...next, posts: next.posts.filter(({ id }) => !sent.has(id)) };
  // Where that is lost, or another one was faster, they are sent again: their ids tell.
  await store.changeNote(ALERTS_NOTE, note, textOf(left));
}

/**
 * @param {KeptAlerts} kept
 * @returns {string | null} null: there is nothing to remember
 */
function textOf(kept) {
  return Object.keys(kept.episodes).length === 0 && kept.posts.length === 0 ? null : JSON.stringify(kept);
}

/**
 * Asks for what the alerts that are set need. What does not answer hides nothing of the rest.
 *
 * @param {AlertSettings} settings
 * @param {Store} store
 * @param {Engine} engine
 * @returns {Promise<Figures>}
 */
async function measure({ limits }, store, engine) {
  const needsCounts = 'failure_percent' in limits || ('dead_letters' in limits && !engine.hasQueues);
  const needsQueues = 'backlog_age_seconds' in limits || ('dead_letters' in limits && engine.hasQueues);
  const [told, backlogs, databases] = await Promise.all([
    needsCounts ? orNull('counts', () => store.statistics()) : null,
    needsQueues ? orNull('backlogs', () => engine.backlogs()) : null,
    'database_percent' in limits ? orNull('sizes', () => store.fill()) : null,
  ]);
  return { told, backlogs, databases };
}

/**
 * @template Answer
 * @param {string} what
 * @param {() => Promise<Answer>} ask
 * @returns {Promise<Answer | null>}
 */
async function orNull(what, ask) {
  try {
    return await ask();
  } catch (error) {
    console.warn('alerts could not be checked in part; the next sweep does', { what, error: isStoreError(error) ? String(error) : String(/** @type {any} */ (error)?.stack ?? error) });
    return null;
  }
}

/**
 * @param {AlertSettings} settings
 * @param {Figures} figures
 * @param {boolean} hasQueues
 * @param {number} now_ms
 * @returns {Map<AlertName, number | null>} of each alert that is set; null: what would tell did not
 */
export function valuesOf(settings, { told, backlogs, databases }, hasQueues, now_ms) {
  /** @type {Record<AlertName, () => number | null>} */
  const values = {
    backlog_age_seconds: () => backlogs && (backlogs.backlog.oldest_ms === null ? 0 : Math.max(0, Math.floor((now_ms - backlogs.backlog.oldest_ms) / 1000))),
    dead_letters: () => (hasQueues ? backlogs && backlogs.deadLetters.count : told && told.counts.failed),
    failure_percent: () => told && failurePercent(told, settings, now_ms),
    database_percent: () => databases && Math.max(0, ...databases.map(({ bytes, limit_bytes }) => rounded(bytes / limit_bytes * 100))),
  };
  return new Map(ALERT_NAMES.filter((name) => name in settings.limits).map((name) => [name, values[name]()]));
}

/**
 * @param {Statistics} told
 * @param {AlertSettings} settings
 * @param {number} now_ms
 * @returns {number} of the runs that have ended in the last minutes; 0 where there were too few
 */
function failurePercent({ minutes }, { failure_minutes, failure_min_tasks }, now_ms) {
  const first = Math.floor(now_ms / MINUTE_MS) - Math.min(failure_minutes, RECENT_MINUTES) + 1;
  let failed = 0;
  let ended = 0;
  for (const [minute, counts] of Object.entries(minutes)) {
    if (Number(minute) < first) continue;
    failed += counts.failed;
    ended += counts.failed + counts.completed;
  }
  return ended === 0 || ended < failure_min_tasks ? 0 : rounded(failed / ended * 100);
}

/** @param {number} percent */
function rounded(percent) {
  return Math.round(percent * 10) / 10;
}

/**
 * @param {AlertSettings} settings
 * @param {AlertName} name
 * @returns {number} what its value must fall below to resolve it
 */
export function resolvesBelow({ limits, resolve_percent }, name) {
  return Number(limits[name]) * resolve_percent / 100;
}

/**
 * @param {KeptAlerts} kept
 * @param {AlertSettings} settings
 * @param {ReadonlyMap<AlertName, number | null>} values of the alerts that are set; null leaves one as it is
 * @param {number} now_ms
 * @returns {KeptAlerts} as it is now, with what is to be told
 */
export function stepped(kept, settings, values, now_ms) {
  const episodes = { ...kept.episodes };
  /** @type {Post[]} */
  const posts = [];
  for (const [alert, value] of values) {
    if (value === null) continue;
    const limit = Number(settings.limits[alert]);
    const post = (/** @type {Post['state']} */ state, /** @type {Episode} */ { episode, since_ms }, suffix = '') => (
      posts.push({ id: `alert-${episode}-${state}${suffix}`, state, alert, value, limit, since_ms, at_ms: now_ms })
    );
    const before = episodes[alert];
    if (before === undefined || before.fired_ms === null) {
      if (value < limit) {
        delete episodes[alert];
        continue;
      }
      const episode = before ?? { episode: crypto.randomUUID(), since_ms: now_ms, fired_ms: null, told_ms: null, reminders: 0 };
      const isHeld = now_ms - episode.since_ms >= settings.hold_seconds * 1000;
      episodes[alert] = isHeld ? { ...episode, fired_ms: now_ms, told_ms: now_ms } : episode;
      if (isHeld) post('firing', episode);
    } else if (value < resolvesBelow(settings, alert)) {
      delete episodes[alert];
      post('resolved', before);
    } else if (settings.remind_seconds > 0 && now_ms - Number(before.told_ms) >= settings.remind_seconds * 1000) {
      const reminders = before.reminders + 1;
      episodes[alert] = { ...before, told_ms: now_ms, reminders };
      post('firing', before, `-${reminders}`);
    }
  }
  for (const [alert, episode] of Object.entries(episodes)) {
    if (episode === undefined || values.has(/** @type {AlertName} */ (alert))) continue;
    delete episodes[alert]; // it is not set any more
    if (episode.fired_ms !== null) {
      posts.push({ id: `alert-${episode.episode}-resolved`, state: 'resolved', alert, value: null, limit: null, since_ms: episode.since_ms, at_ms: now_ms });
    }
  }
  return { episodes, posts: bounded([...kept.posts, ...posts], now_ms) };
}

/**
 * @param {Post[]} posts oldest first
 * @param {number} now_ms
 */
function bounded(posts, now_ms) {
  const left = posts.filter(({ at_ms }) => now_ms - at_ms < POST_TTL_MS).slice(-MAX_POSTS);
  const lost = posts.filter((post) => !left.includes(post));
  if (lost.length > 0) console.error('alerts were not told: nobody has taken them for too long, or too many wait', { ids: lost.map(({ id }) => id) });
  return left;
}
