/** Which pages of other origins may read the API's replies: none but those that are configured. */

/** @import { Call } from './call.js' */

/** Beside those that a page may always send and read (https://fetch.spec.whatwg.org/#cors-safelisted-request-header). */
const REQUEST_HEADERS = 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID';
const REPLY_HEADERS = 'Idempotent-Replayed, Retry-After, WWW-Authenticate';

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
