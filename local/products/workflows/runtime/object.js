/**
 * The instances of one workflow: which there are, and how to make them go. Each runs in a Durable Object of Miniflare's
 * workflow engine, which keeps its steps; what that does not do is here: to remember the instances, to let none be
 * created twice, and to go on with them after a restart of the runtime.
 */

import { DurableObject } from 'cloudflare:workers';

import { describe as describeError } from '../../../runtime/system/logging.js';
import { checkInstanceId, refusal } from './limits.js';
import { hasEnded, isAttempting, report, stepReport } from './report.js';

/**
 * @import { WorkflowSettings } from '../../../runtime/desired_state.js'
 * @import { LogEntry, Report, Status, WantedStep } from './report.js'
 *
 * @typedef {'api' | 'binding'} Trigger
 * @typedef {{id?: string, params?: unknown}} NewInstance
 * @typedef {{id: string, created_ms: number, trigger_source: Trigger, version_id: string, ended: string | null}} Row
 *   `ended` is the Summary of an instance that has ended, as JSON
 * @typedef {{status: Status, started_on: string | null, ended_on: string | null, modified_on: string}} Summary
 * @typedef {{id: string, created_on: string, trigger_source: Trigger, version_id: string} & Summary} Listed
 * @typedef {{created: {id: string}[], errors: {index: number, id: string, reason: string}[]}} Creation
 * @typedef {'pause' | 'resume' | 'terminate' | 'restart'} Command
 * @typedef {{
 *   status?: Status | null, date_start_ms?: number | null, date_end_ms?: number | null, direction: 'asc' | 'desc',
 *   offset: number, limit: number,
 * }} Query
 *
 * @typedef {{
 *   init(account: number, workflow: object, version: object, instance: object, event: object): Promise<unknown>,
 *   getStatus(): Promise<number>,
 *   readDetailedLogs(): Promise<LogEntry[]>,
 *   changeInstanceStatus(command: Command, from?: object, options?: object): Promise<void>,
 *   attemptRestart(): Promise<void>,
 *   receiveEvent(event: {type: string, payload: unknown, timestamp: Date}): Promise<void>,
 *   deleteInstance(): Promise<void>,
 *   subscribe(options: unknown): Promise<unknown>,
 * }} Engine one instance's engine: Miniflare's
 * @typedef {{[binding: `ENGINES ${string}`]: {getByName(id: string): Engine}}} Env
 */

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS instances (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    trigger_source TEXT NOT NULL,
    version_id TEXT NOT NULL,
    ended TEXT
  );
  CREATE INDEX IF NOT EXISTS unended ON instances (number) WHERE ended IS NULL;
`;
/** Miniflare's engine knows one account. */
const ACCOUNT = 0;
const DRAIN_POLL_MS = 50;
/** How the engine says that it aborted itself, as it was asked to. */
const ABORTED = 'Aborting engine:';

/** @extends {DurableObject<Env>} */
export class WorkflowObject extends DurableObject {
  /** @type {WorkflowSettings | null} null: the workflow does not exist */
  #settings;
  #draining = false;

  /**
   * @param {DurableObjectState} ctx
   * @param {Env} env
   */
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA);
    this.#settings = ctx.storage.kv.get('settings') ?? null;
  }

  /**
   * Takes the workflow's settings, and goes on with every instance that has not ended. Told at every change and after
   * every start.
   *
   * @param {WorkflowSettings} settings
   */
  configure(settings) {
    if (JSON.stringify(settings) !== JSON.stringify(this.#settings)) this.ctx.storage.kv.put('settings', settings);
    this.#settings = settings;
    this.#draining = false;
    if (settings.active) for (const row of this.#unended()) this.#run(row);
  }

  /** Is no workflow any more, until it is configured again. */
  retire() {
    this.#settings = null;
  }

  /** Forgets all instances. */
  async destroy() {
    this.retire();
    await this.ctx.storage.deleteAll();
    this.ctx.storage.sql.exec(SCHEMA);
  }

  /**
   * Waits until no step is being attempted, or the time is up. New instances are kept, and started by `configure`.
   *
   * @param {number} milliseconds
   */
  async drain(milliseconds) {
    this.#draining = true;
    const deadline = Date.now() + milliseconds;
    while (Date.now() < deadline && (await this.#isAttempting())) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  /**
   * Creates instances; they are durable when this returns. One whose id is taken is left out, and told of.
   *
   * @param {NewInstance[]} wanted
   * @param {Trigger} trigger
   * @returns {Creation}
   */
  create(wanted, trigger) {
    const settings = this.#existing();
    for (const { id } of wanted) if (id !== undefined) checkInstanceId(id);
    /** @type {Creation} */
    const creation = { created: [], errors: [] };
    const ids = new Set();
    for (const [index, { id = crypto.randomUUID(), params }] of wanted.entries()) {
      const taken = ids.has(id) ? 'instance.duplicate_in_batch' : this.#find(id) && 'instance.already_exists';
      ids.add(id);
      if (taken) creation.errors.push({ index, id, reason: taken });
      else creation.created.push(this.#insert(id, params ?? {}, trigger, settings));
    }
    return creation;
  }

  /**
   * All about one instance.
   *
   * @param {string} id
   */
  async describe(id) {
    const row = this.#get(id);
    const told = await this.#report(row);
    return { ...told, queued: timestamp(row.created_ms), params: this.#params(id), ...identity(row) };
  }

  /**
   * One step of an instance, with all that it gave out.
   *
   * @param {string} id
   * @param {WantedStep} wanted
   */
  async step(id, wanted) {
    this.#get(id);
    const { entries } = await this.#read(id);
    const told = stepReport(entries, wanted);
    if (told === null) throw refusal('step.not_found', 'Step does not exist');
    return told;
  }

  /** @param {Query} query */
  async list({ status = null, date_start_ms = null, date_end_ms = null, direction, offset, limit }) {
    const order = direction === 'asc' ? 'ASC' : 'DESC';
    const rows = this.#rows(
      `WHERE created_ms >= coalesce(?, created_ms) AND created_ms <= coalesce(?, created_ms) ORDER BY number ${order}`,
      date_start_ms,
      date_end_ms,
    );
    const found = status === null ? rows : (await this.#listed(rows)).filter((instance) => instance.status === status);
    const page = found.slice(offset, offset + limit);
    const instances = status === null ? await this.#listed(/** @type {Row[]} */ (page)) : /** @type {Listed[]} */ (page);
    return { total: found.length, instances };
  }

  /**
   * How many instances there are of each status, and when the last one was created.
   *
   * @returns {Promise<{counts: Record<string, number>, triggered_on: string | null}>}
   */
  async summary() {
    const rows = this.#rows('ORDER BY number');
    /** @type {Record<string, number>} */
    const counts = {};
    for (const { status } of await this.#listed(rows)) counts[status] = (counts[status] ?? 0) + 1;
    const last = rows.at(-1);
    return { counts, triggered_on: last ? timestamp(last.created_ms) : null };
  }

  /**
   * Pauses, resumes, terminates or restarts an instance, and tells its status then.
   *
   * @param {string} id
   * @param {Command} command
   * @param {{from?: object, rollback?: boolean}} [options]
   */
  async command(id, command, { from, rollback } = {}) {
    const row = this.#get(id);
    await tolerateAbort(this.#engine(id).changeInstanceStatus(command, from, { rollback }));
    if (command === 'restart') {
      this.ctx.storage.sql.exec('UPDATE instances SET ended = NULL WHERE id = ?', id);
      await this.#engine(id).attemptRestart();
      return 'queued';
    }
    return (await this.#report({ ...row, ended: null })).status;
  }

  /**
   * @param {string} id
   * @param {string} type
   * @param {unknown} payload
   */
  async sendEvent(id, type, payload) {
    this.#get(id);
    await this.#engine(id).receiveEvent({ type, payload, timestamp: new Date() });
  }

  /** @param {string} id */
  async deleteInstance(id) {
    this.#get(id);
    await tolerateAbort(this.#engine(id).deleteInstance());
    this.ctx.storage.sql.exec('DELETE FROM instances WHERE id = ?', id);
    this.ctx.storage.kv.delete(paramsKey(id));
  }

  /**
   * @param {string} id
   * @param {unknown} options
   */
  subscribe(id, options) {
    this.#get(id);
    return this.#engine(id).subscribe(options);
  }

  /**
   * @param {string} id
   * @param {unknown} params
   * @param {Trigger} trigger_source
   * @param {WorkflowSettings} settings
   */
  #insert(id, params, trigger_source, { version_id, active }) {
    const row = { id, created_ms: Date.now(), trigger_source, version_id, ended: null };
    this.ctx.storage.kv.put(paramsKey(id), params);
    this.ctx.storage.sql.exec(
      'INSERT INTO instances (id, created_ms, trigger_source, version_id) VALUES (?, ?, ?, ?)',
      id,
      row.created_ms,
      trigger_source,
      version_id,
    );
    if (active && !this.#draining) this.#run(row);
    return { id };
  }

  /**
   * Starts an instance, or goes on with one that the last runtime left behind: completed steps are not run again,
   * sleeps and retries keep their time. Nothing happens to one that runs, is paused or has ended.
   *
   * @param {Row} row
   */
  #run(row) {
    const { id, version_id } = row;
    const settings = this.#existing();
    const created_on = timestamp(row.created_ms);
    const instance = { id, created_on, modified_on: created_on, started_on: created_on, ended_on: null, workflow_id: settings.id, version_id, status: 0 };
    const event = { payload: this.#params(id), timestamp: new Date(row.created_ms), instanceId: id, workflowName: settings.name };
    const run = this.#engine(id).init(ACCOUNT, { id: settings.id, name: settings.name }, { id: version_id }, instance, event);
    run
      .catch((error) => {
        if (!String(error).includes(ABORTED)) throw error;
      })
      .then(() => this.#find(id) && this.#report(row))
      .catch((error) => console.error(describeError(`workflow ${settings.name}, instance ${id}`, error)));
  }

  async #isAttempting() {
    const reports = await Promise.all(this.#unended().map((row) => this.#report(row)));
    return reports.some(isAttempting);
  }

  /**
   * @param {Row[]} rows
   * @returns {Promise<Listed[]>}
   */
  async #listed(rows) {
    return Promise.all(
      rows.map(async (row) => ({
        created_on: timestamp(row.created_ms),
        ...identity(row),
        ...(row.ended === null ? summaryOf(await this.#report(row), row) : JSON.parse(row.ended)),
      })),
    );
  }

  /**
   * Asks an instance's engine, and remembers how it ended.
   *
   * @param {Row} row
   * @returns {Promise<Report>}
   */
  async #report(row) {
    const told = await this.#ask(row.id);
    if (row.ended === null && hasEnded(told.status)) {
      this.ctx.storage.sql.exec('UPDATE instances SET ended = ? WHERE id = ?', JSON.stringify(summaryOf(told, row)), row.id);
    }
    return told;
  }

  /**
   * @param {string} id
   * @returns {Promise<Report>}
   */
  async #ask(id) {
    const { status, entries } = await this.#read(id);
    return report(status, entries);
  }

  /**
   * What an instance's engine knows.
   *
   * @param {string} id
   * @returns {Promise<{status: number, entries: LogEntry[]}>}
   */
  async #read(id) {
    const engine = this.#engine(id);
    let status;
    try {
      status = await engine.getStatus();
    } catch (error) {
      if (!String(error).includes(ABORTED) && !String(error).includes('never started')) throw error;
      if (String(error).includes('never started')) return { status: 0, entries: [] };
      return this.#read(id); // the answer came from an engine that has just ended itself: the next one knows
    }
    return { status, entries: await engine.readDetailedLogs() };
  }

  /** @param {string} id */
  #engine(id) {
    const engines = this.env[`ENGINES ${this.#existing().id}`];
    if (!engines) throw refusal('workflow.not_found', 'Workflow does not exist');
    return engines.getByName(id);
  }

  #existing() {
    if (this.#settings === null) throw refusal('workflow.not_found', 'Workflow does not exist');
    return this.#settings;
  }

  /** @param {string} id */
  #get(id) {
    const row = this.#find(id);
    if (!row) throw refusal('instance.not_found', 'Instance does not exist');
    return row;
  }

  /** @param {string} id */
  #find(id) {
    return this.#rows('WHERE id = ?', id)[0];
  }

  #unended() {
    return this.#rows('WHERE ended IS NULL ORDER BY number');
  }

  /**
   * @param {string} where
   * @param {(string | number | null)[]} values
   */
  #rows(where, ...values) {
    const columns = 'id, created_ms, trigger_source, version_id, ended';
    return /** @type {Row[]} */ (this.ctx.storage.sql.exec(`SELECT ${columns} FROM instances ${where}`, ...values).toArray());
  }

  /** @param {string} id */
  #params(id) {
    return this.ctx.storage.kv.get(paramsKey(id));
  }
}

/** @param {string} id of an instance */
function paramsKey(id) {
  return `params ${id}`;
}

/** @param {number} milliseconds */
function timestamp(milliseconds) {
  return new Date(milliseconds).toISOString();
}

/** @param {Row} row */
function identity({ id, trigger_source, version_id }) {
  return { id, trigger_source, version_id };
}

/**
 * @param {Report} report
 * @param {Row} row
 * @returns {Summary}
 */
function summaryOf({ status, start, end, modified }, { created_ms }) {
  return { status, started_on: start, ended_on: end, modified_on: modified ?? timestamp(created_ms) };
}

/** @param {Promise<unknown>} change after which the engine may abort itself */
async function tolerateAbort(change) {
  try {
    await change;
  } catch (error) {
    if (!String(error).includes(ABORTED)) throw error;
  }
}
