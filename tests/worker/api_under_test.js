/** The API of a Worker under test, as a client calls it; with an eye on what it hands to its engine. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { startWorker } from './worker_under_test.js';

/** @import { Submission } from '../../worker/engines/engine.js' */
/** @import { WorkerUnderTest } from './worker_under_test.js' */

/** @typedef {{status: number, headers: import('miniflare').Headers, body: any}} Reply */

/** Gives back what it was given, and refuses what it is asked to. */
const ECHO = `
  export const parameters = { tone: 'how to say it', volume: 'how loud', delaySeconds: 'named as a setting is', ttl: 'as one was' };
  export const check = (parameters, bindings) => {
    switch (parameters.tone) {
      case 'bindings': return Object.keys(bindings).sort().join(' ');
      case 'rude': return 'expected tone to be polite, got rude';
      case 'endless': return 'x'.repeat(998) + '🐙🐙';
      case 'throw': throw new TypeError('a secret');
      case 'throw-odd': throw new Proxy({}, { getPrototypeOf() { throw new Error('trap'); }, get() { throw new Error('trap'); } });
      case 'recurse': return check(parameters, bindings);
      case 'object': return { message: 'a secret' };
      case 'false': return false;
      case 'empty': return '';
      case 'promise': return Promise.reject(new Error('a secret'));
      case 'undefined': return undefined;
      case 'meddle': parameters.tone = 7; return null;
      default: return null;
    }
  };
  export default (payload, context) => {
    if (payload === 'fail') throw new RangeError('x'.repeat(300));
    return { payload: typeof payload === 'string' ? payload : [...payload], parameters: context.parameters };
  };`;

/** The code of a function for a face: the Worker's answer, after all that a change does after its answer. */
export const ANSWER_LAST = `async (runner, request, env, ctx) => {
  if (request.method === 'GET') return runner.fetch(request, env, ctx);
  const afterwards = [];
  const reply = await runner.fetch(request, env, { waitUntil: (work) => { afterwards.push(work); } });
  while (afterwards.length > 0) await Promise.allSettled(afterwards.splice(0));
  return reply;
}`;

/** Adds to the API what it has handed to the engine, and how often it has looked for a task. */
const FACE = `(() => {
  const sent = [];
  let looks = 0;
  class SeenEngine extends QueueEngine {
    submit(runs) { sent.push(...runs); return super.submit(runs); }
  }
  class SeenStore extends Store {
    find(taskId) { looks++; return super.find(taskId); }
  }
  const runner = taskRunner({ Store: SeenStore, Engine: SeenEngine, Consumer: QueueEngine, handlers, sweep, Validator });
  return {
    ...runner,
    fetch(request, env, ctx) {
      return new URL(request.url).pathname === '/seen' ? Response.json({ sent, looks }) : (${ANSWER_LAST})(runner, request, env, ctx);
    },
  };
})()`;

/**
 * The binding `API_TOKENS`.
 *
 * @param {Record<string, string | [string, string]>} tokens by name, with their role where it is not `operate`
 */
export function apiTokens(tokens) {
  return JSON.stringify(Object.entries(tokens).map(([name, given]) => {
    const [token, role] = typeof given === 'string' ? [given, 'operate'] : given;
    return { name, role, sha256: createHash('sha256').update(token).digest('hex') };
  }));
}

/** @param {Parameters<typeof startWorker>[0]} [options] */
export async function startApi(options) {
  return new ApiUnderTest(await startWorker({ handlers: { echo: ECHO }, face: FACE, ...options }));
}

export class ApiUnderTest {
  /** @param {WorkerUnderTest} worker */
  constructor(worker) {
    this.worker = worker;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{headers?: Record<string, string>, body?: unknown}} [message] a body that is neither text nor bytes goes as JSON
   * @returns {Promise<Reply>} JSON is parsed
   */
  async call(method, path, { headers = {}, body } = {}) {
    const isRaw = body === undefined || typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream;
    const reply = await this.worker.fetch(path, {
      method, headers, redirect: 'manual',
      ...(body !== undefined && { body: isRaw ? /** @type {any} */ (body) : JSON.stringify(body), duplex: 'half' }),
    });
    const text = await reply.text();
    const isJson = reply.headers.get('Content-Type') === 'application/json';
    return { status: reply.status, headers: reply.headers, body: isJson && text !== '' ? JSON.parse(text) : text };
  }

  /**
   * @param {string} [query] with its question mark
   * @param {{headers?: Record<string, string>, body?: unknown}} [message]
   * @returns {Promise<string>} the id of a new task
   */
  async submit(query = '', message = { body: 'work' }) {
    const { status, body } = await this.call('POST', `/task${query}`, message);
    assert.equal(status, 200, JSON.stringify(body));
    return body.taskId;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<any>} the task as the API shows it
   */
  async task(taskId) {
    const { status, body } = await this.call('GET', `/task/${taskId}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  /**
   * Delivers a task's message.
   *
   * @param {string} taskId
   * @param {number} [run]
   */
  async attempt(taskId, run = 1) {
    await this.worker.deliver({ body: { taskId, run } });
  }

  /** @returns {Promise<{sent: Submission[], looks: number}>} what the API has handed to its engine, and how often it looked */
  async seen() {
    return (await this.call('GET', '/seen')).body;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<number>} how often it was handed to the engine
   */
  async timesSent(taskId) {
    return (await this.seen()).sent.filter((run) => run.taskId === taskId).length;
  }

  stop() {
    return this.worker.stop();
  }
}

/**
 * @param {Reply} reply
 * @param {number} expectedStatus
 * @param {string} code
 * @param {object} [extras] what its body has beside its sentence and its code
 */
export function assertRefused({ status, body, headers }, expectedStatus, code, extras = {}) {
  const { error, ...rest } = body;
  assert.equal(typeof error, 'string');
  assert.deepEqual({ status, ...rest }, { status: expectedStatus, code, ...extras });
  assert.equal(headers.get('Cache-Control'), 'no-store');
}
