/** The running platform: one Miniflare instance, which holds workerd, and all that must change together with it. */

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Log, LogLevel, Miniflare, MiniflareCoreError } from 'miniflare';

import { SYSTEM_WORKER } from './bindings.js';
import { CronClock } from './cron_clock.js';
import { NOTHING, targets } from './desired_state.js';
import { reached } from './fault_points.js';
import { FrontDoor } from './front_door.js';
import { GatewayClient } from './gateway_client.js';
import { log, logWorkerLines, reportEvents } from './log.js';
import { ObjectFiles } from './object_files.js';
import { PRODUCTS, STANDING } from './products.js';
import { Traffic } from './traffic.js';
import { Trials } from './trial.js';
import { Watchdog } from './watchdog.js';
import { workerOptions } from './worker_options.js';
import { cleaned, refusedWorker, runtimeLine } from './workerd_errors.js';
import { WORKERD_PID_FILE } from './workerd_supervisor.js';

/**
 * @import { IncomingMessage, ServerResponse } from 'node:http'
 * @import { MiniflareOptions } from 'miniflare'
 * @import { DesiredState, Version } from './desired_state.js'
 * @import { TailReport } from './system/logging.js'
 */

/** How long a reload waits for requests and batches that are under way. */
const DRAIN_SECONDS = 10;
/** How often products delete what was to be kept for a while only. */
const SWEEP_MS = 5_000;
/** Miniflare's code for a port that somebody else has. */
const PORT_TAKEN = 'ERR_ADDRESS_IN_USE';
/** Cloudflare's default for the CPU time of one invocation. */
const CPU_LIMIT_SECONDS = 30;
/** Where the control plane lays out what versions serve. */
const SITES_FOLDER = join('assets', 'sites');
/** Where it keeps modules' contents, each in a file named by its SHA-256. */
const CODE_FOLDER = 'modules';

export class Platform {
  #resources;
  #folders;
  #files;
  #pidFile;
  #token = randomBytes(32).toString('hex');
  /** @type {Miniflare | null} */
  #miniflare = null;
  #state = NOTHING;
  /** @type {string | null} what runs inside workerd; null: nothing, or nobody knows */
  #running = null;
  /** @type {Promise<unknown>} */
  #lastChange = Promise.resolve();
  #trials;
  #traffic = new Traffic();
  #frontDoor = new FrontDoor(this.#traffic, (service) => this.#locate(service));
  #gateway = new GatewayClient(this.#token, () => this.#locate(SYSTEM_WORKER));
  #crons = new CronClock((worker, cron, time) => this.#runScheduled(worker.name, cron, time));
  #sweeper = setInterval(() => this.#sweep().catch((error) => log('warn', `what has been kept for long enough stays for now: ${error.message}`)), SWEEP_MS);
  #watchdog = new Watchdog(
    async () => this.#miniflare?.ready,
    () => this.#gateway.call('/ping', {}),
    () => this.#endBusyRuntime(),
    CPU_LIMIT_SECONDS * 1000,
  );

  /**
   * @param {string} stateDir for what outlives this process
   * @param {string} temporaryDir
   */
  constructor(stateDir, temporaryDir) {
    this.#resources = join(stateDir, 'resources');
    this.#files = new ObjectFiles(this.#resources);
    this.#folders = { sites: join(stateDir, SITES_FOLDER), code: join(stateDir, CODE_FOLDER) };
    this.#trials = new Trials(this.#folders.code);
    this.#pidFile = join(temporaryDir, 'workerd.pid');
  }

  /** The process id of workerd; null before its first start. */
  get workerdPid() {
    return this.#miniflare && Number(readFileSync(this.#pidFile, 'utf8'));
  }

  /**
   * Makes a state the one that runs. When it fails, with `invalid_worker` or `port_in_use`, the state before stays.
   *
   * @param {DesiredState} next
   * @returns {Promise<void>}
   */
  apply(next) {
    return this.#serially(() => this.#apply(next));
  }

  /**
   * Tries an upload. Throws an `invalid_worker` error, with workerd's own message, for one that does not start.
   *
   * @param {Version} version
   */
  validate(version) {
    return this.#trials.of(version);
  }

  /**
   * Calls a method of an object, during a reload after it.
   *
   * @param {string} kind
   * @param {string} id
   * @param {string} method
   * @param {object} body
   * @returns {Promise<any>}
   */
  async call(kind, id, method, body) {
    for (const { answers } of PRODUCTS) {
      const own = answers?.[kind]?.[method];
      if (own) return own(this.#files, id);
    }
    const pass = () => this.#betweenReloads(() => this.#gateway.call(objectPath(kind, id, method), body));
    for (const { relays } of PRODUCTS) {
      const own = relays?.[kind]?.[method];
      if (own) return own(body, pass);
    }
    return pass();
  }

  /**
   * Passes a request for an object's bytes on to the gateway, during a reload after it.
   *
   * @param {string} path
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   * @returns {Promise<void>}
   */
  pass(path, request, response) {
    return this.#betweenReloads(() => this.#gateway.pass(path, request, response));
  }

  /**
   * Deletes the data of what is not in the state any more.
   *
   * @param {string} kind
   * @param {string} id that nothing else will have
   */
  async deleteData(kind, id) {
    if (STANDING[kind]?.leaves) await this.call(kind, id, 'destroy', {});
    for (const { remove } of PRODUCTS) remove?.[kind]?.(this.#files, id);
  }

  /** Deletes what was to be kept for a while only. */
  async #sweep() {
    if (this.#running === null) return;
    for (const { sweep } of PRODUCTS) await sweep?.(this.#state, (...call) => this.call(...call), this.#files);
  }

  async dispose() {
    clearInterval(this.#sweeper);
    this.#crons.set([]);
    this.#watchdog.stop();
    await this.#miniflare?.dispose();
  }

  /** Starts workerd when a call comes before the first configuration. */
  async #started() {
    if (this.#running !== null) return;
    await this.#serially(async () => {
      if (this.#running === null) await this.#apply(this.#state);
    });
  }

  /**
   * Does something that no reload may interrupt, during a reload after it.
   *
   * @template T
   * @param {() => Promise<T>} action
   */
  async #betweenReloads(action) {
    await this.#started();
    const leave = await this.#traffic.enter();
    try {
      return await action();
    } finally {
      leave();
    }
  }

  /**
   * Makes one change after the other.
   *
   * @param {() => Promise<void>} change
   */
  #serially(change) {
    const done = this.#lastChange.then(change);
    this.#lastChange = done.catch(() => {});
    return done;
  }

  /** @param {DesiredState} next */
  async #apply(next) {
    reached('change: received');
    const opened = await this.#frontDoor.open(next.workers);
    reached('change: ports open');
    try {
      await this.#reload(next).catch((error) => {
        this.#frontDoor.close(opened);
        throw error;
      });
      const before = this.#state;
      this.#state = next;
      this.#frontDoor.route(next);
      this.#crons.set(next.workers);
      reached('change: routed');
      await this.#wake();
      reached('change: told');
      // They lose their data when that is asked for: the state before may be put in force again.
      for (const [kind, { settings }] of leaving()) await this.#each(kind, 'retire', gone(settings(before), settings(next)));
      reached('change: done');
    } finally {
      this.#traffic.release(); // not before the queues know where their consumers run now
    }
  }

  /** @param {DesiredState} next */
  async #reload(next) {
    if (this.#running === runs(next)) return;
    this.#traffic.hold();
    await this.#drain();
    reached('change: drained');
    try {
      await this.#run(next);
      reached('change: runtime started');
    } catch (error) {
      if (this.#state !== NOTHING) {
        await this.#run(this.#state);
        await this.#wake();
      }
      throw refusedWorker(error);
    }
  }

  async #drain() {
    if (this.#running === null) return;
    const milliseconds = DRAIN_SECONDS * 1000;
    const drained = leaving().map(([kind, { settings }]) =>
      this.#each(kind, 'drain', mapped(settings(this.#state), { milliseconds }))
        .catch(() => log('warn', `reloading without waiting for what runs in ${kind}: the runtime stopped`)));
    await Promise.all([
      this.#traffic.drained(milliseconds),
      ...drained,
    ]);
    const asked = PRODUCTS.map(({ beforeEnd }) => beforeEnd?.((...names) => this.#gateway.call(objectPath(...names), {})));
    await Promise.allSettled(asked); // a runtime that stopped by itself tells nothing
  }

  /** @param {DesiredState} state */
  async #run(state) {
    const options = this.#options(state);
    this.#running = null;
    if (this.#miniflare === null) {
      await this.#start(options);
      this.#watchdog.start();
    } else await this.#setOptions(this.#miniflare, options);
    this.#running = runs(state);
  }

  /**
   * The runtime starts anew on the ports that it had, of the range from which the machine takes those of connections: one
   * of them may have been taken in between, for as long as that connection lasts. Another Miniflare takes others.
   *
   * @param {Miniflare} miniflare
   * @param {MiniflareOptions} options
   */
  async #setOptions(miniflare, options) {
    try {
      await miniflare.setOptions(options);
    } catch (error) {
      if (!(error instanceof MiniflareCoreError) || error.code !== PORT_TAKEN) throw error;
      await this.#start(options);
      await miniflare.dispose().catch(() => {}); // rejects with the error that is handled here
    }
  }

  /** @param {MiniflareOptions} options */
  async #start(options) {
    const miniflare = new Miniflare(options);
    try {
      await miniflare.ready;
    } catch (error) {
      await miniflare.dispose().catch(() => {}); // rejects with the error that is thrown here
      throw error;
    }
    this.#miniflare = miniflare;
  }

  /**
   * @param {DesiredState} state
   * @returns {MiniflareOptions}
   */
  #options(state) {
    return {
      host: '127.0.0.1',
      port: 0,
      cf: false, // the alternative asks the network at every start
      enableDevRegistry: false,
      logRequests: false,
      log: new MiniflareLog(LogLevel.WARN),
      resourcePersistencePath: this.#resources,
      unsafeRuntimeEnv: { [WORKERD_PID_FILE]: this.#pidFile },
      unsafeHandleRuntimeRestart: () => this.#wake(),
      handleStructuredLogs: (/** @type {{level: string, message: string}} */ { level, message }) => {
        const line = runtimeLine(message);
        if (line !== null) log(level === 'error' ? 'error' : 'warn', line);
      },
      workers: workerOptions(state, { token: this.#token, receive: report }, this.#folders),
    };
  }

  /** Tells all that stands in this state its settings; it does nothing by itself before that. */
  async #wake() {
    for (const [kind, { settings }] of Object.entries(STANDING)) await this.#each(kind, 'configure', settings(this.#state));
  }

  /**
   * Calls a method of many objects.
   *
   * @param {string} kind
   * @param {string} method
   * @param {Record<string, object>} bodies by id
   */
  #each(kind, method, bodies) {
    return this.#gateway.call(`/each/${kind}/${method}`, bodies);
  }

  /**
   * @param {string} name of the Worker
   * @param {string} cron
   * @param {number} scheduledTime
   */
  async #runScheduled(name, cron, scheduledTime) {
    try {
      await this.#betweenReloads(async () => {
        // Not before now: a reload that it waited for may have brought other versions.
        const worker = this.#state.workers.find((candidate) => candidate.name === name);
        if (!worker?.versions.length) throw new Error('the Worker is not deployed any more');
        await this.#gateway.call('/scheduled', { targets: targets(worker), cron, scheduledTime });
      });
    } catch (error) {
      log('error', `cron "${cron}" of ${name} did not run: ${error instanceof Error ? error.message : error}`);
    }
  }

  #endBusyRuntime() {
    log('error', `restarting the runtime: a Worker kept it busy for ${CPU_LIMIT_SECONDS} s, Cloudflare's CPU limit`);
    try {
      if (this.workerdPid !== null) process.kill(this.workerdPid, 'SIGKILL'); // Miniflare starts another
    } catch (error) {
      log('warn', `the runtime ended by itself: ${error}`);
    }
  }

  /**
   * The socket of one service. Waits while workerd is being restarted after a crash.
   *
   * @param {string} service
   */
  async #locate(service) {
    if (this.#miniflare === null) throw new Error('the Workers runtime is not running');
    return this.#miniflare.unsafeGetDirectURL(service);
  }
}

/** @param {TailReport} report */
function report({ worker, lines, events }) {
  logWorkerLines(worker, lines);
  reportEvents(worker, events);
}

/** Miniflare's own warnings, as lines of the log. */
class MiniflareLog extends Log {
  /**
   * @override
   * @param {Error & {code?: string}} error
   */
  error(error) {
    super.error(error);
    // Said when workerd crashed and cannot be restarted. Whoever supervises this process starts a new one.
    if (error.code === 'ERR_RUNTIME_FAILURE') process.exit(1);
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

/**
 * What of a state runs inside workerd. Ports, percentages and schedules do not: they change without a reload.
 *
 * @param {DesiredState} state
 */
function runs(state) {
  return JSON.stringify([
    state.workers
      .map(({ name, versions, previews = [] }) => [name, [...versions.map(({ percentage: _percentage, ...version }) => version), ...previews]])
      .filter(([, running]) => running?.length),
    PRODUCTS.map(({ restarts }) => restarts?.(state)),
  ]);
}

/** What stands in a state and may leave it, by kind. */
function leaving() {
  return Object.entries(STANDING).filter(([, { leaves }]) => leaves);
}

/**
 * @param {Record<string, object>} before
 * @param {Record<string, object>} after
 */
function gone(before, after) {
  return mapped(Object.fromEntries(Object.entries(before).filter(([id]) => !(id in after))), {});
}

/**
 * One body for each id.
 *
 * @param {Record<string, object>} things by id
 * @param {object} body
 */
function mapped(things, body) {
  return Object.fromEntries(Object.keys(things).map((id) => [id, body]));
}

/** @param {string[]} names */
function objectPath(...names) {
  return `/objects/${names.map(encodeURIComponent).join('/')}`;
}
