/** The running platform: the store's process, the processes of the Workers, and everything that must change together with them. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { STORE_WORKER } from './bindings.js';
import { CronClock } from './cron_clock.js';
import { NOTHING, targets } from './desired_state.js';
import { DOOR_PATH } from './doors.js';
import { reached } from './fault_points.js';
import { FrontDoor } from './front_door.js';
import { objectPath } from './gateway_client.js';
import { log } from './log.js';
import { ObjectFiles } from './object_files.js';
import { MOVED_FOLDERS, PRODUCTS, STANDING, guests } from './products.js';
import { Trials } from './trial.js';
import { workerGroups } from './worker_groups.js';
import { storeOptions } from './worker_options.js';
import { WorkerProcesses } from './worker_processes.js';
import { refusedWorker } from './workerd_errors.js';
import { WorkerdProcess } from './workerd_process.js';

/**
 * @import { IncomingMessage, ServerResponse } from 'node:http'
 * @import { DesiredState, Version } from './desired_state.js'
 * @import { WorkerGroup } from './worker_groups.js'
 */

/** How often products delete data whose retention is over. */
const SWEEP_MS = 5_000;
/** The folder in which the control plane creates the files that versions serve. */
const SITES_FOLDER = join('assets', 'sites');
/** The folder with modules' contents, each in a file named by its SHA-256. */
const CODE_FOLDER = 'modules';

export class Platform {
  #files;
  #trials;
  #store;
  #processes;
  #state = NOTHING;
  /** Whether a state was accepted: after that, changes start what they add. */
  #isAccepted = false;
  /** @type {Map<string, string>} the settings that were told, by kind and id */
  #told = new Map();
  /** @type {Promise<unknown>} */
  #lastChange = Promise.resolve();
  #frontDoor = new FrontDoor((pick) => this.#processes.admit(pick));
  #crons = new CronClock((worker, cron, time) => this.#runScheduled(worker.name, cron, time));
  #sweeper = setInterval(() => this.#sweep().catch((error) => log('warn', `what has been kept for long enough stays for now: ${error.message}`)), SWEEP_MS);

  /**
   * @param {string} stateDir the folder for what outlives this process
   * @param {string} temporary the folder in which it runs
   */
  constructor(stateDir, temporary) {
    const token = randomBytes(32).toString('hex');
    const resources = join(stateDir, 'resources');
    const folders = { sites: join(stateDir, SITES_FOLDER), code: join(stateDir, CODE_FOLDER) };
    this.#files = new ObjectFiles(resources);
    for (const [from, to] of MOVED_FOLDERS) this.#files.moveFolder(from, to);
    this.#trials = new Trials(folders.code);
    this.#store = new WorkerdProcess({
      id: 'store',
      gatewayWorker: STORE_WORKER,
      token,
      resources,
      temporary,
      sockets: [DOOR_PATH],
      workers: () => storeOptions({ token, start: (id) => this.#processes.start(id) }),
      onStart: () => this.#wake(),
      onLost: () => process.exit(1), // the supervisor of this process starts a new one
    });
    this.#processes = new WorkerProcesses({
      token,
      resources,
      temporary,
      folders,
      files: this.#files,
      store: this.#store,
      tell: () => this.#tellProcesses(),
      started: (one, group) => this.#tellProcess(one, group),
      awaken: () => this.#awaken(),
    });
  }

  /** The process ids of the store and of each process of Workers. */
  get health() {
    const processes = this.#processes.all.map(({ group, process, isRetired }) => (
      { pid: process.pid, services: group.services, is_retired: isRetired }
    ));
    return { store_pid: this.#store.pid, processes };
  }

  /**
   * Makes a state the running one. If it fails, with `invalid_worker` or `port_in_use`, the previous state stays.
   *
   * @param {DesiredState} next
   * @returns {Promise<void>}
   */
  apply(next) {
    return this.#serially(() => this.#apply(next));
  }

  /**
   * Tries an upload. Throws an `invalid_worker` error, with workerd's own message, if it does not start.
   *
   * @param {Version} version
   */
  validate(version) {
    return this.#trials.of(version);
  }

  /**
   * Calls a method of an object.
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
    const pass = () => this.#store.call(objectPath(kind, id, method), body);
    for (const { relays } of PRODUCTS) {
      const own = relays?.[kind]?.[method];
      if (own) return own(body, pass);
    }
    return pass();
  }

  /**
   * Passes a request for an object's bytes on to the store.
   *
   * @param {string} path
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   * @returns {Promise<void>}
   */
  pass(path, request, response) {
    return this.#store.gateway.pass(path, request, response);
  }

  /**
   * Deletes data that the state no longer contains.
   *
   * @param {string} kind
   * @param {string} id its id, which nothing else will have
   */
  async deleteData(kind, id) {
    if (STANDING[kind]?.leaves) await this.call(kind, id, 'destroy', {});
    for (const { remove } of PRODUCTS) remove?.[kind]?.(this.#files, id);
  }

  async dispose() {
    clearInterval(this.#sweeper);
    this.#crons.set([]);
    await Promise.all([this.#processes.stop(), this.#store.stop()]);
  }

  /** Ends processes that nothing needs, and deletes data whose retention is over. */
  async #sweep() {
    if (!this.#isAccepted) return;
    this.#processes.endIdle();
    for (const { sweep } of PRODUCTS) await sweep?.(this.#state, (...call) => this.call(...call), this.#files);
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
      await this.#store.start();
      reached('change: store started');
      await this.#processes.change(workerGroups(next), { starts: this.#isAccepted, commit: () => this.#commit(next) });
      reached('change: done');
    } catch (error) {
      if (this.#state !== next) this.#frontDoor.close(opened);
      throw refusedWorker(error);
    }
  }

  /** @param {DesiredState} next a state whose processes are running */
  async #commit(next) {
    reached('change: processes started');
    const before = this.#state;
    this.#state = next;
    this.#isAccepted = true;
    this.#frontDoor.route(next);
    this.#crons.set(next.workers);
    reached('change: routed');
    await this.#tellProcesses();
    await this.#tellSettings();
    reached('change: told');
    // Their data is deleted only on request: the previous state may be applied again.
    for (const [kind, { settings, leaves }] of Object.entries(STANDING)) {
      if (!leaves) continue;
      const left = gone(settings(before), settings(next));
      for (const id of Object.keys(left)) this.#told.delete(`${kind}/${id}`);
      await this.#store.call(`/each/${kind}/retire`, left);
    }
  }

  /** Tells a store that has just started everything that it needs: before that, nothing in it starts by itself. */
  async #wake() {
    this.#told.clear();
    await this.#tellProcesses();
    await this.#tellSettings();
    await this.#tellProcesses({ is_awake: true });
  }

  /** @param {{is_awake?: boolean}} [news] */
  async #tellProcesses({ is_awake = false } = {}) {
    if (!this.#store.runs) return;
    await this.#store.call(objectPath('processes', 'all', 'configure'), { processes: this.#processes.told, is_awake });
  }

  /** Sends new settings to the objects in the state. */
  async #tellSettings() {
    for (const [kind, { settings, inWorkers }] of Object.entries(STANDING)) {
      const news = Object.entries(settings(this.#state)).filter(([id, told]) => this.#isNews(`${kind}/${id}`, told));
      if (news.length === 0) continue;
      const path = `/each/${kind}/configure`;
      if (inWorkers) await this.#processes.callEach(path, Object.fromEntries(news));
      else await this.#store.call(path, Object.fromEntries(news));
    }
  }

  /**
   * Sends their settings to the objects in a process of Workers that has just started, and tells the store about these objects, so that they are
   * resumed.
   *
   * @param {WorkerdProcess} process
   * @param {WorkerGroup | null} group null: it is not in use yet
   */
  async #tellProcess(process, group) {
    for (const [kind, { settings, inWorkers }] of Object.entries(STANDING)) {
      if (inWorkers) await process.call(`/each/${kind}/configure`, settings(this.#state));
    }
    if (group === null || !this.#store.runs) return;
    await this.#tellProcesses();
    for (const { kind, id } of group.guests) {
      const settings = STANDING[kind]?.settings(this.#state)[id];
      if (settings) await this.#store.call(`/each/${kind}/configure`, { [id]: settings });
    }
  }

  /** Sends the settings to the objects in the store again, except those in processes of Workers, so that they find their pending work. */
  async #awaken() {
    const hosted = new Set(guests(this.#state).map(({ kind }) => kind));
    for (const [kind, { settings, inWorkers }] of Object.entries(STANDING)) {
      if (!inWorkers && !hosted.has(kind)) await this.#store.call(`/each/${kind}/configure`, settings(this.#state));
    }
  }

  /**
   * @param {string} name
   * @param {unknown} settings
   */
  #isNews(name, settings) {
    const text = JSON.stringify(settings);
    if (this.#told.get(name) === text) return false;
    this.#told.set(name, text);
    return true;
  }

  /**
   * @param {string} name the Worker's name
   * @param {string} cron
   * @param {number} scheduledTime
   */
  async #runScheduled(name, cron, scheduledTime) {
    try {
      const deployed = () => targets(this.#state.workers.find((candidate) => candidate.name === name));
      await this.#processes.runScheduled(deployed, cron, scheduledTime);
    } catch (error) {
      log('error', `cron "${cron}" of ${name} did not run: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/**
 * @param {Record<string, object>} before
 * @param {Record<string, object>} after
 * @returns {Record<string, object>} an empty body for each id that no longer exists
 */
function gone(before, after) {
  return Object.fromEntries(Object.keys(before).filter((id) => !(id in after)).map((id) => [id, {}]));
}
