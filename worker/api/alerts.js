/** `GET /alerts`: the stack's alerts, what they measure now, and which of them fire. */

import { ALERT_NAMES, alertSettings, keptAlerts, resolvesBelow, valuesOf } from '../alerts.js';
import { isoTime, jsonReply } from './reply.js';
import { readQuery } from './request.js';
import { gathered } from './stats.js';

/** @import { Call } from './router.js' */

/** @param {Call} call */
export async function showAlerts(call) {
  readQuery(call.url, []);
  const settings = alertSettings(call.env);
  if (!settings) return jsonReply({ url: null, alerts: [], untold: 0 });
  const [{ episodes, posts }, figures] = await Promise.all([keptAlerts(call.store), gathered(call)]);
  const values = valuesOf(settings, figures, call.engine.hasQueues, figures.now_ms);
  const alerts = ALERT_NAMES.filter((name) => values.has(name)).map((name) => {
    const episode = episodes[name];
    return {
      name, state: episode === undefined ? 'ok' : episode.fired_ms === null ? 'pending' : 'firing',
      value: values.get(name) ?? null, limit: settings.limits[name], resolvesBelow: resolvesBelow(settings, name),
      since: isoTime(episode?.since_ms ?? null), firedAt: isoTime(episode?.fired_ms ?? null),
    };
  });
  return jsonReply({ url: URL.parse(settings.url)?.origin ?? '', alerts, untold: posts.length });
}
