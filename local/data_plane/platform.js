/** The running platform: one Miniflare instance, which holds workerd, and all that must change together with it. */

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Log, LogLevel, Miniflare } from 'miniflare';

import { CronClock } from './cron_clock.js';
import { NOTHING, queueSettings, targets } from './desired_state.js';
import { FrontDoor } from './front_door.js';
import { GatewayClient } from './gateway_client.js';
import { log, logWorkerLine } from './log.js';
import { objectId, removeObject, removeOtherObjects } from './object_files.js';
import { Traffic } from './traffic.js';
import { Watchdog } from './watchdog.js';
import { QUEUE_NAMESPACE, SYSTEM_WORKER, workerOptions } from './worker_options.js';
import { cleaned, invalidWorker, runtimeLine } from './workerd_errors.js';
import { WORKERD_PID_FILE } from './workerd_leash.js';

/**
 * @import { MiniflareOptions } from 'miniflare'
 * @import { DesiredState, Worker } from './desired_state.js'
 */

/** How long a reload waits for requests and batches that are under way. */
const DRAIN_SECONDS = 10;
/** Cloudflare's default for the CPU time of one invocation. */
const CPU_LIMIT_SECONDS = 30;
/** Where Miniflare keeps Durable Objects and D1 databases, under its own folder. */
const QUEUE_FOLDER = join('do', QUEUE_NAMESPACE);
const D1_NAMESPACE = 'miniflare-D1DatabaseObject';
const D1_FOLDER = join('d1', D1_NAMESPACE);

export class Platform {
  #resources;
  #pidFile;
  #token = randomBytes(32).toString('hex');
  /** @type {Miniflare | null} */
  #miniflare = null;
  #state = NOTHING;
  /** @type {string | null} what runs inside workerd; null: nothing, or nobody knows */
  #running = null;
  /** @type {Promise<unknown>} */
  #lastChange = Promise.resolve();
  #traffic = new Traffic();
  #frontDoor = new FrontDoor(this.#traffic, (service) => this.#locate(service));
  #gateway = new GatewayClient(this.#token, () => this.#locate(SYSTEM_WORKER));
  #crons = new CronClock((worker, cron, time) => this.#runScheduled(worker, cron, time));
  #watchdog = new Watchdog(
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
   * Calls the gateway, during a reload after it.
   *
   * @param {string} path
   * @param {object} body
   * @returns {Promise<any>}
   */
  async call(path, body) {
    await this.#started();
    const leave = await this.#traffic.enter();
    try {
      return await this.#gateway.call(path, body);
    } finally {
      leave();
    }
  }

  /**
   * Deletes a database from the disk.
   *
   * @param {string} id
   */
  deleteDatabase(id) {
    removeObject(join(this.#resources, D1_FOLDER), objectId(D1_NAMESPACE, id));
  }

  async dispose() {
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
    const opened = await this.#frontDoor.open(next.workers.map(({ port }) => port));
    try {
      await this.#reload(next).catch((error) => {
        this.#frontDoor.close(opened);
        throw error;
      });
      const gone = this.#state.queues.filter(({ id }) => !next.queues.some((queue) => queue.id === id));
      this.#state = next;
      this.#frontDoor.route(next.workers);
      this.#crons.set(next.workers);
      await this.#wakeQueues();
      await this.#gateway.call('/queues/destroy', { ids: gone.map(({ id }) => id) });
    } finally {
      this.#traffic.release(); // not before the queues know where their consumers run now
    }
  }

  /** @param {DesiredState} next */
  async #reload(next) {
    if (this.#running === runs(next)) return;
    this.#traffic.hold();
    await this.#drain();
    try {
      await this.#run(next);
    } catch (error) {
      await this.#run(this.#state);
      await this.#wakeQueues();
      throw invalidWorker(error);
    }
  }

  async #drain() {
    if (this.#running === null) return;
    const milliseconds = DRAIN_SECONDS * 1000;
    const ids = this.#state.queues.map(({ id }) => id);
    const batches = this.#gateway.call('/queues/drain', { ids, milliseconds });
    await Promise.all([
      this.#traffic.drained(milliseconds),
      batches.catch(() => log('warn', 'reloading without waiting for running batches: the runtime stopped')),
    ]);
  }

  /** @param {DesiredState} state */
  async #run(state) {
    const options = this.#options(state);
    this.#running = null;
    if (this.#miniflare === null) await this.#start(options, state);
    else await this.#miniflare.setOptions(options);
    this.#running = runs(state);
  }

  /**
   * @param {MiniflareOptions} options
   * @param {DesiredState} state
   */
  async #start(options, state) {
    this.#forgetOtherQueues(state);
    const miniflare = new Miniflare(options);
    try {
      await miniflare.ready;
    } catch (error) {
      await miniflare.dispose().catch(() => {}); // rejects with the error that is thrown here
      throw error;
    }
    this.#miniflare = miniflare;
    this.#watchdog.start();
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
      unsafeHandleRuntimeRestart: () => this.#wakeQueues(),
      handleStructuredLogs: (/** @type {{level: string, message: string}} */ { level, message }) => {
        const line = runtimeLine(message);
        if (line !== null) log(level === 'error' ? 'error' : 'warn', line);
      },
      workers: workerOptions(state, {
        token: this.#token,
        receiveLog: (worker, lines) => lines.forEach((line) => logWorkerLine(worker, line)),
      }),
    };
  }

  /** Tells every queue its settings; a queue does nothing by itself before that. */
  async #wakeQueues() {
    await this.#gateway.call('/queues/configure', { queues: queueSettings(this.#state) });
  }

  /**
   * Queues that were deleted while nothing ran lose their messages now.
   *
   * @param {DesiredState} state
   */
  #forgetOtherQueues(state) {
    const folder = join(this.#resources, QUEUE_FOLDER);
    mkdirSync(folder, { recursive: true });
    removeOtherObjects(folder, new Set(state.queues.map(({ id }) => objectId(QUEUE_NAMESPACE, id))));
  }

  /**
   * @param {Worker} worker
   * @param {string} cron
   * @param {number} scheduledTime
   */
  async #runScheduled(worker, cron, scheduledTime) {
    try {
      await this.call('/scheduled', { targets: targets(worker), cron, scheduledTime });
    } catch (error) {
      log('error', `cron "${cron}" of ${worker.name} did not run: ${error instanceof Error ? error.message : error}`);
    }
  }

  #endBusyRuntime() {
    if (this.workerdPid === null) return;
    log('error', `restarting the runtime: a Worker kept it busy for ${CPU_LIMIT_SECONDS} s, Cloudflare's CPU limit`);
    process.kill(this.workerdPid, 'SIGKILL'); // Miniflare starts another
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
function runs({ workers }) {
  return JSON.stringify(
    workers.map(({ name, versions }) => [name, versions.map(({ percentage: _percentage, ...version }) => version)]),
  );
}
