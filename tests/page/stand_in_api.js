/** Serves the dashboard's files as the Worker does, and answers for its API from memory: what it answers is what the API's description says. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Validator } from '@cfworker/json-schema';
import { build } from 'esbuild';

import { browserProgram } from '../../components/bundle/browser_program.js';
import { describe } from '../../worker/api/openapi.js';

/** @import { Action, Attempt, DeadLetter, NewAction, Pauses, Schedules, Stats, Task, TaskSummary } from '../../worker/page/answers.d.ts' */

const ROOT = join(import.meta.dirname, '..', '..');
const PAGE_FOLDER = join(ROOT, 'worker', 'page');
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const { contents: program } = await browserProgram(build, join(PAGE_FOLDER, 'main.tsx'), ROOT);
/** @type {Record<string, [Uint8Array, string]>} */
const FILES = {
  '/': [readFileSync(join(PAGE_FOLDER, 'dashboard.html')), 'text/html; charset=utf-8'],
  '/dashboard.css': [readFileSync(join(PAGE_FOLDER, 'dashboard.css')), 'text/css; charset=utf-8'],
  '/dashboard.js': [program, 'text/javascript; charset=utf-8'],
};
const MINUTE_MS = 60_000;

/** What would be done if it were taken for markup. */
export const MARKUP = '<img src=x onerror=alert(1)>';

const HANDLERS = /** @type {any} */ ({ default: {}, http: { parameters: { url: 'where to', method: 'how' } }, resize: {} });
const description = /** @type {any} */ (describe(HANDLERS, 'http://page'));

/** @typedef {{status: number, body: unknown, headers?: Record<string, string>}} Answer */

export class StandInApi {
  /** @type {Task[]} newest first */
  tasks = [];
  /** What /stats tells, but for the counts, which are those of the tasks. @type {Partial<Stats>} */
  stats = {};
  /** What /stats tells of a range, whichever is asked for; else one without a task. @type {import('../../worker/page/answers.d.ts').History | null} */
  history = null;
  /** By the task's id. @type {Record<string, Attempt[]>} */
  attempts = {};
  /** By the task's id; null: it is not kept. @type {Record<string, string | Uint8Array | null>} */
  payloads = {};
  /** By the task's id. @type {Record<string, Record<string, string>>} */
  parameters = {};
  /** @type {Action[]} newest first */
  actions = [];
  /** @type {Schedules} */
  schedules = { schedules: [], refused: [] };
  /** @type {Pauses['pauses']} */
  pauses = [];
  /** The oldest first; null: the Worker may not read them. @type {DeadLetter[] | null} */
  letters = null;
  /** What is answered instead when they are asked for. @type {Answer | null} */
  lettersRefusal = null;
  /** What /metrics tells. */
  metrics = '# EOF\n';
  /** What the caller may do. */
  role = 'operate';
  /** How many looks at an action it takes to be completed. */
  looksOfAction = 1;
  /** What every request but those for the page gets instead. @type {Answer | null} */
  refusal = null;
  /** Method, path and body of each request of the API. @type {string[]} */
  requests = [];
  /** What of the answers was not as the API's description says. @type {string[]} */
  faults = [];
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
    assert.deepEqual(this.faults, []);
  }

  /** @param {Partial<Task>} task */
  add(task) {
    const index = this.tasks.length;
    const created_ms = Date.now() - 1_000 * index;
    /** @type {Task} */
    const whole = {
      taskId: `01a2044f-5f0e-7c53-a1d6-${(0xffffffffffff - index).toString(16)}`,
      status: 'completed', handler: 'default', run: 1, attempts: 1, crashes: 0, maxRetries: 5, progress: null, group: null, priority: 'normal', tags: {}, waitingFor: null, error: null,
      result: { done: true }, callback: null, parent: null, after: null,
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
      reply.writeHead(200, { 'content-type': file[1], 'content-security-policy': POLICY }).end(file[0]);
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = String(Buffer.concat(chunks));
    this.requests.push(`${request.method} ${request.url}${text && ` ${text}`}`);
    const { status, body, headers } = this.refusal ?? this.#route(request.method ?? '', url, text);
    const isJson = !(typeof body === 'string' || body instanceof Uint8Array);
    if (isJson && status === 200) this.#check(request.method ?? '', url.pathname, body);
    reply.writeHead(status, { 'content-type': isJson ? 'application/json' : 'text/plain', 'caller-role': this.role, ...headers })
      .end(isJson ? JSON.stringify(body) : body);
  }

  /** @param {string} method @param {string} pathname @param {unknown} body */
  #check(method, pathname, body) {
    const found = Object.entries(description.paths).find(([path]) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname));
    const schema = /** @type {any} */ (found?.[1])?.[method.toLowerCase()]?.responses[200]?.content?.['application/json']?.schema;
    if (!schema) {
      this.faults.push(`${method} ${pathname} is not described`);
      return;
    }
    // A handler has no such name, and yet the page is to show it as text.
    const like = JSON.parse(JSON.stringify(body).replaceAll(`"handler":${JSON.stringify(MARKUP)}`, '"handler":"markup"'));
    const { valid, errors } = new Validator({ ...schema, components: description.components }, '2020-12').validate(like);
    if (!valid) this.faults.push(`${method} ${pathname}: ${errors.at(-1)?.instanceLocation} ${errors.at(-1)?.error}`);
  }

  /** @param {string} method @param {URL} url @param {string} text @returns {Answer} */
  #route(method, { pathname, searchParams }, text) {
    const [, place = '', id = '', more = ''] = pathname.split('/').map(decodeURIComponent);
    switch (`${method} ${place}`) {
      case 'GET health': return good({ status: 'ok', version: 'v-1' });
      case 'GET openapi.json': return good(description);
      case 'GET stats': return good({ ...this.#stats(), ...(searchParams.has('range') && { history: this.history ?? historyOf(searchParams.get('range') ?? '') }) });
      case 'GET metrics': return good(this.metrics);
      case 'GET tasks': return good(this.#list(searchParams));
      case 'POST tasks': return good({ tasks: JSON.parse(text).tasks.map((/** @type {any} */ task) => this.#submit(task)) });
      case 'GET batches': return this.#batch(id);
      case 'GET actions': return good(id ? this.#action(id) : { actions: this.actions.map((each) => this.#progressed(each)) });
      case 'POST actions': return good(this.#startAction(JSON.parse(text)));
      case 'DELETE actions': return good(Object.assign(this.#action(id) ?? {}, { state: 'stopped', finishedAt: new Date().toISOString() }));
      case 'GET schedules': return good(this.schedules);
      case 'POST schedules': return this.#setSchedule(id, more);
      case 'GET dead-letters': case 'POST dead-letters': return this.#deadLetters(id, text && JSON.parse(text));
      case 'GET pauses': return good({ pauses: this.pauses });
      case 'POST pause': case 'POST resume': return good(this.#setPause(null, place));
      case 'POST handlers': return id in HANDLERS ? good(this.#setPause(id, more)) : bad(400, 'unknown_handler', `unknown handler "${id}"`);
      default: return place === 'task' ? this.#task(method, id, more) : bad(404, 'not_found', 'there is no such path');
    }
  }

  /** @param {string} method @param {string} id @param {string} more @returns {Answer} */
  #task(method, id, more) {
    const task = this.tasks.find(({ taskId }) => taskId === id);
    if (!task) return bad(404, 'task_not_found', 'there is no such task');
    if (more === 'attempts') return good({ taskId: id, status: task.status, attempts: this.attempts[id] ?? [] });
    if (more === 'parameters') return good({ taskId: id, handler: task.handler, parameters: this.parameters[id] ?? {} });
    if (more === 'payload') {
      const payload = this.payloads[id];
      return payload === null ? bad(410, 'payload_not_kept', 'the payload is not kept') : good(payload ?? '{}');
    }
    if (method === 'GET') return good(task);
    const allowed = more === 'retry' ? ['failed', 'cancelled'] : ['pending', 'processing', 'cancelled'];
    if (!allowed.includes(task.status)) return bad(409, 'wrong_status', `the task is ${task.status}`);
    if (more === 'retry') Object.assign(task, { status: 'pending', run: task.run + 1, attempts: 0, error: null, startedAt: null, finishedAt: null });
    else task.status = 'cancelled';
    return good(more === 'retry' ? { taskId: id, status: 'pending' } : task);
  }

  /** @param {any} asked */
  #submit({ handler = 'default' }) {
    if (!(handler in HANDLERS)) return { httpStatus: 400, error: `unknown handler "${handler}"`, code: 'unknown_handler' };
    const taskId = '01a20450-0000-7c53-a1d6-000000000001';
    this.tasks.unshift({ ...this.add({ status: 'pending', handler, startedAt: null, finishedAt: null }), taskId });
    this.tasks.pop();
    return { httpStatus: 200, taskId, status: 'pending' };
  }

  /** @param {URLSearchParams} parameters @returns {object} */
  #list(parameters) {
    const given = (/** @type {string} */ name) => parameters.get(name) ?? '';
    const limit = Number(parameters.get('limit') ?? 20);
    const cursor = given('cursor');
    const all = this.tasks.filter((task) => (
      (!given('status') || task.status === given('status')) && (!given('handler') || task.handler === given('handler'))
      && task.taskId.startsWith(given('id')) && (!given('parent') || task.parent === given('parent')) && (!given('group') || task.group === given('group'))
      && (!given('error') || JSON.stringify(task.error).includes(given('error'))) && (!cursor || task.taskId < cursor)
      && parameters.getAll('tag').every((tag) => Object.entries(task.tags).some((pair) => pair.join(':') === tag))
      && (!given('createdAfter') || task.createdAt >= given('createdAfter')) && (!given('createdBefore') || task.createdAt < given('createdBefore'))
    ));
    const tasks = all.slice(0, limit);
    return { tasks: tasks.map(summary), cursor: limit < all.length ? tasks.at(-1)?.taskId : null };
  }

  /** @param {string} id @returns {Answer} */
  #batch(id) {
    const then = this.tasks.find(({ taskId }) => taskId === id);
    if (!then?.after) return bad(404, 'batch_not_found', 'there is no such batch');
    const tasks = then.after.taskIds.map((taskId) => ({ taskId, status: this.tasks.find((each) => each.taskId === taskId)?.status ?? null }));
    const counts = { ...countsOf(tasks), expired: tasks.filter(({ status }) => status === null).length };
    return good({ batchId: id, startWhen: then.after.startWhen, counts, tasks, then: summary(then) });
  }

  /** @param {string} id */
  #action(id) {
    return this.actions.find((each) => each.id === id);
  }

  /** How often each was looked at. @type {Map<string, number>} */
  #looks = new Map();

  /** @param {Action} action */
  #progressed(action) {
    const looks = (this.#looks.get(action.id) ?? 0) + 1;
    this.#looks.set(action.id, looks);
    if (action.state === 'running' && looks >= this.looksOfAction) {
      Object.assign(action, { state: 'completed', matched: 3, done: action.dryRun ? 0 : 3, finishedAt: new Date().toISOString() });
    }
    return action;
  }

  /** @param {NewAction} asked @returns {Action} */
  #startAction({ action, filter, dryRun = false }) {
    /** @type {Action} */
    const started = {
      id: crypto.randomUUID(), action, dryRun, state: 'running', matched: 1, done: 0, skipped: 0, createdAt: new Date().toISOString(), finishedAt: null,
      filter: /** @type {Action['filter']} */ ({ status: null, handler: null, tags: null, createdAfter: null, createdBefore: null, ids: null, ...filter }),
    };
    this.actions.unshift(started);
    return { ...started };
  }

  /** @param {string} id @param {{ids?: string[], all?: true, stale?: true}} selection @returns {Answer} */
  #deadLetters(id, { ids, all, stale }) {
    const { letters } = this;
    if (this.lettersRefusal) return this.lettersRefusal;
    if (letters === null) return bad(409, 'dead_letters_off', 'the Worker may not read its dead-letter queue: set dead_letter_api_token');
    if (id === '') return good({ total: letters.length, deadLetters: letters.slice(0, 100) });
    const meant = letters.filter(({ letterId, state }) => all || ids?.includes(letterId) || (stale && ['stale', 'gone'].includes(state)));
    const done = id === 'purge' ? meant : meant.filter(({ state }) => state === 'failed');
    this.letters = letters.filter((letter) => !done.includes(letter));
    const missing = Math.max(0, (ids?.length ?? 0) - meant.length);
    if (id === 'purge') return good({ purged: done.length, missing, more: false });
    const left = (/** @type {string} */ wanted) => meant.filter(({ state }) => state === wanted).length;
    return good({
      redriven: done.length, stale: left('stale'), unfinished: left('unfinished'), gone: left('gone'), malformed: left('malformed'), repeated: 0, missing, more: done.length >= 100,
    });
  }

  /** @param {string} name @param {string} word @returns {Answer} */
  #setSchedule(name, word) {
    const schedule = this.schedules.schedules.find((each) => each.name === name);
    if (!schedule) return bad(404, 'schedule_not_found', 'there is no such schedule');
    schedule.paused = word === 'pause';
    return good(schedule);
  }

  /** @param {string | null} handler @param {string} word */
  #setPause(handler, word) {
    this.pauses = this.pauses.filter((each) => each.handler !== handler);
    if (word === 'pause') this.pauses.push({ handler, since: new Date().toISOString() });
    return { pauses: this.pauses };
  }

  /** @returns {Stats} */
  #stats() {
    const now_ms = Date.now();
    return {
      generatedAt: new Date(now_ms).toISOString(),
      asOf: new Date(now_ms).toISOString(),
      freshUntil: new Date(now_ms + 5_000).toISOString(),
      counts: countsOf(this.tasks),
      counted: { tasks: this.tasks.length, since: null, complete: true },
      former: [],
      databases: [],
      queue: { backlog: 0, oldestAgeSeconds: null, priorities: null },
      deadLetters: null,
      recent: { minutes: 15, perMinute: quietMinutes(now_ms), latencyMs: null },
      objects: [],
      paused: this.pauses,
      firing: [],
      sweeper: { expired: 0, resent: 0, returned: 0, failed: 0 },
      ...this.stats,
      ...(this.stats.deadLetters !== null && { deadLetters: { count: 0, oldestAgeSeconds: null, ...this.stats.deadLetters, readable: this.letters !== null } }),
    };
  }
}

/** @param {unknown} body @returns {Answer} */
const good = (body) => ({ status: 200, body });

/** @param {number} status @param {string} code @param {string} error @returns {Answer} */
const bad = (status, code, error) => ({ status, body: { error, code } });

/** @param {Task} task @returns {TaskSummary} */
function summary({ result: _result, callback: _callback, parent: _parent, after: _after, steps: _steps, ...rest }) {
  return rest;
}

/** @param {{status: import('../../worker/page/answers.d.ts').Status | null}[]} tasks */
function countsOf(tasks) {
  const counts = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
  for (const { status } of tasks) if (status) counts[status] += 1;
  return counts;
}

/** @param {number} now_ms @param {number} [count] tasks a minute */
export function quietMinutes(now_ms, count = 0) {
  return Array.from({ length: 15 }, (_, index) => {
    const start_ms = Math.floor(now_ms / MINUTE_MS - 14 + index) * MINUTE_MS;
    return { minute: new Date(start_ms).toISOString(), submitted: count, completed: count, failed: 0, cancelled: 0 };
  });
}

const RANGES = /** @type {const} */ ({ hour: [300, 12], day: [1_800, 48], week: [10_800, 56] });

/**
 * @param {string} range
 * @param {(index: number) => Partial<import('../../worker/page/answers.d.ts').Bucket>} [bucket]
 * @returns {import('../../worker/page/answers.d.ts').History}
 */
export function historyOf(range, bucket = () => ({})) {
  const name = /** @type {keyof typeof RANGES} */ (range);
  const [bucketSeconds, count] = RANGES[name];
  const width_ms = 1_000 * bucketSeconds;
  const buckets = Array.from({ length: count }, (_, index) => ({
    start: new Date(Math.floor(Date.now() / width_ms - count + 1 + index) * width_ms).toISOString(),
    submitted: 0, completed: 0, failed: 0, cancelled: 0, latencyMs: null, complete: index < count - 1, ...bucket(index),
  }));
  return { range: name, bucketSeconds, buckets, latencyMs: buckets.findLast(({ latencyMs }) => latencyMs)?.latencyMs ?? null };
}
