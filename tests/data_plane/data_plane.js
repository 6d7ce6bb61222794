/** A data plane of its own for a test, driven as the control plane drives it: by the internal HTTP API. */

import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { looks } from '../looks.js';

const MAIN = fileURLToPath(new URL('../../local/runtime/main.js', import.meta.url));
const PATIENCE_MS = 15_000;

/** Collects what is to be stopped after the tests of a suite; `after` itself does not work inside `before`. */
export class Ending {
  /** @type {(() => unknown)[]} */
  #steps = [];

  /** @param {(end: () => Promise<unknown>) => void} after */
  constructor(after) {
    after(() => Promise.all(this.#steps.map((step) => step())));
  }

  /** @param {() => unknown} step */
  after(step) {
    this.#steps.push(step);
  }
}

export class DataPlane {
  /** @type {any[]} events on its stdout */
  events = [];
  #token = randomBytes(16).toString('hex');
  /** @type {import('node:child_process').ChildProcess | null} */
  #process = null;
  #port = 0;

  /** @param {string} [stateDir] */
  constructor(stateDir = mkdtempSync(join(tmpdir(), 'data-plane-test-'))) {
    this.stateDir = stateDir;
  }

  /** @param {{after: (step: () => unknown) => void}} test stops it at its end */
  static async start(test) {
    const dataPlane = new DataPlane();
    test.after(() => dataPlane.remove());
    await dataPlane.start();
    return dataPlane;
  }

  /** @param {Record<string, string>} [extraEnv] */
  async start(extraEnv) {
    const env = { ...process.env, CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN: this.#token, ...extraEnv };
    const child = spawn(process.execPath, [MAIN, '--state', this.stateDir], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#process = child;
    this.#port = await new Promise((resolve, reject) => {
      child.on('exit', (code) => reject(new Error(`the data plane ended with ${code}`)));
      createInterface(child.stdout).on('line', (line) => {
        const event = JSON.parse(line);
        if (event.event === 'ready') resolve(event.port);
        else this.events.push(event);
      });
    });
  }

  /** @returns {{worker?: string, source: string, level: string, message: string}[]} the lines of its log */
  get logs() {
    const path = join(this.stateDir, 'logs', 'cloudflare.log');
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.filter(Boolean).map((line) => JSON.parse(line));
  }

  get pid() {
    return this.#process?.pid ?? 0;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {string} [token]
   * @returns {Promise<{status: number, body: any}>}
   */
  async call(method, path, body, token = this.#token) {
    if (path === '/config' || path === '/validate') this.#layOutCode();
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /**
   * The status of a call whose code may not be there.
   *
   * @param {string} path
   * @param {object} body
   */
  async callAsItIs(path, body) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    await response.arrayBuffer();
    return response.status;
  }

  #layOutCode() {
    const folder = join(this.stateDir, 'modules');
    mkdirSync(folder, { recursive: true });
    for (const [hash, content] of CODE) if (!existsSync(join(folder, hash))) writeFileSync(join(folder, hash), content);
  }

  /**
   * A call that must succeed.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async expect(method, path, body) {
    const reply = await this.call(method, path, body);
    if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }

  /**
   * Writes an object of R2, or reads it.
   *
   * @param {'PUT' | 'GET'} method
   * @param {string} bucketId
   * @param {string} key
   * @param {Buffer<ArrayBuffer>} [body]
   * @param {object} [httpMetadata]
   * @returns {Promise<{bytes: Buffer, fields: any}>}
   */
  async object(method, bucketId, key, body, httpMetadata = {}) {
    const query = new URLSearchParams({ key, http_metadata: JSON.stringify(httpMetadata) });
    const headers = { Authorization: `Bearer ${this.#token}` };
    const response = await fetch(`http://127.0.0.1:${this.#port}/objects/r2/${bucketId}/bytes?${query}`, { method, headers, body });
    if (!response.ok) throw new Error(`${method} of ${key}: ${response.status} ${await response.text()}`);
    const fields = JSON.parse(decodeURIComponent(response.headers.get('Object-Fields') ?? 'null'));
    return { bytes: Buffer.from(await response.arrayBuffer()), fields };
  }

  /**
   * @param {object[]} workers
   * @param {object[]} [queues]
   * @param {object[]} [workflows]
   */
  configure(workers, queues = [], workflows = []) {
    return this.expect('PUT', '/config', { workers, queues, workflows });
  }

  /**
   * @param {string} queueId
   * @param {unknown[]} bodies sent as JSON
   * @param {number} [delaySeconds]
   */
  send(queueId, bodies, delaySeconds) {
    const messages = bodies.map((body) => ({
      body_base64: base64(JSON.stringify(body)),
      content_type: 'json',
      delay_seconds: delaySeconds ?? null,
    }));
    return this.expect('POST', `/objects/queues/${queueId}/push`, { messages });
  }

  /** @param {string} queueId */
  async backlog(queueId) {
    return (await this.expect('POST', `/objects/queues/${queueId}/metrics`)).backlog_count;
  }

  /**
   * @param {string} databaseId
   * @param {string} sql
   * @param {unknown[]} [params]
   */
  async query(databaseId, sql, params = []) {
    const { results } = await this.expect('POST', `/objects/d1/${databaseId}/query`, {
      queries: [{ sql, params }],
      format: 'objects',
    });
    return results[0].results;
  }

  /** @returns {Promise<number>} of the store's workerd */
  async storePid() {
    return (await this.expect('GET', '/health')).store_pid;
  }

  /** @returns {Promise<{pid: number | null, services: string[], is_retired: boolean}[]>} the Workers' processes */
  async processes() {
    return (await this.expect('GET', '/health')).processes;
  }

  /**
   * The pid of the process in which a Worker runs.
   *
   * @param {string} name
   */
  async workerPid(name) {
    const all = await this.processes();
    const found = all.find(({ services, is_retired }) => !is_retired && services.some((service) => service.startsWith(`${name}/`)));
    if (!found?.pid) throw new Error(`${name} does not run: ${JSON.stringify(all)}`);
    return found.pid;
  }

  /** Waits until it has ended, which somebody else sees to. */
  async ended() {
    const child = this.#process;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Ends it as a crash would, and returns when it is gone. */
  async kill() {
    const ended = this.#process && once(this.#process, 'exit');
    this.#process?.kill('SIGKILL');
    await ended;
  }

  /** Ends it as the end of its parent does. */
  async stop() {
    if (!this.#process || this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await ended;
  }

  async remove() {
    await this.stop();
    rmSync(this.stateDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * What a puppet Worker reports of each delivery, and where a test says what it does with it.
 *
 * @typedef {{id: string, attempts: number, body: any, timestamp: number}} Message
 * @typedef {{queue: string, worker: string, messages: Message[], at: number}} Delivery
 * @typedef {{
 *   ack?: number[],
 *   retry?: {index: number, delaySeconds?: number}[],
 *   ackAll?: boolean,
 *   retryAll?: {delaySeconds?: number},
 *   throw?: string,
 * }} Plan indexes of messages in their batch
 */
export class Puppeteer {
  /** @type {Delivery[]} */
  deliveries = [];
  running = 0;
  mostRunning = 0;
  /** @type {(delivery: Delivery) => Plan | Promise<Plan>} */
  plan = () => ({});
  #server = createServer(async (request, response) => {
    const delivery = { ...JSON.parse(Buffer.concat(await request.toArray()).toString()), at: Date.now() };
    this.deliveries.push(delivery);
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    const plan = await this.plan(delivery);
    this.running -= 1;
    response.end(JSON.stringify(plan));
  });

  /** @param {{after: (step: () => unknown) => void}} test stops it at its end */
  static async start(test) {
    const puppeteer = new Puppeteer();
    puppeteer.#server.listen(0, '127.0.0.1');
    await once(puppeteer.#server, 'listening');
    test.after(() => {
      puppeteer.#server.close();
      puppeteer.#server.closeAllConnections();
    });
    return puppeteer;
  }

  get url() {
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (this.#server.address()).port}`;
  }

  /** The bodies of all messages that were delivered, in order. */
  get bodies() {
    return this.deliveries.flatMap((delivery) => delivery.messages.map((message) => message.body));
  }
}

export const PUPPET = `
  export default {
    async fetch(request, env) {
      const { pathname } = new URL(request.url);
      const body = request.method === 'POST' ? await request.json() : null;
      try {
        if (pathname === '/send') return Response.json(await env.QUEUE.send(body.body, body.options));
        if (pathname === '/sendBatch') return Response.json(await env.QUEUE.sendBatch(body.messages, body.options));
        if (pathname === '/metrics') return Response.json(await env.QUEUE.metrics());
      } catch (error) {
        return new Response(error.message, { status: 500 });
      }
      return new Response(env.NAME);
    },
    async queue(batch, env) {
      const messages = batch.messages.map(({ id, attempts, body, timestamp }) => (
        { id, attempts, body, timestamp: timestamp.getTime() }));
      const report = { queue: batch.queue, worker: env.NAME, messages };
      const plan = await (await fetch(env.PUPPETEER, { method: 'POST', body: JSON.stringify(report) })).json();
      for (const index of plan.ack ?? []) batch.messages[index].ack();
      for (const { index, ...options } of plan.retry ?? []) batch.messages[index].retry(options);
      if (plan.ackAll) batch.ackAll();
      if (plan.retryAll) batch.retryAll(plan.retryAll);
      if (plan.throw) throw new Error(plan.throw);
    },
  };
`;

/**
 * @param {string} source of its one module
 * @param {object} [overrides]
 */
export function version(source, overrides = {}) {
  return {
    id: randomUUID(),
    percentage: 100,
    main_module: 'index.js',
    compatibility_date: '2025-04-01',
    compatibility_flags: [],
    modules: [module('index.js', source)],
    bindings: /** @type {object[]} */ ([]),
    ...overrides,
  };
}

/**
 * @param {string} name
 * @param {string} source
 */
export function module(name, source) {
  return { name, content_type: 'application/javascript+module', sha256: kept(source) };
}

/** What modules hold, by hash; a data plane finds it in its state folder. */
const CODE = new Map();

/**
 * Keeps a module's content, as the control plane does.
 *
 * @param {string | Buffer} content
 * @returns {string} its hash
 */
export function kept(content) {
  const hash = createHash('sha256').update(content).digest('hex');
  CODE.set(hash, content);
  return hash;
}

/**
 * @param {string} name
 * @param {number} port
 * @param {object[]} versions
 */
export function worker(name, port, versions) {
  return { name, port, schedules: [], versions };
}

/**
 * @param {string} id
 * @param {object | null} consumer
 * @param {object} [overrides]
 */
export function queue(id, consumer, overrides = {}) {
  return {
    id,
    name: `queue-${id}`,
    delivery_delay_seconds: 0,
    delivery_paused: false,
    message_retention_seconds: 345_600,
    consumer,
    ...overrides,
  };
}

/**
 * @param {string} scriptName
 * @param {object} [overrides]
 */
export function workerConsumer(scriptName, overrides = {}) {
  return {
    type: 'worker',
    script_name: scriptName,
    dead_letter_queue_id: null,
    batch_size: 10,
    max_retries: 3,
    max_wait_time_ms: 0,
    max_concurrency: null,
    retry_delay_seconds: 0,
    ...overrides,
  };
}

/** @param {object} [overrides] */
export function pullConsumer(overrides = {}) {
  return {
    type: 'http_pull',
    dead_letter_queue_id: null,
    batch_size: 10,
    max_retries: 3,
    visibility_timeout_ms: 30_000,
    retry_delay_seconds: 0,
    ...overrides,
  };
}

export function newId() {
  return randomUUID().replaceAll('-', '');
}

/** @param {string} text */
export function base64(text) {
  return Buffer.from(text).toString('base64');
}

/** A port that nobody listens on, and no connection has, when the data plane comes back. @returns {Promise<number>} */
export async function freePort() {
  const port = randomInt(10_000, 30_000);
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return freePort();
  }
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Waits for a condition.
 *
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} condition
 * @returns {Promise<T>} what it returned, which is truthy
 */
export async function until(what, condition) {
  for await (const _ of looks(PATIENCE_MS)) {
    const result = await condition();
    if (result) return result;
  }
  throw new Error(`waited ${PATIENCE_MS} ms for: ${what}`);
}

/** @param {number} milliseconds */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** @param {number} pid */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
