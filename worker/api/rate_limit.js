/** How many requests a caller may send: Cloudflare counts them, at each of its locations on its own. */

import { Refusal } from './refusal.js';

/** @import { Call } from './call.js' */

/**
 * @param {Call} call
 * @param {string | null} caller what stands for the caller's token; null where there are no tokens
 * @throws {Refusal} the caller has sent too many
 */
export async function limitRate({ request, env }, caller) {
  if (!env.RATE_LIMITER) return;
  const key = caller ?? request.headers.get('CF-Connecting-IP') ?? '';
  const { success } = await env.RATE_LIMITER.limit({ key });
  if (success) return;
  const period_seconds = env.RATE_LIMIT_PERIOD_SECONDS ?? '60';
  throw new Refusal('rate_limited', `too many requests: try again in ${period_seconds} seconds`, { headers: { 'Retry-After': period_seconds } });
}
