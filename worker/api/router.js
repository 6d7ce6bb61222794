/** The HTTP API: routes each request to the function that answers it. */

import { isStoreError } from '../stores/store_error.js';
import { workerVersion } from '../version.js';
import { addCorsHeaders, addressOf, authenticate, authorize, limitRate, preflight } from './access.js';
import { showAlerts, showMetrics, showStatistics } from './stats.js';
import { listActions, listPauses, pause, resume, showAction, startAction, stopAction } from './actions.js';
import { showBatch, submitBatch } from './batches.js';
import { listDeadLetters, purgeDeadLetters, redriveDeadLetters } from './dead_letters.js';
import { cancelTask, listTasks, retryTask, sendEvent, showAttempts, showParameters, showPayload, showTask } from './task.js';
import { showDescription } from './openapi.js';
import { showPage, showProgram, showStyle } from './page.js';
import { jsonReply, quoted, Refusal, storeRefusal } from './reply.js';
import { deleteSchedule, listSchedules, pauseSchedule, putSchedule, resumeSchedule, showSchedule } from './schedules.js';
import { submitTask } from './submission.js';

/** @import { DeadLetterEnvironment } from '../dead_letter_queue.js' */
/** @import { Engine } from '../engines/engine.js' */
/** @import { Handlers } from '../handler.js' */
/** @import { Invocation } from '../joint.js' */
/** @import { Store } from '../stores/store.js' */
/** @import { Role } from './access.js' */
/** @import { ValidatorClass } from './request.js' */

/** The operations of a path; GET also serves HEAD. @typedef {Partial<Record<'GET' | 'POST' | 'PUT' | 'DELETE', Answer>>} Methods */

/** Paths in the syntax of OpenAPI. @type {Readonly<Record<string, Methods>>} */
export const ROUTES = {
  '/health': { GET: ({ env }) => jsonReply({ status: 'ok', version: workerVersion(env) }) },
  '/task': { POST: submitTask },
  '/tasks': { GET: listTasks, POST: submitBatch },
  '/batches/{batchId}': { GET: showBatch },
  '/task/{taskId}': { GET: showTask, DELETE: cancelTask },
  '/task/{taskId}/attempts': { GET: showAttempts },
  '/task/{taskId}/parameters': { GET: showParameters },
  '/task/{taskId}/payload': { GET: showPayload },
  '/task/{taskId}/cancel': { POST: cancelTask },
  '/task/{taskId}/retry': { POST: retryTask },
  '/task/{taskId}/events/{name}': { POST: sendEvent },
  '/schedules': { GET: listSchedules },
  '/schedules/{name}': { GET: showSchedule, PUT: putSchedule, DELETE: deleteSchedule },
  '/schedules/{name}/pause': { POST: pauseSchedule },
  '/schedules/{name}/resume': { POST: resumeSchedule },
  '/pauses': { GET: listPauses },
  '/pause': { POST: (call) => pause(call) },
  '/resume': { POST: (call) => resume(call) },
  '/handlers/{handler}/pause': { POST: pause },
  '/handlers/{handler}/resume': { POST: resume },
  '/actions': { GET: listActions, POST: startAction },
  '/actions/{id}': { GET: showAction, DELETE: stopAction },
  '/dead-letters': { GET: listDeadLetters },
  '/dead-letters/redrive': { POST: redriveDeadLetters },
  '/dead-letters/purge': { POST: purgeDeadLetters },
  '/alerts': { GET: showAlerts },
  '/stats': { GET: showStatistics },
  '/metrics': { GET: showMetrics },
  '/openapi.json': { GET: showDescription },
  '/': { GET: showPage },
  '/dashboard.css': { GET: showStyle },
  '/dashboard.js': { GET: showProgram },
};

/** The only path that needs no token. */
const OPEN_PATH = '/health';

/** What a token with the role `submit` may do. The role `read` allows every GET except those that show what others have submitted; `operate` allows
 * everything. */
const SUBMITTER = new Set(['POST /task', 'POST /tasks', 'GET /task/{taskId}', 'GET /batches/{batchId}']);
const OPERATOR = new Set(['GET /task/{taskId}/parameters', 'GET /task/{taskId}/payload']);

const PATTERNS = Object.entries(ROUTES).map(([path, methods]) => (
  { path, pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '([^/]+)')}$`), methods }
));

/**
 * @param {Request} request
 * @param {Environment & DeadLetterEnvironment} env
 * @param {Parts} parts
 * @returns {Promise<Response>}
 */
export async function handleRequest(request, env, parts) {
  // Cloudflare's own id of the request, which its logs also contain.
  const requestId = request.headers.get('CF-Ray') ?? crypto.randomUUID();
  /** @type {Call} */
  const call = { ...parts, request, requestId, env, url: new URL(request.url), role: null };
  const reply = await answer(call);
  reply.headers.set('Request-Id', requestId);
  if (call.role) reply.headers.set('Caller-Role', call.role);
  addCorsHeaders(call, reply);
  return reply;
}

/**
 * @param {Call} call
 * @returns {Promise<Response>} the response, also if it is an error
 */
async function answer(call) {
  try {
    return await route(call);
  } catch (error) {
    return refusalOf(error, call).reply();
  }
}

/**
 * @param {unknown} error
 * @param {Call} call
 * @returns {Refusal} the caller's error, the platform's, or else ours, of which the caller learns no details
 */
function refusalOf(error, { request: { method }, requestId, url: { pathname: path } }) {
  if (error instanceof Refusal) return error;
  if (isStoreError(error)) {
    console.warn('the store did not answer, or has no room', { method, path, requestId, error: String(error) });
    return storeRefusal(/** @type {Error} */ (error));
  }
  console.error('request failed', { method, path, requestId, error: String(/** @type {any} */ (error)?.stack ?? error) });
  return new Refusal('internal_error', `the task runner has failed at this request; its log says more, with the request id ${requestId}`);
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
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (url.pathname !== OPEN_PATH) await admit(call, `${method} ${found?.path ?? url.pathname}`);
  if (!found) throw new Refusal('not_found', `there is no path ${quoted(url.pathname)}: there are ${Object.keys(ROUTES).join(', ')}`);
  const act = Object.hasOwn(found.methods, method) ? found.methods[/** @type {keyof Methods} */ (method)] : undefined;
  if (!act) {
    const sentence = `expected ${allowed.join(' or ')} of ${found.path}, got ${quoted(request.method)}`;
    throw new Refusal('method_not_allowed', sentence, { headers: { Allow: allowed.join(', ') } });
  }
  return act(call, ...found.parameters);
}

/**
 * Lets a request in. The body of a refused request is not read.
 *
 * @param {Call} call
 * @param {string} operation the method, and the path as OpenAPI writes it
 * @throws {Refusal} there are too many requests, the request has no valid token, or the token's role does not allow it
 */
async function admit(call, operation) {
  await limitRate(call, addressOf(call));
  const caller = await authenticate(call);
  call.role = caller?.role ?? 'operate';
  if (caller) await limitRate(call, `token ${caller.name}`);
  /** @type {Role[]} */
  const roles = [];
  if (SUBMITTER.has(operation)) roles.push('submit');
  if (operation.startsWith('GET ') && !OPERATOR.has(operation)) roles.push('read');
  authorize(caller, roles);
}

/** @param {string} pathname */
function findRoute(pathname) {
  for (const { path, pattern, methods } of PATTERNS) {
    const match = pattern.exec(pathname);
    if (match) return { path, methods, parameters: match.slice(1) };
  }
  return null;
}

/** The parts of a deployment, and the data of the request.
 *
 * @typedef {{store: Store, engine: Engine, handlers: Handlers, Validator?: ValidatorClass | undefined, invocation: Invocation}} Parts
 */

/**
 * The Worker's bindings and settings that the API reads. Without `API_TOKENS` anybody may call.
 *
 * @typedef {object} Environment
 * @property {string} MAX_RETRIES the default for tasks
 * @property {string} [DELIVERY_DELAY_SECONDS] the default for tasks; no delay if it is missing
 * @property {string} [API_TOKENS] JSON: the name, role and SHA-256 of each token
 * @property {RateLimit} [RATE_LIMITER]
 * @property {string} [RATE_LIMIT_PERIOD_SECONDS]
 * @property {WorkerVersionMetadata} [CF_VERSION_METADATA]
 * @property {string} [CORS_ORIGINS] origins separated by single spaces
 * @property {string} [HTTP_ALLOWED_HOSTS] hosts separated by single spaces
 * @property {string} [GROUP_CONCURRENCY] how many tasks of one of the stack's groups may run at the same time
 * @property {string} [GROUP_RATE_LIMIT] how many tasks of a group may start in `GROUP_RATE_SECONDS`
 * @property {string} [GROUP_RATE_SECONDS]
 * @property {string} [PRIORITIES] `true` if high and low priority have queues of their own
 * @property {string} [CALLBACK_URL] the callback of tasks whose submission and handler set none
 * @property {string} [CALLBACK_ON] which ends call it, separated by single spaces; all if it is missing
 * @property {string} [CALLBACK_SECRETS] JSON: a list of signing secrets
 * @property {string} [ALERTS] JSON: `AlertSettings`
 * @property {string} [SCHEDULES] JSON: the stack's schedules, each in the form of a PUT with its name
 */

/** A request on its way through the API; `role` is the sender's role, null before it is known.
 *
 * @typedef {Parts & {request: Request, requestId: string, url: URL, env: Environment & DeadLetterEnvironment, role: Role | null}} Call
 */

/** Answers a request; the parameters are those of its path. @typedef {(call: Call, ...parameters: string[]) => Response | Promise<Response>} Answer */
