/**
 * The internal HTTP API, which the control plane calls. JSON in and out, but for objects of R2, which come and go as they
 * are; a bearer token on every request.
 */

import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

import { desiredState } from './desired_state.js';
import { PlatformError } from './errors.js';
import { log } from './log.js';
import { tryVersion } from './trial.js';
import { MAX_HEADER_BYTES } from './workerd_http.js';

/**
 * @import { IncomingMessage, Server, ServerResponse } from 'node:http'
 * @import { Platform } from './platform.js'
 *
 * @typedef {{token: string, platform: Platform}} Context
 * @typedef {(context: Context, body: any, id: string) => Promise<object> | object} Route
 */

/** Longer than any client keeps an idle connection, so that none is closed while a request is on its way. */
const KEEP_ALIVE_MS = 75_000;

/** @type {[method: string, path: RegExp, route: Route][]} */
const ROUTES = [
  ['PUT', /^\/config$/, applyConfig],
  ['POST', /^\/validate$/, (_context, version) => tryVersion(version)],
  ['POST', /^\/d1\/([^/]+)\/query$/, d1Call('query')],
  ['POST', /^\/d1\/([^/]+)\/import$/, d1Call('import')],
  ['POST', /^\/d1\/([^/]+)\/export$/, d1Call('export')],
  ['DELETE', /^\/d1\/([^/]+)$/, deleteDatabase],
  ['POST', /^\/kv\/([^/]+)\/get$/, kvCall('get')],
  ['POST', /^\/kv\/([^/]+)\/put$/, kvCall('put')],
  ['POST', /^\/kv\/([^/]+)\/delete$/, kvCall('delete')],
  ['POST', /^\/kv\/([^/]+)\/list$/, kvCall('list')],
  ['DELETE', /^\/kv\/([^/]+)$/, deleteKvNamespace],
  ['POST', /^\/r2\/([^/]+)\/delete$/, r2Call('delete')],
  ['POST', /^\/r2\/([^/]+)\/list$/, r2Call('list')],
  ['POST', /^\/r2\/([^/]+)\/measure$/, r2Call('measure')],
  ['DELETE', /^\/r2\/([^/]+)$/, deleteBucket],
  ['GET', /^\/durable_objects\/([^/]+)\/objects$/, listObjects],
  ['DELETE', /^\/durable_objects\/([^/]+)$/, deleteObjects],
  ['POST', /^\/queues\/([^/]+)\/messages$/, queueCall('messages')],
  ['POST', /^\/queues\/([^/]+)\/pull$/, queueCall('pull')],
  ['POST', /^\/queues\/([^/]+)\/peek$/, queueCall('peek')],
  ['POST', /^\/queues\/([^/]+)\/ack$/, queueCall('ack')],
  ['POST', /^\/queues\/([^/]+)\/purge$/, queueCall('purge')],
  ['GET', /^\/queues\/([^/]+)\/metrics$/, queueCall('metrics')],
  ['DELETE', /^\/queues\/([^/]+)$/, deleteQueue],
  ['POST', /^\/workflows\/([^/]+)\/create$/, workflowCall('create')],
  ['POST', /^\/workflows\/([^/]+)\/list$/, workflowCall('list')],
  ['POST', /^\/workflows\/([^/]+)\/describe$/, workflowCall('describe')],
  ['POST', /^\/workflows\/([^/]+)\/step$/, workflowCall('step')],
  ['POST', /^\/workflows\/([^/]+)\/delete$/, workflowCall('delete')],
  ['POST', /^\/workflows\/([^/]+)\/summary$/, workflowCall('summary')],
  ['POST', /^\/workflows\/([^/]+)\/command$/, workflowCall('command')],
  ['POST', /^\/workflows\/([^/]+)\/event$/, workflowCall('event')],
  ['DELETE', /^\/workflows\/([^/]+)$/, deleteWorkflow],
  ['GET', /^\/health$/, ({ platform }) => ({ workerd_pid: platform.workerdPid })],
];

/** PUT and GET of one object, named in the query. */
const OBJECT_URL = /^\/r2\/([^/]+)\/object\?(.*)$/;

/**
 * @param {Context} context
 * @returns {Server}
 */
export function createInternalApi(context) {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, async (request, response) => {
    try {
      authorize(request, context.token);
      const [, bucket, query] = OBJECT_URL.exec(request.url ?? '') ?? [];
      if (bucket) return await context.platform.pass(`/r2/object?id=${bucket}&${query}`, request, response);
      const [route, id] = findRoute(request);
      answer(response, 200, await route(context, await body(request), id));
    } catch (error) {
      const { status, kind, message } = asPlatformError(error);
      if (response.headersSent) response.destroy(); // in the middle of an object
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
async function deleteQueue({ platform }, _body, id) {
  await platform.deleteQueue(id);
  return {};
}

/** @type {Route} */
async function deleteWorkflow({ platform }, _body, id) {
  await platform.deleteWorkflow(id);
  return {};
}

/** @type {Route} */
function deleteDatabase({ platform }, _body, id) {
  platform.deleteDatabase(id);
  return {};
}

/** @type {Route} */
function deleteKvNamespace({ platform }, _body, id) {
  platform.deleteKvNamespace(id);
  return {};
}

/** @type {Route} */
function deleteBucket({ platform }, _body, id) {
  platform.deleteBucket(id);
  return {};
}

/** @type {Route} */
function listObjects({ platform }, _body, id) {
  return { ids: platform.listObjects(id) };
}

/** @type {Route} */
function deleteObjects({ platform }, _body, id) {
  platform.deleteObjects(id);
  return {};
}

/**
 * @param {string} operation
 * @returns {Route}
 */
function d1Call(operation) {
  return ({ platform }, body, id) => platform.call(`/d1/${operation}`, { ...body, id });
}

/**
 * @param {string} operation
 * @returns {Route}
 */
function kvCall(operation) {
  return ({ platform }, body, id) => platform.call(`/kv/${operation}`, { ...body, id });
}

/**
 * @param {string} operation
 * @returns {Route}
 */
function r2Call(operation) {
  return ({ platform }, body, id) => platform.call(`/r2/${operation}`, { ...body, id });
}

/**
 * @param {string} operation
 * @returns {Route}
 */
function queueCall(operation) {
  return ({ platform }, body, id) => platform.call(`/queues/${operation}`, { ...body, id });
}

/**
 * @param {string} operation
 * @returns {Route}
 */
function workflowCall(operation) {
  return ({ platform }, body, id) => platform.call(`/workflows/${operation}`, { ...body, id });
}

/**
 * @param {IncomingMessage} request
 * @param {string} token
 */
function authorize({ headers }, token) {
  const given = Buffer.from(headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new PlatformError('unauthorized', 'expected the bearer token of EPHEMERA_DATA_PLANE_TOKEN');
  }
}

/**
 * @param {IncomingMessage} request
 * @returns {[Route, string]} and the id in its path, if any
 */
function findRoute({ method, url = '' }) {
  for (const [routeMethod, path, route] of ROUTES) {
    const match = routeMethod === method && path.exec(url);
    if (match) return [route, decodeURIComponent(match[1] ?? '')];
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
