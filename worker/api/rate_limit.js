/** How many requests a caller may send: Cloudflare counts them, at each of its locations on its own. */

import { Refusal } from './refusal.js';

/** @import { Call } from './call.js' */

/**
 * Counts a request. It is counted for its address before anything else is looked at, so that guesses and floods without a
 * token are limited too; and for its token, which may come from many addresses.
 *
 * @param {Call} call
 * @param {string} key what stands for whoever sends it
 * @throws {Refusal} too many have come
 */
export async function limitRate({ env }, key) {
  if (!env.RATE_LIMITER) return;
  const { success } = await env.RATE_LIMITER.limit({ key });
  if (success) return;
  const period_seconds = env.RATE_LIMIT_PERIOD_SECONDS ?? '60';
  throw new Refusal('rate_limited', `too many requests: try again in ${period_seconds} seconds`, { headers: { 'Retry-After': period_seconds } });
}

/** @param {Call} call */
export function addressOf({ request }) {
  return `address ${request.headers.get('CF-Connecting-IP') ?? ''}`;
}
