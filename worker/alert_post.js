/** Posts alerts to a URL in the form of Standard Webhooks (https://www.standardwebhooks.com/), signed as callbacks are. */

import { readUrl } from './handlers/_delivery.js';
import { webhookHeaders } from './signature.js';

/** @import { AlertEnvironment, AlertName, AlertSettings, Post } from './alerts.js' */

/** How long one post may take. All of them are sent concurrently, before the sweep goes on. */
const TIMEOUT_MS = 10_000;

/** @type {Readonly<Record<AlertName, (value: number) => string>>} */
const SENTENCES = {
  backlog_age_seconds: (value) => `the oldest message has been in the queue for ${value} seconds`,
  dead_letters: (value) => `there are ${value} dead letters, or failed tasks where there is no queue`,
  failure_percent: (value) => `${value} percent of the tasks that have ended in the last minutes have failed`,
  database_percent: (value) => `${value} percent of a database's limit are in use`,
};

/**
 * Sends the waiting posts. A later post of the same alert is sent only after the earlier one was delivered, so that a receiver does not take a
 * resolved alert for one that fires.
 *
 * @param {Post[]} posts the posts, oldest first
 * @param {AlertSettings} settings
 * @param {AlertEnvironment} env
 * @returns {Promise<Set<string>>} the ids of the delivered posts; failures of the others are logged
 */
export async function postAlerts(posts, settings, env) {
  /** @type {Set<string>} */
  const sent = new Set();
  await Promise.all([...Map.groupBy(posts, ({ alert }) => alert).values()].map(async (own) => {
    const end_ms = Date.now() + TIMEOUT_MS;
    for (const post of own) {
      try {
        await send(post, settings, env, end_ms - Date.now());
        sent.add(post.id);
      } catch (error) {
        console.error('an alert could not be posted; the next sweep tries again', { alert: post.alert, state: post.state, id: post.id, error: String(error) });
        return;
      }
    }
  }));
  return sent;
}

/**
 * @param {Post} post
 * @param {AlertSettings} settings
 * @param {AlertEnvironment} env
 * @param {number} time_ms
 * @throws {Error} the receiver refused the post, or its host is not allowed
 */
async function send(post, { url: text, worker }, { HTTP_ALLOWED_HOSTS, CALLBACK_SECRETS = '[]' }, time_ms) {
  const url = readUrl(text, HTTP_ALLOWED_HOSTS, 'the url of alerts');
  const body = bodyOf(post, worker);
  const headers = await webhookHeaders(CALLBACK_SECRETS, { id: post.id, timestamp: Math.floor(Date.now() / 1000), payload: body });
  const response = await fetch(url, {
    method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body, redirect: 'manual', signal: AbortSignal.timeout(Math.max(1, time_ms)),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`expected a status of 2xx from ${url.host}, got ${response.status}`);
}

/**
 * @param {Post} post
 * @param {string} worker
 * @returns {string} the body, as JSON
 */
function bodyOf({ state, alert, value, limit, since_ms, at_ms }, worker) {
  return JSON.stringify({
    type: `alert.${state}`,
    timestamp: new Date(at_ms).toISOString(),
    data: { worker, alert, state, value, limit, since: new Date(since_ms).toISOString(), message: `${worker}: ${alert} ${sentence(alert, state, value)}` },
  });
}

/**
 * @param {string} alert
 * @param {Post['state']} state
 * @param {number | null} value
 */
function sentence(alert, state, value) {
  if (value === null) return 'is resolved: it is not set any more';
  const what = SENTENCES[/** @type {AlertName} */ (alert)]?.(value) ?? `is ${value}`;
  return state === 'firing' ? `fires: ${what}` : `is resolved: ${what}`;
}
