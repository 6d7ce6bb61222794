/** The HTTP API: which request is answered by what. */

import { isStoreError } from '../stores/store_error.js';
import { authenticate } from './auth.js';
import { submitBatch } from './batch.js';
import { discardBody } from './body.js';
import { addCorsHeaders, preflight } from './cors.js';
import { listTasks } from './list.js';
import { showDescription } from './openapi.js';
import { showPage, showProgram, showStyle } from './page.js';
import { limitRate } from './rate_limit.js';
import { quoted, Refusal, storeRefusal } from './refusal.js';
import { jsonReply } from './reply.js';
import { showStatistics } from './stats.js';
import { submitTask } from './submission.js';
import { cancelTask, retryTask, showTask } from './task.js';

/** @import { Answer, Call, Environment, Parts } from './call.js' */

/** What is asked of a path; GET stands for HEAD, too. @typedef {Partial<Record<'GET' | 'POST' | 'DELETE', Answer>>} Methods */

/** Paths as OpenAPI writes them. @type {Readonly<Record<string, Methods>>} */
export const ROUTES = {
  '/health': { GET: () => jsonReply({ status: 'ok' }) },
  '/task': { POST: submitTask },
  '/tasks': { GET: listTasks, POST: submitBatch },
  '/task/{taskId}': { GET: showTask, DELETE: cancelTask },
  '/task/{taskId}/retry': { POST: retryTask },
  '/stats': { GET: showStatistics },
  '/openapi.json': { GET: showDescription },
  '/': { GET: showPage },
  '/dashboard.css': { GET: showStyle },
  '/dashboard.js': { GET: showProgram },
};

/** The one that needs no token. */
const OPEN_PATH = '/health';

const PATTERNS = Object.entries(ROUTES).map(([path, methods]) => (
  { path, pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '([^/]+)')}$`), methods }
));

/**
 * @param {Request} request
 * @param {Environment} env
 * @param {Parts} parts
 * @returns {Promise<Response>}
 */
export async function handleRequest(request, env, parts) {
  const call = { ...parts, request, env, url: new URL(request.url) };
  const reply = await answer(call);
  addCorsHeaders(call, reply);
  return reply;
}

/**
 * @param {Call} call
 * @returns {Promise<Response>} a refusal, too
 */
async function answer(call) {
  try {
    return await route(call);
  } catch (error) {
    await discardBody(call.request).catch(() => {}); // whoever breaks off does not wait for an answer
    return refusalOf(error, call).reply();
  }
}

/**
 * @param {unknown} error
 * @param {Call} call
 * @returns {Refusal} the caller's fault, the platform's or, where it is neither, ours: of that the caller learns no more
 */
function refusalOf(error, { request: { method }, url: { pathname: path } }) {
  if (error instanceof Refusal) return error;
  if (isStoreError(error)) {
    console.warn('the store did not answer, or has no room', { method, path, error: String(error) });
    return storeRefusal(/** @type {Error} */ (error));
  }
  console.error('request failed', { method, path, error: String(/** @type {any} */ (error)?.stack ?? error) });
  return new Refusal('internal_error', 'the task runner has failed at this request; its log says more');
}

/**
 * @param {Call} call
 * @returns {Promise<Response>}
 * @throws {Refusal}
 */
async function route(call) {
  const { request, url } = call;
  const found = findRoute(url.pathname);
  const allowed = Object.keys(found?.methods ?? {}).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  const preflightReply = found && preflight(call, allowed);
  if (preflightReply) return preflightReply;
  if (url.pathname !== OPEN_PATH) await limitRate(call, await authenticate(call));
  if (!found) throw new Refusal('not_found', `there is no path ${quoted(url.pathname)}: there are ${Object.keys(ROUTES).join(', ')}`);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const act = Object.hasOwn(found.methods, method) ? found.methods[/** @type {keyof Methods} */ (method)] : undefined;
  if (!act) {
    const sentence = `expected ${allowed.join(' or ')} of ${found.path}, got ${quoted(request.method)}`;
    throw new Refusal('method_not_allowed', sentence, { headers: { Allow: allowed.join(', ') } });
  }
  return act(call, ...found.parameters);
}

/** @param {string} pathname */
function findRoute(pathname) {
  for (const { path, pattern, methods } of PATTERNS) {
    const match = pattern.exec(pathname);
    if (match) return { path, methods, parameters: match.slice(1) };
  }
  return null;
}
