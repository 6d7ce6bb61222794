/** Who may call: tokens with roles, rates, and the origins of browsers. */

import { sha256 } from '../digest.js';
import { Refusal } from './reply.js';

/** @import { Call } from './router.js' */

/** What a token may do: submit tasks and look at those whose id it knows; read everything; or all. */
export const ROLES = /** @type {const} */ (['submit', 'read', 'operate']);

/** @typedef {(typeof ROLES)[number]} Role */

/** Who calls: the name and the role of the token. @typedef {{name: string, role: Role}} Caller */

/** A token as the Worker knows it: by its SHA-256. @typedef {Caller & {digest: Uint8Array<ArrayBuffer>}} KnownToken */

/** How a program is told to send a token; and how a browser is made to ask its user for one, which it does for the first
 * challenge alone. */
const CHALLENGE = 'Bearer realm="task-runner"';
const PAGE_CHALLENGE = 'Basic realm="task-runner", charset="UTF-8"';

const CREDENTIALS = /^(Bearer|Basic) +(\S+) *$/i;

/** Methods that change nothing. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The tokens that this isolate has read, and the text that it read them from. @type {{text: string, tokens: KnownToken[]} | null} */
let lastRead = null;

/**
 * @param {Call} call
 * @returns {Promise<Caller | null>} null where no token is asked for
 * @throws {Refusal} there is no valid token, or a browser sent it for another site
 */
export async function authenticate({ request, url, env }) {
  if (env.API_TOKENS === undefined) return null;
  const given = credentials(request);
  const caller = given && findCaller(await sha256(given.token), env.API_TOKENS);
  if (!caller) throw unauthorized(request, given ? 'another one' : 'none');
  // A browser sends a Basic password by itself, whatever page makes it.
  if (given.scheme === 'basic' && !SAFE_METHODS.has(request.method)) requireSameOrigin(request, url);
  return caller;
}

/**
 * @param {Caller | null} caller null where no token is asked for
 * @param {readonly Role[]} roles that may do what is asked for, beside `operate`
 * @throws {Refusal} the caller's is none of them
 */
export function authorize(caller, roles) {
  if (caller === null || caller.role === 'operate' || roles.includes(caller.role)) return;
  const needed = [...roles, 'operate'].join(' or ');
  throw new Refusal('forbidden', `expected a token with the role ${needed}, got ${caller.name}, which has ${caller.role}`);
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
 * @param {string} text the binding `API_TOKENS`
 * @returns {Caller | null}
 */
function findCaller(digest, text) {
  const [caller] = readTokens(text).filter((known) => crypto.subtle.timingSafeEqual(known.digest, digest));
  return caller ? { name: caller.name, role: caller.role } : null;
}

/**
 * @param {string} text a JSON list of tokens: their names, roles and digests in hexadecimal
 * @returns {KnownToken[]}
 */
function readTokens(text) {
  if (lastRead?.text !== text) {
    /** @type {(Caller & {sha256: string})[]} */
    const tokens = JSON.parse(text);
    lastRead = { text, tokens: tokens.map(({ name, role, sha256: hex }) => ({ name, role, digest: Uint8Array.fromHex(hex) })) };
  }
  return lastRead.tokens;
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

/** Beside those that a page may always send and read (https://fetch.spec.whatwg.org/#cors-safelisted-request-header). */
const REQUEST_HEADERS = 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID';
const REPLY_HEADERS = 'Caller-Role, Idempotent-Replayed, Request-Id, Retry-After, WWW-Authenticate';

/** How long a browser may rely on a preflight: the longest that Chromium does. */
const MAX_AGE_SECONDS = 7_200;

/**
 * @param {Call} call
 * @param {readonly string[]} methods that the path has
 * @returns {Response | null} null when the request is no preflight, or its origin is not one of those
 */
export function preflight(call, methods) {
  const { request } = call;
  const isPreflight = request.method === 'OPTIONS' && request.headers.has('Access-Control-Request-Method');
  if (!isPreflight || !isAllowed(call)) return null;
  return new Response(null, {
    status: 204,
    headers: {
      'Access-Control-Allow-Methods': methods.join(', '),
      'Access-Control-Allow-Headers': REQUEST_HEADERS,
      'Access-Control-Max-Age': String(MAX_AGE_SECONDS),
    },
  });
}

/**
 * Tells the browser whether the page may read the reply.
 *
 * @param {Call} call
 * @param {Response} reply
 */
export function addCorsHeaders(call, { headers }) {
  if (!call.env.CORS_ORIGINS) return;
  headers.append('Vary', 'Origin');
  if (!isAllowed(call)) return;
  headers.set('Access-Control-Allow-Origin', call.request.headers.get('Origin') ?? '');
  headers.set('Access-Control-Expose-Headers', REPLY_HEADERS);
}

/** @param {Call} call */
function isAllowed({ request, env }) {
  const origin = request.headers.get('Origin');
  return origin !== null && (env.CORS_ORIGINS ?? '').split(' ').includes(origin);
}
