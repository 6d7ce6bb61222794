/** Who may call: whoever has one of the API tokens. There are several so that they can be rotated. */

import { sha256 } from './digest.js';
import { Refusal } from './refusal.js';

/** @import { Call } from './call.js' */

/** How a program is told to send a token; and how a browser is made to ask its user for one, which it does for the first
 * challenge alone. */
const CHALLENGE = 'Bearer realm="task-runner"';
const PAGE_CHALLENGE = 'Basic realm="task-runner", charset="UTF-8"';

const CREDENTIALS = /^(Bearer|Basic) +(\S+) *$/i;

/** Methods that change nothing. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * @param {Call} call
 * @returns {Promise<string | null>} the SHA-256 of the caller's token in hexadecimal; null where no token is asked for
 * @throws {Refusal} there is no valid token, or a browser sent it for another site
 */
export async function authenticate({ request, url, env }) {
  if (env.API_TOKENS === undefined) return null;
  const given = credentials(request);
  const digest = given && await sha256(given.token);
  if (!digest || !await isKnown(digest, env.API_TOKENS)) throw unauthorized(request, given ? 'another one' : 'none');
  // A browser sends a Basic password by itself, whatever page makes it.
  if (given.scheme === 'basic' && !SAFE_METHODS.has(request.method)) requireSameOrigin(request, url);
  return digest.toHex();
}

/**
 * @param {Request} request
 * @returns {{scheme: 'bearer' | 'basic', token: string} | null} with Basic, the token is the password
 */
function credentials(request) {
  const [, scheme = '', value = ''] = CREDENTIALS.exec(request.headers.get('Authorization') ?? '') ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer': return { scheme: 'bearer', token: value };
    case 'basic': return { scheme: 'basic', token: password(value) };
    default: return null;
  }
}

/** @param {string} value `user:password` in base64 */
function password(value) {
  try {
    const text = atob(value);
    return text.slice(text.indexOf(':') + 1);
  } catch {
    return '';
  }
}

/**
 * Compares with every token, and digests instead of tokens, so that the time it takes tells nothing.
 *
 * @param {Uint8Array<ArrayBuffer>} digest
 * @param {string} tokens
 */
async function isKnown(digest, tokens) {
  const known = await Promise.all(tokens.split(' ').filter(Boolean).map(sha256));
  return known.filter((each) => crypto.subtle.timingSafeEqual(each, digest)).length > 0;
}

/**
 * @param {Request} request
 * @param {URL} url
 */
function requireSameOrigin(request, url) {
  const origin = request.headers.get('Origin');
  const site = request.headers.get('Sec-Fetch-Site') ?? 'same-origin';
  if (origin === null ? site === 'same-origin' : origin === url.origin) return;
  throw new Refusal('forbidden_origin', `expected a request of ${url.origin}'s own pages, got one of ${origin ?? site}: send the token as Bearer`);
}

/**
 * @param {Request} request
 * @param {string} got
 */
function unauthorized({ headers }, got) {
  const isForPage = (headers.get('Accept') ?? '').toLowerCase().includes('text/html');
  return new Refusal('unauthorized', `expected an API token (Authorization: Bearer TOKEN), got ${got}`, {
    headers: { 'WWW-Authenticate': isForPage ? PAGE_CHALLENGE : CHALLENGE },
  });
}
