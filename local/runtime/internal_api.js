/**
 * The internal HTTP API, which the control plane calls. Requests and answers are JSON, except the bytes of objects. Every request has a bearer token.
 */

import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

import { desiredState } from './desired_state.js';
import { PlatformError } from './errors.js';
import { log } from './log.js';
import { MAX_HEADER_BYTES } from './workerd_http.js';

/**
 * @import { IncomingMessage, Server, ServerResponse } from 'node:http'
 * @import { Platform } from './platform.js'
 *
 * @typedef {{token: string, platform: Platform}} Context
 * @typedef {(context: Context, body: any, ...names: string[]) => Promise<object> | object} Route
 */

/** Longer than clients keep idle connections, so that none is closed while a request is on its way. */
const KEEP_ALIVE_MS = 75_000;

/** @type {[method: string, path: RegExp, route: Route][]} */
const ROUTES = [
  ['PUT', /^\/config$/, applyConfig],
  ['POST', /^\/validate$/, ({ platform }, version) => platform.validate(version)],
  ['POST', /^\/objects\/([^/]+)\/([^/]+)\/([^/]+)$/, ({ platform }, body, kind, id, method) => platform.call(kind, id, method, body)],
  ['DELETE', /^\/data\/([^/]+)\/([^/]+)$/, deleteData],
  ['GET', /^\/health$/, ({ platform }) => platform.health],
];

/** PUT and GET of bytes. */
const BYTES_URL = /^\/objects\/[^/]+\/[^/]+\/bytes\?/;

/**
 * @param {Context} context
 * @returns {Server}
 */
export function createInternalApi(context) {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, async (request, response) => {
    try {
      authorize(request, context.token);
      const url = request.url ?? '';
      if (BYTES_URL.test(url)) return await context.platform.pass(url, request, response);
      const [route, names] = findRoute(request);
      answer(response, 200, await route(context, await body(request), ...names));
    } catch (error) {
      const { status, kind, message } = asPlatformError(error);
      if (response.headersSent) response.destroy(); // in the middle of an object's bytes
      else answer(response, status, { error: { kind, message } });
    }
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

/** @type {Route} */
async function applyConfig({ platform }, body) {
  await platform.apply(desiredState(body));
  return {};
}

/** @type {Route} */
async function deleteData({ platform }, _body, kind, id) {
  await platform.deleteData(kind, id);
  return {};
}

/**
 * @param {IncomingMessage} request
 * @param {string} token
 */
function authorize({ headers }, token) {
  const given = Buffer.from(headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new PlatformError('unauthorized', 'expected the bearer token of CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN');
  }
}

/**
 * @param {IncomingMessage} request
 * @returns {[Route, string[]]} the route, and the names in its path
 */
function findRoute({ method, url = '' }) {
  for (const [routeMethod, path, route] of ROUTES) {
    const match = routeMethod === method && path.exec(url);
    if (match) return [route, match.slice(1).map(decodeURIComponent)];
  }
  throw new PlatformError('not_found', `no route ${method} ${url}`);
}

/** @param {IncomingMessage} request */
async function body(request) {
  const text = Buffer.concat(await request.toArray()).toString();
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PlatformError('bad_request', `expected a JSON body: ${error}`);
  }
}

/**
 * @param {ServerResponse} response
 * @param {number} status
 * @param {object} reply
 */
function answer(response, status, reply) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(reply));
}

/** @param {unknown} error */
function asPlatformError(error) {
  if (error instanceof PlatformError) return error;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log('error', text);
  return new PlatformError('internal', error instanceof Error ? error.message : text);
}
