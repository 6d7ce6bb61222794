/**
 * Task state in Durable Objects. There are several objects, each with a table of the tasks whose ids belong to it. Each object sweeps its own table.
 * It is emptied with its last task, once the last week has no statistics to show.
 */

import { DurableObject } from 'cloudflare:workers';

import { hasWork } from '../actions.js';
import { ALERTS_NOTE } from '../alerts.js';
import { followUpOf } from '../follow_up.js';
import { Invocation } from '../joint.js';
import { sweep } from '../sweeper.js';
import { workerVersion } from '../version.js';
import { stepsVersion, versionOf } from './changes.js';
import { askStore, REQUEST_PATIENCE_SECONDS, runner } from './connection.js';
import { toldUntil_ms } from './history.js';
import { NOTE } from './note_table.js';
import { PAUSES } from './pause_table.js';
import { SCHEDULES } from './schedule_table.js';
import { ShardedStore } from './sharded.js';
import { TaskTable } from './task_table.js';

/** @import { Engine } from '../engines/engine.js' */
/** @import { GroupSettings } from '../group.js' */
/** @import { SeenTask } from '../watch.js' */
/** @import { StepsVersion } from './changes.js' */
/** @import { Status } from '../task.js' */
/** @import { Schedule } from '../schedules.js' */
/** @import { Reading } from '../stack_schedules.js' */
/** @import { Fill, KeptSchedule, OpenTask, RunningVersion, Store } from './store.js' */
/** @import { VersionSettings } from '../version.js' */
/** @import { Row, Statement, TableSettings } from './task_table.js' */

/** @typedef {TableSettings & {TASK_DO: DurableObjectNamespace, JURISDICTION?: DurableObjectJurisdiction}} Env of the class that `taskObject` makes */

/** The default number of objects. One object handles about 1,000 requests a second
 * (https://developers.cloudflare.com/durable-objects/platform/limits/); a list queries all of them. */
const OBJECTS = 4;

/** How long statistics are reused, for each object. An open page queries each of them five times, and the Free plan has 100,000 object requests a day
 * (https://developers.cloudflare.com/durable-objects/platform/pricing/). */
const FRESH_SECONDS_AN_OBJECT = 7;

/** How often an object with tasks sweeps its table. */
const SWEEP_INTERVAL_MS = 60_000;
const SOONEST_SWEEP_MS = 1_000;

/** The largest database of an object (https://developers.cloudflare.com/durable-objects/platform/limits/). */
const OBJECT_LIMIT_BYTES = 10e9;

/** The interface of an object.
 *
 * @typedef {{run(statements: Statement[]): Promise<Row[][]>, size(): Promise<number>, workerVersion(): Promise<string | null>,
 *   changed(taskId: string, version: string, wait_ms: number): Promise<void>, stepsChanged(taskId: string, version: string, wait_ms: number): Promise<void>}} TaskObjectStub
 */

class ObjectTable extends TaskTable {
  /** @override */
  tells = true;

  /**
   * @param {string} name
   * @param {() => TaskObjectStub} stub
   * @param {number} patience_seconds
   * @param {Invocation} invocation
   * @param {Env} env
   */
  constructor(name, stub, patience_seconds, invocation, env) {
    super(runner({ binding: env.TASK_DO, name, isCounted: false }, patience_seconds, invocation, (statements) => stub().run(statements)), env);
    this.name = name;
    this.stub = stub;
  }

  /**
   * @override
   * @param {SeenTask} task
   * @param {number} wait_ms
   */
  async changed(task, wait_ms) {
    if (task.steps) await this.stub().stepsChanged(task.taskId, versionOf(task, stepsVersion(task.steps)), wait_ms);
    else await this.stub().changed(task.taskId, versionOf(task), wait_ms);
  }

  /**
   * @override
   * @returns {Promise<Fill[]>}
   */
  async fill() {
    return [{ name: this.name, bytes: await askStore(0, () => this.stub().size()), limit_bytes: OBJECT_LIMIT_BYTES }];
  }

  /**
   * @override
   * @returns {Promise<RunningVersion[]>}
   */
  async workerVersions() {
    return [{ name: this.name, version: await askStore(0, () => this.stub().workerVersion()) }];
  }
}

/**
 * @param {number} shards
 * @returns {number} the number of objects; one shard, the default, is {@link OBJECTS}
 */
function objectCount(shards) {
  return shards === 1 ? OBJECTS : shards;
}

/** @param {number[]} shardCounts the present number of shards, then those of earlier deployments */
export function durableObjects(shardCounts) {
  const counts = shardCounts.map(objectCount);
  const names = Array.from({ length: Math.max(...counts) }, (_, number) => `tasks-${number}`);
  return class DurableObjectStore extends ShardedStore {
    /**
     * @param {Env} env
     * @param {number} [patience_seconds]
     * @param {Invocation} [invocation]
     */
    constructor(env, patience_seconds = REQUEST_PATIENCE_SECONDS, invocation = new Invocation()) {
      const namespace = env.JURISDICTION ? env.TASK_DO.jurisdiction(env.JURISDICTION) : env.TASK_DO;
      // A new stub each time: a stub whose object was reset fails for ever
      // (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/).
      const stub = (/** @type {string} */ name) => /** @type {TaskObjectStub} */ (/** @type {unknown} */ (namespace.getByName(name)));
      super(names.map((name) => new ObjectTable(name, () => stub(name), patience_seconds, invocation, env)), counts);
    }

    /**
     * @override
     * @returns {AsyncGenerator<OpenTask[]>} nothing: each object rescues its own tasks
     */
    async *open() {}

    /** @override */
    async sweptSchedules() {
      return []; // the object runs them itself
    }

    /** @override */
    async waiting() {
      return []; // each object checks its own tasks
    }

    /** @override */
    async expire() {
      return 0;
    }

    /** @override */
    async refreshGroups() {
      return followUpOf();
    }

    /** @override */
    async tally() {}

    /** @override */
    async statistics() {
      return { ...await super.statistics(), fresh_until_ms: Date.now() + FRESH_SECONDS_AN_OBJECT * names.length * 1000 };
    }
  };
}

export const DurableObjectStore = durableObjects([1]);

/** The same as `stepsVersion`. */
const STEPS_VERSION = `
  SELECT count(*) AS count, coalesce(sum(status <> 'waiting'), 0) AS ended, coalesce(sum(attempts), 0) AS attempts, max(due_at) AS due_ms
  FROM steps WHERE taskId = ?`;

/**
 * @param {string} taskId
 * @returns {string} the key of those who also wait for a change of the task's steps
 */
function stepsOf(taskId) {
  return `${taskId} steps`;
}

/**
 * @param {KeptSchedule[]} schedules
 * @param {number} now_ms
 * @returns {number} the time of the next tick, but no later than the regular sweep, and not at once if a tick fails
 */
function nextSweep(schedules, now_ms) {
  const ticks = schedules.map(({ schedule }) => /** @type {Schedule} */ (JSON.parse(schedule)))
    .flatMap(({ paused, next_ms }) => (paused || next_ms === null ? [] : [next_ms]));
  return Math.max(now_ms + SOONEST_SWEEP_MS, Math.min(now_ms + SWEEP_INTERVAL_MS, ...ticks));
}

/**
 * Creates the class of the objects.
 *
 * @param {string[]} migrations the SQL migrations in their order; the same as D1's
 * @param {(env: any, store: Store) => Engine} engineOf creates the engine that submits a task again
 * @param {Pick<Reading, 'handlers' | 'Validator'> & {storeOf: (env: any) => Store}} parts `storeOf` returns the store of all objects
 */
export function taskObject(migrations, engineOf, { storeOf, ...parts }) {
  return class TaskObject extends /** @type {typeof DurableObject<TableSettings & VersionSettings & GroupSettings>} */ (DurableObject) {
    #isReady = false;

    /** Those who wait for a change, by task, or by the {@link stepsOf} of one. @type {Map<string, Set<() => void>>} */
    #waiting = new Map();

    /** The last known version of each task that somebody waits for. @type {Map<string, string | null>} */
    #versions = new Map();

    /**
     * Runs statements on the object's table, in one transaction.
     *
     * @param {Statement[]} statements
     * @returns {Promise<Row[][]>} the result of each statement
     */
    async run(statements) {
      const { storage } = this.ctx;
      let rowsWritten = 0;
      const rows = storage.transactionSync(() => {
        this.#migrate();
        return statements.map(({ sql, parameters }) => {
          const cursor = storage.sql.exec(sql, ...parameters);
          const found = cursor.toArray();
          rowsWritten += cursor.rowsWritten;
          return found;
        });
      });
      const soon_ms = Date.now() + SWEEP_INTERVAL_MS;
      if (rowsWritten > 0 && (await storage.getAlarm() ?? Infinity) > soon_ms) await storage.setAlarm(soon_ms);
      if (rowsWritten > 0) this.#tell();
      return rows;
    }

    /**
     * Waits until a task's version has changed, or the time is up.
     *
     * @param {string} taskId
     * @param {string} version the known version, see `versionOf`
     * @param {number} wait_ms
     */
    async changed(taskId, version, wait_ms) {
      await this.#changed(taskId, version, wait_ms);
    }

    /**
     * The same for the task with its steps.
     *
     * @param {string} taskId
     * @param {string} version
     * @param {number} wait_ms
     */
    async stepsChanged(taskId, version, wait_ms) {
      await this.#changed(stepsOf(taskId), version, wait_ms);
    }

    /**
     * @param {string} what a task, or a task with its steps
     * @param {string} version
     * @param {number} wait_ms
     */
    async #changed(what, version, wait_ms) {
      const now = this.#version(what);
      if (now !== null && now !== version) return;
      /** @type {PromiseWithResolvers<void>} */
      const { promise, resolve } = Promise.withResolvers();
      const waiting = this.#waiting.get(what) ?? new Set();
      this.#waiting.set(what, waiting.add(resolve));
      this.#versions.set(what, now);
      const timer = setTimeout(resolve, wait_ms);
      await promise;
      clearTimeout(timer);
      waiting.delete(resolve);
      if (waiting.size > 0 || this.#waiting.get(what) !== waiting) return;
      this.#waiting.delete(what);
      this.#versions.delete(what);
    }

    /** Notifies those who wait for a changed task. */
    #tell() {
      for (const [what, waiting] of this.#waiting) {
        const version = this.#version(what);
        if (version === this.#versions.get(what)) continue;
        this.#versions.set(what, version);
        for (const resolve of waiting) resolve();
      }
    }

    /**
     * @param {string} what a task, or a task with its steps
     * @returns {string | null} the version; null if there is no such task
     */
    #version(what) {
      this.#migrate();
      const { sql } = this.ctx.storage;
      const [taskId = '', steps] = what.split(' ');
      const [row] = sql.exec('SELECT status, run, attempts, crashes, progress FROM tasks WHERE taskId = ?', taskId).toArray();
      if (!row) return null;
      const { status, run, attempts, crashes, progress } = row;
      return versionOf({
        status: /** @type {Status} */ (status), run: Number(run), attempts: Number(attempts), crashes: Number(crashes),
        progress: JSON.parse(String(progress ?? 'null')),
      }, steps ? /** @type {StepsVersion} */ (sql.exec(STEPS_VERSION, taskId).one()) : undefined);
    }

    /** @returns {number} the size of the database, in bytes */
    size() {
      return this.ctx.storage.sql.databaseSize;
    }

    /** @returns {string | null} the version of the Worker whose code this object runs: after a deployment it keeps the old code for a while */
    workerVersion() {
      return workerVersion(this.env);
    }

    /**
     * Sweeps the table. With the last task everything else is deleted too, unless the object still has something to show or to remember.
     *
     * @override
     */
    async alarm() {
      const { storage } = this.ctx;
      const store = new TaskTable((statements) => this.run(statements), this.env);
      await sweep(store, engineOf(this.env, store), { env: /** @type {any} */ (this.env), ...parts }, () => {
        const all = storeOf(this.env);
        return { store: all, engine: engineOf(this.env, all) };
      });
      this.#migrate();
      const isEmpty = storage.sql.exec('SELECT 1 FROM tasks LIMIT 1').toArray().length === 0;
      const schedules = /** @type {KeptSchedule[]} */ (storage.sql.exec(SCHEDULES).toArray());
      const actions = /** @type {string | null} */ (storage.sql.exec(NOTE, 'actions').toArray()[0]?.['note'] ?? null);
      if (hasWork(actions)) return storage.setAlarm(Date.now() + SOONEST_SWEEP_MS);
      if (!isEmpty || schedules.length > 0) return storage.setAlarm(nextSweep(schedules, Date.now()));
      // The object is kept, but without a sweep: writing in this one has scheduled another, which is cancelled here. The next task schedules one.
      if (actions !== null || this.#isToBeKept()) return storage.deleteAlarm();
      const told_until_ms = this.#toldUntil_ms();
      if (told_until_ms > Date.now()) return storage.setAlarm(told_until_ms);
      this.#isReady = false; // there was no await since the table was checked: no task can have come
      return storage.deleteAll();
    }

    /** @returns {boolean} whether an object without tasks is still needed for an alert that fires, or a pause */
    #isToBeKept() {
      const { sql } = this.ctx.storage;
      return [sql.exec(NOTE, ALERTS_NOTE), sql.exec(PAUSES)].some((cursor) => cursor.toArray().length > 0);
    }

    /** @returns {number} until when its history of the last week tells something; 0 where it tells nothing */
    #toldUntil_ms() {
      const tally = /** @type {string | null} */ (this.ctx.storage.sql.exec('SELECT tally FROM sweep_progress').one()['tally']);
      return tally === null ? 0 : toldUntil_ms(JSON.parse(tally).history);
    }

    /** Applies the migrations that the object lacks. */
    #migrate() {
      if (this.#isReady) return;
      const { sql } = this.ctx.storage;
      sql.exec('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)');
      const { applied } = /** @type {{applied: number}} */ (sql.exec('SELECT count(*) AS applied FROM migrations').one());
      migrations.slice(applied).forEach((migration, index) => {
        sql.exec(migration);
        sql.exec('INSERT INTO migrations (number) VALUES (?)', applied + index + 1);
      });
      this.#isReady = true;
    }
  };
}
