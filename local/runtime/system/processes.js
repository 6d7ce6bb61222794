/**
 * The processes of Workers as seen from the store: where each Worker and each guest (an object of ours there) is, whether the process is running, and
 * which calls are in progress. Node sends this; an isolate has one such record for all its objects.
 */

import { guestName } from './guest_name.js';
import { SERVICE_PREFIX } from './miniflare_internals.js';
import { pickTarget } from './percentages.js';

/**
 * @import { Target } from '../desired_state.js'
 * @import { Dispatcher } from './dispatcher.js'
 *
 * @typedef {{id: string, address: string, runs: boolean, services: string[], guests: string[]}} WorkerProcess `guests` are named as by `guestName`
 * @typedef {{fetch: Fetcher['fetch']}} Starter
 * @typedef {{connect(address: string): {getEntrypoint(service: string, entrypoint: string): Service<Dispatcher>}}} DebugPort
 * @typedef {{PROCESSES: Starter, DEBUG_PORT: DebugPort}} Env
 * @typedef {Service<Dispatcher>} Host
 */

/** The host Worker, which is in each process of Workers. */
const HOST_SERVICE = `${SERVICE_PREFIX}local:host`;

/** How long to wait, right after a start, for Node's information. */
const PATIENCE_MS = 10_000;
const POLL_MS = 10;

/** @type {WorkerProcess[]} */
let processes = [];
/** Whether all objects have received their settings since the start. */
let isAwake = false;
/** @type {Map<string, number>} calls under way, by process */
const calls = new Map();
/** @type {Map<string, number>} calls that were ever begun, by process */
const begun = new Map();
/** @type {Map<string, number>} when the last call of each process ended, in milliseconds since 1970 */
const ended = new Map();
/** @type {{id: string, resolve: () => void}[]} */
const waiting = [];

/** A call that did not reach its process: nothing of it has run. */
export class Unreached extends Error {}

/** @param {{processes: WorkerProcess[], is_awake: boolean}} told */
export function setProcesses(told) {
  processes = told.processes;
  isAwake ||= told.is_awake;
}

/**
 * Picks where one invocation goes, by the deployment's percentages; null if none of the versions is running anywhere.
 *
 * @param {Target[]} targets
 * @returns {{service: string, process: WorkerProcess} | null}
 */
export function pickVersion(targets) {
  const found = new Map(processes.flatMap((process) => process.services.map((service) => [service, process])));
  const chosen = pickTarget(targets.filter(({ service }) => found.has(service)));
  const process = chosen && found.get(chosen.service);
  return process ? { service: chosen.service, process } : null;
}

/**
 * Returns where a guest of a Worker runs.
 *
 * @param {string} kind
 * @param {string} id
 */
export async function processOfGuest(kind, id) {
  await awake();
  return processes.find(({ guests }) => guests.includes(guestName(kind, id))) ?? null;
}

/** Waits, right after a start, until everything has been received. */
export async function awake() {
  for (const deadline = Date.now() + PATIENCE_MS; !isAwake && Date.now() < deadline;) await scheduler.wait(POLL_MS);
}

/**
 * Returns how often a process was called, and when the last call ended.
 *
 * @param {string} id
 */
export function callsOf(id) {
  return { begun: begun.get(id) ?? 0, last_ended_ms: ended.get(id) ?? 0 };
}

/**
 * Waits until no calls from here are running in a process any more, or the time is up; returns which.
 *
 * @param {string} id the process's id
 * @param {number} milliseconds
 * @returns {Promise<boolean>}
 */
export async function finished(id, milliseconds) {
  if (!calls.get(id)) return true;
  /** @type {Promise<boolean>} */
  const end = new Promise((resolve) => waiting.push({ id, resolve: () => resolve(true) }));
  return Promise.race([end, scheduler.wait(milliseconds).then(() => false)]);
}

/**
 * Makes a call during which a process must not be ended.
 *
 * @template T
 * @param {string} id the process's id
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
export async function counted(id, call) {
  for (const count of [calls, begun]) count.set(id, (count.get(id) ?? 0) + 1);
  try {
    return await call();
  } finally {
    leave(id);
  }
}

/** @param {string} id */
function leave(id) {
  ended.set(id, Date.now());
  const left = (calls.get(id) ?? 1) - 1;
  if (left > 0) return calls.set(id, left);
  calls.delete(id);
  for (const one of waiting.splice(0)) one.id === id ? one.resolve() : waiting.push(one);
}

/** One object's connections to processes: a connection belongs to the object that opened it. */
export class Hosts {
  #env;
  /** @type {Map<string, Host>} by address */
  #hosts = new Map();

  /** @param {Env} env */
  constructor(env) {
    this.#env = env;
  }

  /**
   * Calls a process, which is started if it is not running. Throws Unreached if nothing of the call has run.
   *
   * @template T
   * @param {WorkerProcess} process
   * @param {(host: Host) => Promise<T>} call
   * @returns {Promise<T>}
   */
  async call(process, call) {
    await this.reach(process);
    try {
      return await this.#send(process.address, call);
    } catch (error) {
      if (!(error instanceof Unreached)) throw error;
      await this.#start(process); // it crashed, or was replaced
      return await this.#send(process.address, call);
    }
  }

  /**
   * Starts a process that is not running.
   *
   * @param {WorkerProcess} process
   */
  async reach(process) {
    if (!process.runs) await this.#start(process);
  }

  /** @param {WorkerProcess} process */
  async #start(process) {
    const response = await this.#env.PROCESSES.fetch('http://processes/', { method: 'POST', body: process.id });
    if (!response.ok) throw new Unreached(await response.text());
    process.runs = true;
  }

  /**
   * @template T
   * @param {string} address
   * @param {(host: Host) => Promise<T>} call
   * @returns {Promise<T>}
   */
  async #send(address, call) {
    let host = this.#hosts.get(address);
    if (!host) {
      for (const known of this.#hosts.keys()) if (!processes.some((one) => one.address === known)) this.#hosts.delete(known);
      host = this.#env.DEBUG_PORT.connect(`unix:${address}`).getEntrypoint(HOST_SERVICE, 'Dispatcher');
      this.#hosts.set(address, host);
    }
    const arrived = host.arrived();
    const result = call(host);
    result.catch(() => {}); // handled below, unless the call has not arrived
    try {
      await arrived;
    } catch (error) {
      this.#hosts.delete(address);
      throw new Unreached(String(error));
    }
    return result;
  }
}
