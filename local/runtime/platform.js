/** The running platform: one Miniflare instance, which holds workerd, and all that must change together with it. */

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Log, LogLevel, Miniflare, MiniflareCoreError } from 'miniflare';

import { CronClock } from './cron_clock.js';
import { NOTHING, queueSettings, targets, workflowSettings } from './desired_state.js';
import { reached } from './fault_points.js';
import { FrontDoor } from './front_door.js';
import { GatewayClient } from './gateway_client.js';
import { log, logWorkerLines, reportEvents } from './log.js';
import { objectId, objectIds, removeFolder, removeObject } from './object_files.js';
import { Traffic } from './traffic.js';
import { Watchdog } from './watchdog.js';
import { KV_NAMESPACE, SYSTEM_WORKER, workerOptions } from './worker_options.js';
import { cleaned, refusedWorker, runtimeLine } from './workerd_errors.js';
import { WORKERD_PID_FILE } from './workerd_supervisor.js';

/**
 * @import { IncomingMessage, ServerResponse } from 'node:http'
 * @import { MiniflareOptions } from 'miniflare'
 * @import { DesiredState } from './desired_state.js'
 * @import { TailReport } from './system/logging.js'
 */

/** How long a reload waits for requests and batches that are under way. */
const DRAIN_SECONDS = 10;
/** Miniflare's code for a port that somebody else has. */
const PORT_TAKEN = 'ERR_ADDRESS_IN_USE';
/** Cloudflare's default for the CPU time of one invocation. */
const CPU_LIMIT_SECONDS = 30;
/** Where the control plane lays out what versions serve. */
const SITES_FOLDER = join('assets', 'sites');
/** Where Miniflare keeps Durable Objects and D1 databases, under its own folder. */
const OBJECTS_FOLDER = 'do';
const KV_FOLDER = join(OBJECTS_FOLDER, KV_NAMESPACE);
/** Where Miniflare keeps the instances of workflows: each workflow's in a folder of its own. */
const INSTANCES_FOLDER = 'workflows';
const INSTANCES_PREFIX = 'miniflare-workflows-';
const D1_NAMESPACE = 'miniflare-D1DatabaseObject';
const D1_FOLDER = join('d1', D1_NAMESPACE);
/** Where Miniflare keeps buckets: what each has in the objects' folder, and its blobs in a folder of its own. */
const R2_FOLDER = 'r2';
const R2_NAMESPACE = 'miniflare-R2BucketObject';

export class Platform {
  #resources;
  #sites;
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
  #crons = new CronClock((worker, cron, time) => this.#runScheduled(worker.name, cron, time));
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
    this.#sites = join(stateDir, SITES_FOLDER);
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
  call(path, body) {
    return this.#betweenReloads(() => this.#gateway.call(path, body));
  }

  /**
   * Passes a request on to the gateway, during a reload after it.
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
   * Deletes the messages of a queue that is not in the state any more.
   *
   * @param {string} id
   */
  async deleteQueue(id) {
    await this.call('/queues/destroy', { id });
  }

  /**
   * Deletes the instances of a workflow that is not in the state any more.
   *
   * @param {string} id
   */
  async deleteWorkflow(id) {
    await this.call('/workflows/destroy', { id });
    removeFolder(this.#instancesFolder(id));
  }

  /**
   * Deletes a database from the disk.
   *
   * @param {string} id
   */
  deleteDatabase(id) {
    removeObject(join(this.#resources, D1_FOLDER), objectId(D1_NAMESPACE, id));
  }

  /**
   * Deletes a KV namespace from the disk.
   *
   * @param {string} id
   */
  deleteKvNamespace(id) {
    removeObject(join(this.#resources, KV_FOLDER), objectId(KV_NAMESPACE, id));
  }

  /**
   * Deletes a bucket from the disk.
   *
   * @param {string} id that no other bucket will have: what has the files open may go on for a while
   */
  deleteBucket(id) {
    removeObject(join(this.#resources, R2_FOLDER, R2_NAMESPACE), objectId(R2_NAMESPACE, id));
    removeFolder(join(this.#resources, R2_FOLDER, id));
  }

  /**
   * The Durable Objects of a namespace that have a file.
   *
   * @param {string} namespaceId
   */
  listObjects(namespaceId) {
    return objectIds(join(this.#resources, OBJECTS_FOLDER, namespaceId));
  }

  /**
   * Deletes all Durable Objects of a namespace from the disk.
   *
   * @param {string} namespaceId of a class that no version hosts any more
   */
  deleteObjects(namespaceId) {
    removeFolder(join(this.#resources, OBJECTS_FOLDER, namespaceId));
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
      const queues = gone(this.#state.queues, next.queues);
      const workflows = gone(this.#state.workflows, next.workflows);
      this.#state = next;
      this.#frontDoor.route(next.workers);
      this.#crons.set(next.workers);
      reached('change: routed');
      await this.#wake();
      reached('change: told');
      // They lose their data when that is asked for: the state before may be put in force again.
      await this.#gateway.call('/queues/retire', { ids: queues });
      await this.#gateway.call('/workflows/retire', { ids: workflows });
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
    const batches = this.#gateway.call('/queues/drain', { ids: ids(this.#state.queues), milliseconds });
    const steps = this.#gateway.call('/workflows/drain', { ids: ids(this.#state.workflows), milliseconds });
    await Promise.all([
      this.#traffic.drained(milliseconds),
      batches.catch(() => log('warn', 'reloading without waiting for running batches: the runtime stopped')),
      steps.catch(() => log('warn', 'reloading without waiting for steps of workflows: the runtime stopped')),
    ]);
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
      workers: workerOptions(state, { token: this.#token, receive: report }, this.#sites),
    };
  }

  /** Tells every queue and workflow its settings; they do nothing by themselves before that. And who is listened to. */
  async #wake() {
    const tailed = this.#state.workers.filter((worker) => worker.tailed).map(({ name }) => name);
    await this.#gateway.call('/tails/configure', { workers: tailed });
    await this.#gateway.call('/queues/configure', { queues: queueSettings(this.#state) });
    await this.#gateway.call('/workflows/configure', { workflows: workflowSettings(this.#state) });
  }

  /** @param {string} workflowId */
  #instancesFolder(workflowId) {
    return join(this.#resources, INSTANCES_FOLDER, INSTANCES_PREFIX + workflowId);
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
function runs({ workers, workflows }) {
  return JSON.stringify([
    workers
      .filter(({ versions }) => versions.length > 0)
      .map(({ name, versions }) => [name, versions.map(({ percentage: _percentage, ...version }) => version)]),
    workflows.map(({ version_id: _version, ...workflow }) => workflow),
  ]);
}

/** @param {{id: string}[]} things */
function ids(things) {
  return things.map(({ id }) => id);
}

/**
 * @param {{id: string}[]} before
 * @param {{id: string}[]} after
 * @returns {string[]} ids
 */
function gone(before, after) {
  const kept = new Set(ids(after));
  return ids(before).filter((id) => !kept.has(id));
}
