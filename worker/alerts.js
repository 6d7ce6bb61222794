/**
 * Alerts compare numbers with limits of the stack's settings, once a minute, started by the cron trigger. An alert fires when its value has stayed at
 * the limit for long enough. It is resolved when the value has fallen far enough below the limit. Both changes are posted to a URL. A note stores
 * which alerts fire and which posts are waiting. It is written before anything is sent, so that an interrupted post is sent again with the same id.
 *
 * The cron run sends the posts itself, not a task: a task would wait in the very backlog that it reports.
 */

import { isStoreError } from './stores/store_error.js';
import { MINUTE_MS, RECENT_MINUTES } from './stores/tally.js';
import { postAlerts } from './alert_post.js';

/** @import { Backlog, Engine } from './engines/engine.js' */
/** @import { Fill, Statistics, Store } from './stores/store.js' */

/** What an alert measures; see `docs/alerts.md`. @typedef {'backlog_age_seconds' | 'dead_letters' | 'failure_percent' | 'database_percent'} AlertName */

/**
 * The stack's settings. `limits` has the alerts that are set. `resolve_percent`: below which part of its limit an alert is resolved;
 * `remind_seconds`: 0 means no reminders; `worker`: the Worker's name, by which receivers distinguish stacks.
 *
 * @typedef {object} AlertSettings
 * @property {string} worker
 * @property {string} url
 * @property {Partial<Record<AlertName, number>>} limits
 * @property {number} failure_minutes how many minutes back failures are counted
 * @property {number} failure_min_tasks how many runs must have ended in those minutes
 * @property {number} hold_seconds
 * @property {number} resolve_percent
 * @property {number} remind_seconds
 */

/** An alert that has been at its limit since a Unix time. `fired_ms` is null while that is not long enough. `episode` is a new id each time; `told_ms`
 * is the time of the last post, and `reminders` the number of posts after the first.
 *
 * @typedef {{episode: string, since_ms: number, fired_ms: number | null, told_ms: number | null, reminders: number}} Episode
 */

/** A post to be sent. `value` null: the alert is no longer set.
 * @typedef {{id: string, state: 'firing' | 'resolved', alert: string, value: number | null, limit: number | null, since_ms: number, at_ms: number}} Post */

/** The contents of the note. @typedef {{episodes: Partial<Record<string, Episode>>, posts: Post[]}} KeptAlerts */

/** The measurements; null: the source did not answer.
 * @typedef {{told: Statistics | null, backlogs: {backlog: Backlog, deadLetters: Backlog} | null, databases: Fill[] | null}} Figures */

/** The part of the environment that alerts read. @typedef {{ALERTS?: string, HTTP_ALLOWED_HOSTS?: string, CALLBACK_SECRETS?: string}} AlertEnvironment */

/** In the order in which alerts are shown. @type {readonly AlertName[]} */
export const ALERT_NAMES = ['backlog_age_seconds', 'dead_letters', 'failure_percent', 'database_percent'];

/** The name of the note. There is no note while no alert is at its limit. */
export const ALERTS_NOTE = 'alerts';

/** How long a post is retried, and the most posts that may wait. Beyond that, the oldest is dropped. */
const POST_TTL_MS = 86_400_000;
const MAX_POSTS = 20;

/**
 * @param {AlertEnvironment} env
 * @returns {AlertSettings | null} the settings; null if no alerts are set
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
 * @returns {string[]} the names of the alerts that fire
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
 * @param {Store} store the whole store
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
  // If this write is lost, or another sweep was faster, the posts are sent again; receivers recognise them by their ids.
  await store.changeNote(ALERTS_NOTE, note, textOf(left));
}

/**
 * @param {KeptAlerts} kept
 * @returns {string | null} the note's text; null if there is nothing to store
 */
function textOf(kept) {
  return Object.keys(kept.episodes).length === 0 && kept.posts.length === 0 ? null : JSON.stringify(kept);
}

/**
 * Measures what the set alerts need. A source that does not answer does not affect the other measurements.
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
 * @returns {Map<AlertName, number | null>} the value of each alert that is set; null if its source did not answer
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
 * @returns {number} the percentage of failed runs among those that ended in the last minutes; 0 if too few ended
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
 * @returns {number} the alert is resolved when its value is below this
 */
export function resolvesBelow({ limits, resolve_percent }, name) {
  return Number(limits[name]) * resolve_percent / 100;
}

/**
 * @param {KeptAlerts} kept
 * @param {AlertSettings} settings
 * @param {ReadonlyMap<AlertName, number | null>} values the values of the alerts that are set; null leaves the alert unchanged
 * @param {number} now_ms
 * @returns {KeptAlerts} the new state, with the posts to be sent
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
    delete episodes[alert]; // the alert is no longer set
    if (episode.fired_ms !== null) {
      posts.push({ id: `alert-${episode.episode}-resolved`, state: 'resolved', alert, value: null, limit: null, since_ms: episode.since_ms, at_ms: now_ms });
    }
  }
  return { episodes, posts: bounded([...kept.posts, ...posts], now_ms) };
}

/**
 * @param {Post[]} posts the posts, oldest first
 * @param {number} now_ms
 */
function bounded(posts, now_ms) {
  const left = posts.filter(({ at_ms }) => now_ms - at_ms < POST_TTL_MS).slice(-MAX_POSTS);
  const lost = posts.filter((post) => !left.includes(post));
  if (lost.length > 0) console.error('alerts were not told: nobody has taken them for too long, or too many wait', { ids: lost.map(({ id }) => id) });
  return left;
}
