/** The processes of Workers: one for each group, started on demand, and replaced when the group changes. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { HOST_WORKER } from './bindings.js';
import { objectPath } from './gateway_client.js';
import { log, logWorkerLines, reportEvents } from './log.js';
import { guestName } from './system/guest_name.js';
import { pickTarget } from './system/percentages.js';
import { neighbours } from './worker_groups.js';
import { groupOptions } from './worker_options.js';
import { WorkerdProcess } from './workerd_process.js';

/**
 * @import { Target } from './desired_state.js'
 * @import { Admission } from './front_door.js'
 * @import { ObjectFiles } from './object_files.js'
 * @import { Folders } from './worker_options.js'
 * @import { WorkerGroup } from './worker_groups.js'
 *
 * @typedef {{
 *   token: string,
 *   resources: string,
 *   temporary: string,
 *   folders: Folders,
 *   files: ObjectFiles,
 *   store: WorkerdProcess,
 *   tell: () => Promise<void>,
 *   started: (process: WorkerdProcess, group: WorkerGroup | null) => Promise<void>,
 *   awaken: () => Promise<void>,
 * }} Surroundings `tell` tells the store which processes there are; `started` is called after each start of a process, with
 *   its group if that is in use, and `awaken` has the store look for what it could not do before
 * @typedef {{group: WorkerGroup, process: WorkerdProcess, isRetired: boolean}} WorkerProcess
 */

/** How long to wait for running requests, batches and steps when objects move from one process to another. */
const DRAIN_MS = 10_000;
/** The longest that a process outlives its Workers: Cloudflare's wall-clock limit of a batch or a cron. */
const RETIREMENT_MS = 900_000;
/** Cloudflare's limit of `waitUntil` after the answer. */
const WAIT_UNTIL_MS = 30_000;
const ENDED_POLL_MS = 250;
/** How many processes may be idle. The least recently used ones are ended, and start again on demand. */
const MOST_IDLE = 8;
/** Longer than `waitUntil` may take. */
const IDLE_MS = 60_000;

export class WorkerProcesses {
  #surroundings;
  #number = 0;
  /** @type {Map<string, WorkerProcess>} by the group's signature */
  #current = new Map();
  /** @type {Map<string, WorkerProcess>} by service */
  #byService = new Map();
  /** @type {Set<WorkerProcess>} what their Workers have left, and some request or batch has not */
  #retired = new Set();
  /** @type {Set<WorkerdProcess>} whose objects are being taken over */
  #held = new Set();
  /** @type {Set<WorkerdProcess>} ended, so that others can open the files of their objects */
  #yielded = new Set();
  /** @type {Map<WorkerdProcess, Promise<void>>} idle ones on their way to an end, and that */
  #ending = new Map();

  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.#surroundings = surroundings;
  }

  /** All processes, retired ones included. */
  get all() {
    return [...this.#current.values(), ...this.#retired];
  }

  /** What the store is told about the processes in use. */
  get told() {
    return [...this.#current.values()].map(({ group, process }) => ({
      id: process.id,
      address: debugSocket(process.id),
      runs: process.runs && !this.#ending.has(process),
      services: this.#held.has(process) ? [] : group.services,
      guests: group.guests.map(({ kind, id }) => guestName(kind, id)),
    }));
  }

  /**
   * Admits an invocation to the process of a version; waits while that is being replaced, and then picks again.
   *
   * @param {() => Target | null} pick
   * @returns {Promise<Admission | null>} null if nothing is picked
   */
  async admit(pick) {
    for (;;) {
      const target = pick();
      const found = target && this.#byService.get(target.service);
      if (!target || !found) return null;
      const visit = await found.process.traffic.enter();
      if (this.#byService.get(target.service) === found) return { service: target.service, process: found.process, visit };
      visit.leave();
    }
  }

  /**
   * Runs the `scheduled` handler of a Worker.
   *
   * @param {() => Target[]} targets returns the Worker's targets, when it can run
   * @param {string} cron
   * @param {number} scheduledTime
   */
  async runScheduled(targets, cron, scheduledTime) {
    const admission = await this.admit(() => pickTarget(targets()));
    if (admission === null) throw new Error('the Worker is not deployed any more');
    const { service, process, visit } = admission;
    try {
      await process.call(objectPath('workers', service, 'scheduled'), { cron, scheduled_ms: scheduledTime });
    } finally {
      visit.leave();
    }
  }

  /**
   * Starts a process on the store's request. One that has ended for another to take over its objects does not start beside that one.
   *
   * @param {string} id
   */
  async start(id) {
    const found = this.all.find(({ process }) => process.id === id);
    while (found && this.#yielded.has(found.process)) await found.process.traffic.opened();
    if (!found || (found.isRetired && found.group.folders.length > 0)) throw new Error(`there is no process ${id} any more`);
    await this.#ending.get(found.process);
    await found.process.start();
  }

  /**
   * Calls all running processes.
   *
   * @param {string} path
   * @param {object} body
   */
  async callEach(path, body) {
    const running = this.all.filter(({ process }) => process.runs);
    await Promise.all(running.map(({ process }) => process.call(path, body).catch(() => {}))); // one may just be ending or restarting
  }

  /**
   * Makes groups the running ones. An unchanged group that is running is not affected. If objects move from one process to another, the former
   * process ends first, because only one may have their files open; other processes end when all their work has ended. If a group does not start,
   * everything is as before, and the error is Miniflare's.
   *
   * @param {WorkerGroup[]} groups
   * @param {{starts: boolean, commit: () => Promise<void>}} options whether the new processes are started now; `commit` routes invocations, once the
   *   processes exist
   */
  async change(groups, { starts, commit }) {
    const wanted = new Set(groups.map(({ signature }) => signature));
    const leaving = [...this.#current.values()].filter(({ group }) => !wanted.has(group.signature));
    const coming = groups.filter(({ signature }) => !this.#current.has(signature)).map((group) => this.#create(group));
    const yielding = leaving.filter(({ group }) => group.folders.length > 0);
    try {
      await this.#yield(yielding);
      await this.#exchange(leaving, coming, starts);
      await commit();
    } finally {
      const left = leaving.filter((one) => this.#current.get(one.group.signature) !== one);
      for (const one of left) this.#retire(one); // not before the store knows of it
      for (const { process } of yielding) {
        this.#held.delete(process);
        this.#yielded.delete(process);
        process.traffic.release();
      }
      if (yielding.length > 0) await this.#goOn([...coming, ...yielding]);
    }
    if (!starts) this.#startInTheBackground();
  }

  /**
   * @param {WorkerProcess[]} leaving
   * @param {WorkerProcess[]} coming
   * @param {boolean} starts
   */
  async #exchange(leaving, coming, starts) {
    try {
      if (starts) await Promise.all(coming.map(({ process }) => process.start()));
    } catch (error) {
      await Promise.all(coming.map(({ process }) => process.stop()));
      throw error;
    }
    for (const { group } of leaving) this.#current.delete(group.signature);
    for (const one of coming) this.#current.set(one.group.signature, one);
    this.#byService = new Map(
      [...this.#current.values()].flatMap((one) => one.group.services.map((service) => [service, one])),
    );
  }

  async stop() {
    await Promise.all(this.all.map(({ process }) => process.stop()));
  }

  /**
   * @param {WorkerGroup} group
   * @returns {WorkerProcess}
   */
  #create(group) {
    const { token, resources, temporary, folders } = this.#surroundings;
    this.#number += 1;
    const id = `worker-${this.#number}`;
    /** @type {WorkerdProcess} */
    const process = new WorkerdProcess({
      id,
      gatewayWorker: HOST_WORKER,
      token,
      resources,
      temporary,
      debugSocket: debugSocket(id),
      workers: () => groupOptions(group, { token, receive, cache: made(join(process.folder, 'cache')) }, folders),
      onStart: () => this.#surroundings.started(process, this.#isCurrent(process, group) ? group : null),
      onLost: () => {}, // it starts again on demand
    });
    return { group, process, isRetired: false };
  }

  /**
   * Whether a group still runs in a process.
   *
   * @param {WorkerdProcess} process
   * @param {WorkerGroup} group
   */
  #isCurrent(process, { signature }) {
    return this.#current.get(signature)?.process === process;
  }

  /**
   * Resumes what waited while objects moved to another process: guests of the processes that have them now, and queues, whose batches had no
   * consumer.
   *
   * @param {WorkerProcess[]} candidates
   */
  async #goOn(candidates) {
    const { started, tell, awaken } = this.#surroundings;
    await tell();
    for (const { group, process } of candidates) {
      if (!this.#isCurrent(process, group)) continue;
      // A process that was to be replaced, and was not, starts again: nothing else would start it for its objects' alarms.
      await (process.runs ? started(process, group) : process.start());
    }
    await awaken();
  }

  /**
   * Ends processes whose objects move to others.
   *
   * @param {WorkerProcess[]} yielding
   */
  async #yield(yielding) {
    if (yielding.length === 0) return;
    for (const { process } of yielding) {
      process.traffic.hold();
      this.#held.add(process);
    }
    const { store } = this.#surroundings;
    await this.#surroundings.tell();
    await Promise.all(
      yielding.map(async ({ group, process }) => {
        const milliseconds = DRAIN_MS;
        if (process.runs) {
          await Promise.all(group.guests.map(({ kind, id }) => store.call(objectPath(kind, id, 'drain'), { milliseconds })));
        }
        await Promise.all([process.traffic.answered(milliseconds), this.#finished(process, milliseconds)]);
        this.#yielded.add(process);
        await process.stop();
      }),
    );
  }

  /**
   * Ends a process when all its work has ended.
   *
   * @param {WorkerProcess} one
   */
  async #retire(one) {
    one.isRetired = true;
    this.#retired.add(one);
    const { process } = one;
    try {
      if (process.runs) {
        await Promise.all([process.traffic.left(RETIREMENT_MS), this.#finished(process, RETIREMENT_MS)]);
        await this.#waitUntilEnded(one);
      }
    } catch (error) {
      log('warn', `a process ended before all that it did had ended: ${error}`);
    } finally {
      await process.stop();
      this.#retired.delete(one);
    }
  }

  /**
   * Waits until no calls of the store are running in a process any more, or the time is up.
   *
   * @param {WorkerdProcess} process
   * @param {number} milliseconds
   * @returns {Promise<{is_finished: boolean, begun: number, last_ended_ms: number}>} and how many calls there were in all
   */
  #finished(process, milliseconds) {
    return this.#surroundings.store.call(objectPath('processes', process.id, 'finished'), { milliseconds });
  }

  /**
   * Waits for the work that invocations do after their answers (`waitUntil`). A Worker alone reports the end of each invocation; if Workers call each
   * other, it is unknown which one has ended.
   *
   * @param {WorkerProcess} one
   */
  async #waitUntilEnded({ group, process }) {
    const deadline = Date.now() + WAIT_UNTIL_MS;
    const { begun } = await this.#finished(process, 0);
    while (Date.now() < deadline) {
      const { invocations } = await process.call(objectPath('tails', 'all', 'ended'), {});
      if (isAlone(group) && invocations >= begun + process.traffic.begun) return;
      await new Promise((resolve) => setTimeout(resolve, ENDED_POLL_MS));
    }
  }

  /** After a start of everything, starts the processes with objects, which may have alarms that no request triggers. Other processes start on demand. */
  async #startInTheBackground() {
    const { files } = this.#surroundings;
    for (const { group, process } of [...this.#current.values()]) {
      if (!group.folders.some((folder) => files.ids(folder).length > 0) || !this.#isCurrent(process, group)) continue;
      await process.start().catch((error) => log('error', `the Workers ${group.services.join(', ')} do not start: ${error}`));
    }
  }

  /** Ends processes that are not needed now, if there are many. Objects may have alarms, so their processes stay. */
  endIdle() {
    const since = Date.now() - IDLE_MS;
    const idle = [...this.#current.values()]
      .filter(({ group, process }) => process.runs && group.folders.length === 0 && process.traffic.isIdle)
      .sort((one, other) => other.process.traffic.lastLeft - one.process.traffic.lastLeft);
    for (const { process } of idle.slice(MOST_IDLE)) {
      if (process.traffic.lastLeft > since || this.#ending.has(process)) continue;
      const end = this.#end(process)
        .catch((error) => log('warn', `an idle process could not be ended: ${error}`))
        .finally(() => this.#ending.delete(process));
      this.#ending.set(process, end);
    }
  }

  /**
   * Ends an idle process, unless a request has come meanwhile; the next request starts it again.
   *
   * @param {WorkerdProcess} process
   */
  async #end(process) {
    process.traffic.hold();
    try {
      await null; // until it is marked as ending
      await this.#surroundings.tell();
      const { is_finished, last_ended_ms } = await this.#finished(process, 0);
      if (is_finished && last_ended_ms < Date.now() - IDLE_MS && process.traffic.isIdle) await process.stop();
    } finally {
      process.traffic.release();
    }
  }
}

/** @param {WorkerGroup} group */
function isAlone({ workers, services }) {
  return services.length === 1 && workers.every((worker) => neighbours(worker).length === 0);
}

/** @param {string} folder */
function made(folder) {
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** @param {string} id the process's id */
function debugSocket(id) {
  return join(id, 'debug.sock');
}

/** @param {import('./system/logging.js').TailReport} report */
function receive({ worker, lines, events }) {
  logWorkerLines(worker, lines);
  reportEvents(worker, events);
}
