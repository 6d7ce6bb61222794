/** Serves the dashboard's files as the Worker does, and answers for its API from memory. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

/** @import { Stats, Task } from '../../worker/page/answers.d.ts' */

const PAGE_FOLDER = join(import.meta.dirname, '..', '..', 'worker', 'page');
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** @type {Record<string, [string, string]>} */
const FILES = {
  '/': ['dashboard.html', 'text/html; charset=utf-8'],
  '/dashboard.css': ['dashboard.css', 'text/css; charset=utf-8'],
  '/dashboard.js': ['dashboard.js', 'text/javascript; charset=utf-8'],
};
const MINUTE_MS = 60_000;

/** @typedef {{status: number, body: object, headers?: Record<string, string>}} Refusal */

export class StandInApi {
  /** @type {Task[]} newest first */
  tasks = [];
  /** What /stats tells, but for the counts, which are those of the tasks. @type {Partial<Stats>} */
  stats = {};
  /** What every request but those for the page gets instead. @type {Refusal | null} */
  refusal = null;
  /** Method, path and body of each request of the API. @type {string[]} */
  requests = [];
  #server = createServer((request, reply) => void this.#answer(request, reply));

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** @param {Partial<Task>} task */
  add(task) {
    const index = this.tasks.length;
    const created_ms = Date.now() - 1_000 * index;
    /** @type {Task} */
    const whole = {
      taskId: `01a2044f-5f0e-7c53-a1d6-${(0xffffffffffff - index).toString(16)}`,
      status: 'completed', handler: 'default', run: 1, attempts: 1, maxRetries: 5, progress: null, error: null, result: { done: true },
      createdAt: new Date(created_ms).toISOString(),
      startedAt: new Date(created_ms + 100).toISOString(),
      finishedAt: new Date(created_ms + 940).toISOString(),
      nextAttemptAt: null,
      expiresAt: new Date(created_ms + 86_400_000).toISOString(),
      ...task,
    };
    this.tasks.push(whole);
    return whole;
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} reply */
  async #answer(request, reply) {
    const url = new URL(request.url ?? '', 'http://page');
    const file = FILES[url.pathname];
    if (file) {
      const content = readFileSync(join(PAGE_FOLDER, file[0]));
      reply.writeHead(200, { 'content-type': file[1], 'content-security-policy': POLICY }).end(content);
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = String(Buffer.concat(chunks));
    this.requests.push(`${request.method} ${request.url}${body && ` ${body}`}`);
    const { status, body: answer, headers } = this.refusal ?? this.#route(request.method ?? '', url);
    reply.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(answer));
  }

  /** @param {string} method @param {URL} url @returns {Refusal} */
  #route(method, { pathname, searchParams }) {
    if (pathname === '/stats') return { status: 200, body: this.#stats() };
    if (pathname === '/tasks') return { status: 200, body: this.#list(searchParams) };
    if (pathname === '/task') {
      this.tasks.unshift({ ...this.add({ status: 'pending', startedAt: null, finishedAt: null }), taskId: 'submitted-1' });
      this.tasks.pop();
      return { status: 200, body: { taskId: 'submitted-1', status: 'pending' } };
    }
    const [, id, retry] = /^\/task\/([^/]+)(\/retry)?$/.exec(pathname) ?? [];
    const task = this.tasks.find(({ taskId }) => taskId === id);
    if (!task) return { status: 404, body: { error: 'not found', code: 'task_not_found' } };
    if (method === 'GET') return { status: 200, body: task };
    const allowed = retry ? ['failed', 'cancelled'] : ['pending', 'processing', 'cancelled'];
    if (!allowed.includes(task.status)) {
      return { status: 409, body: { error: `the task is ${task.status}`, code: 'wrong_status', status: task.status } };
    }
    if (retry) Object.assign(task, { status: 'pending', run: task.run + 1, attempts: 0, error: null, startedAt: null, finishedAt: null });
    else task.status = 'cancelled';
    return { status: 200, body: retry ? { taskId: id, status: 'pending' } : task };
  }

  /** @param {URLSearchParams} parameters @returns {object} */
  #list(parameters) {
    const [status, handler] = [parameters.get('status'), parameters.get('handler')];
    const limit = Number(parameters.get('limit') ?? 20);
    const start = Number(parameters.get('cursor') ?? 0);
    const all = this.tasks.filter((task) => (!status || task.status === status) && (!handler || task.handler === handler));
    const tasks = all.slice(start, start + limit).map(({ result, ...task }) => task);
    return { tasks, cursor: start + limit < all.length ? String(start + limit) : null };
  }

  /** @returns {Stats} */
  #stats() {
    const now_ms = Date.now();
    const counts = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
    for (const { status } of this.tasks) counts[status] += 1;
    return {
      generatedAt: new Date(now_ms).toISOString(),
      asOf: new Date(now_ms).toISOString(),
      freshUntil: new Date(now_ms + 5_000).toISOString(),
      counts,
      counted: { tasks: this.tasks.length, since: null, complete: true },
      former: [],
      databases: [],
      queue: { backlog: 0, oldestAgeSeconds: null },
      deadLetters: { count: 0, oldestAgeSeconds: null },
      recent: { minutes: 15, perMinute: quietMinutes(now_ms), latencyMs: null },
      objects: [],
      sweeper: { expired: 0, resent: 0, returned: 0, failed: 0 },
      ...this.stats,
    };
  }
}

/** @param {number} now_ms @param {number} [count] tasks a minute */
export function quietMinutes(now_ms, count = 0) {
  return Array.from({ length: 15 }, (_, index) => {
    const start_ms = Math.floor(now_ms / MINUTE_MS - 14 + index) * MINUTE_MS;
    return { minute: new Date(start_ms).toISOString(), submitted: count, completed: count, failed: 0, cancelled: 0 };
  });
}
