/** One workerd, run by Miniflare: it starts on demand, and again after a crash. */

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { GatewayClient } from './gateway_client.js';
import { log } from './log.js';
import { Log, LogLevel, Miniflare } from './miniflare.js';
import { RUNTIME_ENDED } from './system/miniflare_internals.js';
import { Traffic } from './traffic.js';
import { Watchdog } from './watchdog.js';
import { cleaned, runtimeLine } from './workerd_errors.js';
import { supervision } from './workerd_supervisor.js';

/**
 * @import { WorkerOptions } from './bindings.js'
 *
 * @typedef {{
 *   id: string,
 *   gatewayWorker: string,
 *   token: string,
 *   resources: string,
 *   temporary: string,
 *   sockets?: string[],
 *   debugSocket?: string,
 *   workers: () => WorkerOptions[],
 *   onStart: () => Promise<void>,
 *   onLost: () => void,
 * }} Description `sockets` are the paths that it listens on, in the folder `temporary`, and so is `debugSocket`, for RPC; `onStart` is called after each
 *   start, a restart too, before anybody else is told of it; `onLost` when it crashed and cannot be started again
 */

/** Cloudflare's default limit of an invocation's CPU time. */
const CPU_LIMIT_SECONDS = 30;
const PID_FILE = 'workerd.pid';
/** How long a request waits for another Miniflare, and how often it checks. */
const REPLACEMENT_MS = 10_000;
const REPLACEMENT_POLL_MS = 20;

export class WorkerdProcess {
  traffic = new Traffic();
  #description;
  /** @type {Miniflare | null} */
  #miniflare = null;
  /** @type {Promise<void> | null} */
  #started = null;
  /** Resolves when the last stop has ended. */
  #stopped = Promise.resolve();
  #gateway;
  #watchdog;

  /** @param {Description} description */
  constructor(description) {
    this.#description = description;
    this.#gateway = new GatewayClient(description.token, () => this.url(description.gatewayWorker));
    this.#watchdog = new Watchdog(
      async () => this.#miniflare?.ready,
      () => this.call('/ping', {}),
      () => this.#endBusy(),
      CPU_LIMIT_SECONDS * 1000,
    );
  }

  get id() {
    return this.#description.id;
  }

  /** The folder for files that it needs only while it runs. */
  get folder() {
    return join(this.#description.temporary, this.id);
  }

  get runs() {
    return this.#miniflare !== null;
  }

  /** The process id of workerd; null if it is not running, or is just being started. */
  get pid() {
    try {
      return this.#miniflare && Number(readFileSync(this.#pidFile, 'utf8'));
    } catch {
      return null;
    }
  }

  get gateway() {
    return this.#gateway;
  }

  /**
   * Starts it, unless it is running. Throws Miniflare's error if it does not start.
   *
   * @returns {Promise<void>}
   */
  start() {
    if (this.#started === null) {
      const started = this.#stopped.then(() => this.#start());
      this.#started = started;
      started.catch(() => {
        if (this.#started === started) this.#started = null;
      });
    }
    return this.#started;
  }

  /** Stops it; a start that is requested meanwhile happens afterwards. */
  stop() {
    const started = this.#started;
    this.#started = null;
    this.#watchdog.stop();
    this.#stopped = this.#stopped.then(() => this.#stop(started));
    return this.#stopped;
  }

  /** @param {Promise<void> | null} started the previous start */
  async #stop(started) {
    await started?.catch(() => {});
    const miniflare = this.#miniflare;
    this.#miniflare = null;
    this.#watchdog.stop();
    await miniflare?.dispose().catch(() => {}); // rejects again if it had not recovered from a crash
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Returns the address of one of its Workers' sockets. Starts it, and waits while it is being restarted after a crash.
   *
   * @param {string} worker
   * @returns {Promise<URL>}
   */
  async url(worker) {
    if (this.#miniflare === null) await this.start();
    const miniflare = this.#miniflare;
    if (miniflare === null) throw new Error('the Workers runtime was stopped');
    try {
      return await miniflare.unsafeGetDirectURL(worker);
    } catch (error) {
      // It could not be restarted after a crash: another one replaces it.
      for (const deadline = Date.now() + REPLACEMENT_MS; this.#miniflare === miniflare; await sleep(REPLACEMENT_POLL_MS)) {
        if (Date.now() > deadline) throw error;
      }
      return this.url(worker);
    }
  }

  /**
   * Calls the gateway.
   *
   * @param {string} path
   * @param {object} body
   * @returns {Promise<any>}
   */
  call(path, body) {
    return this.#gateway.call(path, body);
  }

  get #pidFile() {
    return join(this.folder, PID_FILE);
  }

  async #start() {
    const { sockets = [], debugSocket, resources } = this.#description;
    mkdirSync(this.folder, { recursive: true });
    const miniflare = new Miniflare({
      host: '127.0.0.1',
      port: 0,
      cf: false, // the alternative makes a network request at every start
      enableDevRegistry: false,
      logRequests: false,
      log: new MiniflareLog(() => this.#replace()),
      resourcePersistencePath: resources,
      unsafeRuntimeEnv: supervision({ pidFile: this.#pidFile, sockets, debugSocket }),
      unsafeHandleRuntimeRestart: () => this.#description.onStart(),
      handleStructuredLogs: (/** @type {{level: string, message: string}} */ { level, message }) => {
        const line = runtimeLine(message);
        if (line !== null) log(level === 'error' ? 'error' : 'warn', line);
      },
      workers: this.#description.workers(),
    });
    try {
      await miniflare.ready;
    } catch (error) {
      await miniflare.dispose().catch(() => {}); // rejects with the error that is thrown here
      throw error;
    }
    this.#miniflare = miniflare;
    this.#watchdog.start();
    await this.#description.onStart();
  }

  /** Replaces a Miniflare that could not be restarted, for instance by one with other ports. */
  async #replace() {
    try {
      await this.stop();
      await this.start();
    } catch (error) {
      log('error', `the Workers runtime does not come back: ${error}`);
      this.#description.onLost();
    }
  }

  #endBusy() {
    log('error', `restarting the runtime: a Worker kept it busy for ${CPU_LIMIT_SECONDS} s, Cloudflare's CPU limit`);
    try {
      if (this.pid !== null) process.kill(this.pid, 'SIGKILL'); // Miniflare starts another
    } catch (error) {
      log('warn', `the runtime ended by itself: ${error}`);
    }
  }
}

/** Writes Miniflare's own warnings to the log. */
class MiniflareLog extends Log {
  #onLost;

  /** @param {() => void} onLost */
  constructor(onLost) {
    super(LogLevel.WARN);
    this.#onLost = onLost;
  }

  /**
   * @override
   * @param {Error & {code?: string}} error
   */
  error(error) {
    super.error(error);
    if (error.code === RUNTIME_ENDED) this.#onLost(); // reported when workerd crashed and cannot be restarted
  }

  /**
   * @override
   * @param {LogLevel} level
   * @param {string} message
   */
  logWithLevel(level, message) {
    if (level <= this.level) log(level === LogLevel.ERROR ? 'error' : 'warn', cleaned(message));
  }
}
