/** Access to the API: tokens with roles, rate limits, and the origins of browsers. */

import { sha256 } from '../digest.js';
import { Refusal } from './reply.js';

/** @import { Call } from './router.js' */

/** The roles of a token: submit tasks and look at those whose id it knows; read everything; or do everything. */
export const ROLES = /** @type {const} */ (['submit', 'read', 'operate']);

/** @typedef {(typeof ROLES)[number]} Role */

/** The caller: the name and the role of its token. @typedef {{name: string, role: Role}} Caller */

/** A token as the Worker stores it: by its SHA-256. @typedef {Caller & {digest: Uint8Array<ArrayBuffer>}} KnownToken */

/** The challenge that asks a program for a token, and the one that makes a browser ask its user for it. A browser reads only the first challenge. */
const CHALLENGE = 'Bearer realm="task-runner"';
const PAGE_CHALLENGE = 'Basic realm="task-runner", charset="UTF-8"';

const CREDENTIALS = /^(Bearer|Basic) +(\S+) *$/i;

/** HTTP methods that change nothing. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The tokens that this isolate has parsed, and the text that they were parsed from. @type {{text: string, tokens: KnownToken[]} | null} */
let lastRead = null;

/**
 * @param {Call} call
 * @returns {Promise<Caller | null>} the caller; null if the stack has no tokens
 * @throws {Refusal} there is no valid token, or a browser sent it on behalf of another site
 */
export async function authenticate({ request, url, env }) {
  if (env.API_TOKENS === undefined) return null;
  const given = credentials(request);
  const caller = given && findCaller(await sha256(given.token), env.API_TOKENS);
  if (!caller) throw unauthorized(request, given ? 'another one' : 'none');
  // A browser adds a Basic password by itself, whichever page makes the request.
  if (given.scheme === 'basic' && !SAFE_METHODS.has(request.method)) requireSameOrigin(request, url);
  return caller;
}

/**
 * @param {Caller | null} caller null if the stack has no tokens
 * @param {readonly Role[]} roles the roles that are allowed, besides `operate`
 * @throws {Refusal} the caller's role is not allowed
 */
export function authorize(caller, roles) {
  if (caller === null || caller.role === 'operate' || roles.includes(caller.role)) return;
  const needed = [...roles, 'operate'].join(' or ');
  throw new Refusal('forbidden', `expected a token with the role ${needed}, got ${caller.name}, which has ${caller.role}`);
}

/**
 * @param {Request} request
 * @returns {{scheme: 'bearer' | 'basic', token: string} | null} the token; with Basic it is the password
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
 * Compares with every token, and compares digests instead of tokens, so that the duration reveals nothing.
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
 * @param {string} text a JSON list of tokens: their names, roles and SHA-256 digests in hexadecimal
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
 * Counts a request against the rate limits. It is counted for its address before anything else is checked, so that guesses and floods without a token
 * are limited too. It is also counted for its token, which may be used from many addresses.
 *
 * @param {Call} call
 * @param {string} key what identifies the sender
 * @throws {Refusal} too many requests have come
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

/** The headers that a page may send and read, besides those that are always allowed (https://fetch.spec.whatwg.org/#cors-safelisted-request-header). */
const REQUEST_HEADERS = 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID';
const REPLY_HEADERS = 'Caller-Role, Idempotent-Replayed, Request-Id, Retry-After, WWW-Authenticate';

/** How long a browser may cache a preflight: the maximum of Chromium. */
const MAX_AGE_SECONDS = 7_200;

/**
 * @param {Call} call
 * @param {readonly string[]} methods the methods that the path supports
 * @returns {Response | null} the reply; null if the request is no preflight, or its origin is not allowed
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
 * Adds the headers that tell the browser whether the page may read the reply.
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
