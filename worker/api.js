/** The HTTP API: `POST /task` and `GET /task/:id`. */

import { BodyTooLargeError, errorReply, readBody } from './http.js';
import { MAX_PAYLOAD_BYTES } from './task.js';
import { newTaskId } from './task_id.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */
/** @import { Payload } from './task.js' */

/** @typedef {{store: Store, engine: Engine}} Parts */

/**
 * @typedef {object} Route
 * @property {RegExp} path its groups are the handler's parameters
 * @property {Record<string, (request: Request, parts: Parts, ...parameters: string[]) => Promise<Response>>} methods
 */

/** @type {Route[]} */
const ROUTES = [
  { path: /^\/task$/, methods: { POST: submitTask } },
  { path: /^\/task\/([^/]+)$/, methods: { GET: showTask, HEAD: showTask } },
];

/**
 * @param {Request} request
 * @param {Parts} parts
 * @returns {Promise<Response>}
 */
export async function handleRequest(request, parts) {
  const { pathname } = new URL(request.url);
  for (const { path, methods } of ROUTES) {
    const match = path.exec(pathname);
    if (!match) continue;
    const handler = methods[request.method];
    if (!handler) return errorReply(405, 'method not allowed', { Allow: Object.keys(methods).join(', ') });
    return answer(() => handler(request, parts, ...match.slice(1)));
  }
  return errorReply(404, 'not found');
}

/**
 * @param {() => Promise<Response>} handler
 * @returns {Promise<Response>} the handler's; or 503 where it threw, which is to say that the store did not answer
 */
async function answer(handler) {
  try {
    return await handler();
  } catch (error) {
    console.error('request failed', { error: String(error) });
    return errorReply(503, 'the task store is not available; try again', { 'Retry-After': '1' });
  }
}

/**
 * Stores the body as a pending task and hands it to the engine. A task that is stored is accepted: should handing it
 * over fail, the sweeper does it again.
 *
 * @param {Request} request
 * @param {Parts} parts
 */
async function submitTask(request, { store, engine }) {
  let body;
  try {
    body = await readBody(request, MAX_PAYLOAD_BYTES);
  } catch (error) {
    if (!(error instanceof BodyTooLargeError)) throw error;
    return errorReply(413, `payload too large: at most ${MAX_PAYLOAD_BYTES} bytes`);
  }
  const taskId = newTaskId(Date.now());
  await store.insert(taskId, toPayload(body));
  try {
    await engine.submit([taskId]);
  } catch (error) {
    console.error('task stored, but not sent; the sweeper will send it', { taskId, error: String(error) });
  }
  return Response.json({ taskId, status: 'pending' });
}

/**
 * @param {Request} _request
 * @param {Parts} parts
 * @param {string} taskId as it stands in the path
 */
async function showTask(_request, { store }, taskId) {
  const task = await store.find(taskId);
  return task ? Response.json({ taskId, status: task.status }) : errorReply(404, 'not found');
}

/**
 * @param {Uint8Array<ArrayBuffer>} body
 * @returns {Payload} an empty body is an empty JSON object
 */
function toPayload(body) {
  if (body.byteLength === 0) return '{}';
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return body;
  }
}
