/**
 * The instances of one workflow. Each runs in a Durable Object of Miniflare's workflow engine, which stores its steps. This object adds what the
 * engine lacks: it remembers the instances, creates none twice, and resumes them after a restart of the runtime.
 */

import { DurableObject } from 'cloudflare:workers';

import { describe as describeError } from '../../../runtime/system/logging.js';
import { Hosts, Unreached, counted, processOfGuest } from '../../../runtime/system/processes.js';
import { checkInstanceId, checkPayload, refusal } from './limits.js';
import { forgetWorkflow, nameWorkflow } from './names.js';
import { DEFAULT_RETENTION_MS, checkRetention, inMilliseconds } from './retention.js';
import { hasEnded, isAttempting, report, stepReport } from './report.js';

/**
 * @import { Env } from '../../../runtime/system/processes.js'
 * @import { Retention } from './retention.js'
 * @import { WorkflowSettings } from '../../../runtime/desired_state.js'
 * @import { LogEntry, Report, Status, WantedStep } from './report.js'
 *
 * @typedef {'api' | 'binding'} Trigger
 * @typedef {{id?: string, params?: unknown, retention?: Retention}} NewInstance
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
/** When an ended instance is deleted, by its id, and whether its files are being deleted. */
const RETENTION_SCHEMA = `
  CREATE TABLE IF NOT EXISTS retentions (id TEXT PRIMARY KEY, success_ms INTEGER, error_ms INTEGER, due_ms INTEGER);
  CREATE INDEX IF NOT EXISTS due ON retentions (due_ms) WHERE due_ms IS NOT NULL;
`;
/** The most instances in one sweep; the next one follows soon. */
const MAX_SWEPT = 500;
/** Miniflare's engine has only one account. */
const ACCOUNT = 0;
const DRAIN_POLL_MS = 50;
/** How often to check whether the next instance may start. */
const TURN_MS = 100;
/** The kind of a workflow's engine among the objects that run in the Workers' processes. */
const KIND = 'workflows';
/** workerd's message for a process that has ended: the next process resumes the instance. */
const CONNECTION_LOST = 'Network connection lost';
/** The engine's message when it aborted itself on request. */
const ABORTED = 'Aborting engine:';

/** @extends {DurableObject<Env>} */
export class WorkflowObject extends DurableObject {
  #hosts;
  /** @type {WorkflowSettings | null} null: the workflow does not exist */
  #settings;
  #draining = false;
  #knowsEnded = false;
  /** @type {Set<string>} instances that this runtime goes on with */
  #started = new Set();
  #isStarting = false;

  /**
   * @param {DurableObjectState} ctx
   * @param {Env} env
   */
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec(SCHEMA + RETENTION_SCHEMA);
    this.#hosts = new Hosts(env);
    this.#settings = ctx.storage.kv.get('settings') ?? null;
  }

  /**
   * Takes the workflow's settings, and resumes every instance that has not ended. Called at every change and after every start.
   *
   * @param {WorkflowSettings} settings
   */
  configure(settings) {
    if (JSON.stringify(settings) !== JSON.stringify(this.#settings)) this.ctx.storage.kv.put('settings', settings);
    this.#settings = settings;
    nameWorkflow(settings.name, settings.id);
    this.#draining = false;
    this.#started.clear();
    this.#startAll();
  }

  /** Stops being a workflow until it is configured again. */
  retire() {
    if (this.#settings) forgetWorkflow(this.#settings.id);
    this.#settings = null;
  }

  /** Deletes all instances. */
  async destroy() {
    this.retire();
    await this.ctx.storage.deleteAll();
    this.ctx.storage.sql.exec(SCHEMA + RETENTION_SCHEMA);
  }

  /**
   * Waits until no step is being attempted, or the time is up. New instances are stored, and started by `configure`.
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
   * Creates instances; they are durable when this returns. An instance whose id exists is left out and reported.
   *
   * @param {NewInstance[]} wanted
   * @param {Trigger} trigger
   * @returns {Creation}
   */
  create(wanted, trigger) {
    const settings = this.#existing();
    for (const { id, params, retention } of wanted) {
      if (id !== undefined) checkInstanceId(id);
      checkPayload('The parameters', params);
      checkRetention(retention);
    }
    /** @type {Creation} */
    const creation = { created: [], errors: [] };
    const ids = new Set();
    for (const [index, { id = crypto.randomUUID(), params, retention }] of wanted.entries()) {
      const taken = ids.has(id) ? 'instance.duplicate_in_batch' : this.#find(id) && 'instance.already_exists';
      ids.add(id);
      if (taken) creation.errors.push({ index, id, reason: taken });
      else {
        creation.created.push(this.#insert(id, params ?? {}, trigger, settings));
        if (retention) this.#keep(id, retention);
      }
    }
    return creation;
  }

  /**
   * Returns everything about one instance.
   *
   * @param {string} id
   */
  async describe(id) {
    const row = this.#get(id);
    const told = await this.#report(row);
    return { ...told, queued: timestamp(row.created_ms), params: this.#params(id), ...identity(row) };
  }

  /**
   * Returns one step of an instance, with its complete output.
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
   * Returns the number of instances with each status, and when the last one was created.
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
   * Pauses, resumes, terminates or restarts an instance, and returns its new status.
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
      this.ctx.storage.sql.exec('UPDATE retentions SET due_ms = NULL WHERE id = ?', id);
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
    checkPayload("The event's payload", payload);
    await this.#engine(id).receiveEvent({ type, payload, timestamp: new Date() });
  }

  /** @param {string} id */
  async deleteInstance(id) {
    this.#get(id);
    await tolerateAbort(this.#engine(id).deleteInstance());
    this.#forget(id);
  }

  /**
   * Empties instances whose retention is over. Their ids stay taken until `forget` says that their files are deleted too.
   *
   * @returns {Promise<string[]>} their ids
   */
  async sweep() {
    if (this.#settings === null) return [];
    if (!this.#knowsEnded) {
      // From a release that kept everything.
      for (const row of this.#rows('WHERE ended IS NOT NULL AND id NOT IN (SELECT id FROM retentions WHERE due_ms IS NOT NULL)')) this.#expect(row);
      this.#knowsEnded = true;
    }
    const due = this.ctx.storage.sql.exec('SELECT id FROM retentions WHERE due_ms <= ? LIMIT ?', Date.now(), MAX_SWEPT).toArray();
    const ids = due.map(({ id }) => String(id));
    for (const id of ids) await tolerateAbort(this.#engine(id).deleteInstance());
    return ids;
  }

  /** @param {string[]} ids */
  forget(ids) {
    for (const id of ids) this.#forget(id);
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
    if (active && !this.#draining) this.#startAll(row);
    return { id };
  }

  /**
   * Starts instances that have not ended: all at once, or, if the workflow has a limit, as many as it allows.
   *
   * @param {Row} [only] the new instance
   */
  #startAll(only) {
    const { active, concurrency = null } = this.#existing();
    if (!active) return;
    if (concurrency !== null) this.ctx.waitUntil(this.#startInTurn());
    else for (const row of only ? [only] : this.#unended()) this.#run(row);
  }

  /** Starts instances in the order of their creation, as others end, wait or are paused. */
  async #startInTurn() {
    if (this.#isStarting) return;
    this.#isStarting = true;
    try {
      for (;;) {
        const { active, concurrency } = this.#settings ?? {};
        const left = this.#unended().filter(({ id }) => !this.#started.has(id));
        if (!active || this.#draining || left.length === 0) return;
        const running = concurrency ? await this.#countRunning() : 0;
        for (const row of concurrency ? left.slice(0, Math.max(0, concurrency - running)) : left) this.#run(row);
        await new Promise((resolve) => setTimeout(resolve, TURN_MS));
      }
    } finally {
      this.#isStarting = false;
    }
  }

  async #countRunning() {
    const rows = this.#unended().filter(({ id }) => this.#started.has(id));
    const reports = await Promise.all(rows.map((row) => this.#report(row)));
    return reports.filter(({ status }) => status === 'running' || status === 'queued').length;
  }

  /**
   * Starts an instance, or resumes one of the previous runtime: completed steps are not run again, sleeps and retries keep their time. An instance
   * that runs, is paused or has ended is left alone.
   *
   * @param {Row} row
   */
  #run(row) {
    const { id, version_id } = row;
    this.#started.add(id);
    const settings = this.#existing();
    const created_on = timestamp(row.created_ms);
    const instance = { id, created_on, modified_on: created_on, started_on: created_on, ended_on: null, workflow_id: settings.id, version_id, status: 0 };
    const event = { payload: this.#params(id), timestamp: new Date(row.created_ms), instanceId: id, workflowName: settings.name };
    const run = this.#engine(id).init(ACCOUNT, { id: settings.id, name: settings.name }, { id: version_id }, instance, event);
    run
      .catch((error) => {
        // The process has ended: the next one resumes the instance.
        if (!String(error).includes(ABORTED) && !String(error).includes(CONNECTION_LOST)) throw error;
      })
      .then(() => this.#find(id) && this.#report(row))
      .catch((error) => console.error(describeError(`workflow ${settings.name}, instance ${id}`, error)));
  }

  /** @param {string} id */
  #forget(id) {
    this.ctx.storage.sql.exec('DELETE FROM instances WHERE id = ?', id);
    this.ctx.storage.sql.exec('DELETE FROM retentions WHERE id = ?', id);
    this.ctx.storage.kv.delete(paramsKey(id));
  }

  /**
   * Stores how long an instance is to be kept.
   *
   * @param {string} id
   * @param {Retention} retention
   */
  #keep(id, retention) {
    const { success_ms, error_ms } = inMilliseconds(retention);
    this.ctx.storage.sql.exec('INSERT INTO retentions (id, success_ms, error_ms) VALUES (?, ?, ?)', id, success_ms, error_ms);
  }

  /**
   * Records when an ended instance is to be deleted.
   *
   * @param {Row} row
   */
  #expect({ id, ended }) {
    const { status, ended_on } = /** @type {Summary} */ (JSON.parse(ended ?? '{}'));
    const own = /** @type {any} */ (this.ctx.storage.sql.exec('SELECT success_ms, error_ms FROM retentions WHERE id = ?', id).toArray()[0]);
    const usual = inMilliseconds(this.#settings?.retention ?? {});
    const kept = status === 'complete' ? (own?.success_ms ?? usual.success_ms) : (own?.error_ms ?? usual.error_ms);
    const due = Date.parse(ended_on ?? '') + (kept ?? DEFAULT_RETENTION_MS);
    const query = 'INSERT INTO retentions (id, due_ms) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET due_ms = ?2';
    this.ctx.storage.sql.exec(query, id, Number.isFinite(due) ? due : Date.now() + DEFAULT_RETENTION_MS);
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
   * Asks an instance's engine, and stores how it ended.
   *
   * @param {Row} row
   * @returns {Promise<Report>}
   */
  async #report(row) {
    const told = await this.#ask(row.id);
    if (row.ended === null && hasEnded(told.status)) {
      const ended = JSON.stringify(summaryOf(told, row));
      this.ctx.storage.sql.exec('UPDATE instances SET ended = ? WHERE id = ?', ended, row.id);
      this.#expect({ ...row, ended });
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
   * Reads an instance from its engine.
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
      return this.#read(id); // the answer came from an engine that has just aborted itself: ask the next one
    }
    return { status, entries: await engine.readDetailedLogs() };
  }

  /**
   * Returns the engine of an instance, in the process where it runs.
   *
   * @param {string} id
   * @returns {Engine}
   */
  #engine(id) {
    const workflow = this.#existing().id;
    /** @type {(method: string, args: unknown[]) => Promise<any>} */
    const call = async (method, args) => {
      const process = await processOfGuest(KIND, workflow);
      if (process === null) throw refusal('workflow.not_found', 'Workflow does not exist');
      /** @param {any} host */
      const send = (host) => host.callObject(`ENGINES ${workflow}`, id, method, args);
      const calling = () => this.#hosts.call(process, send);
      // `init` lasts as long as the instance, and must not delay the end of a process.
      const answer = method === 'init' ? calling() : counted(process.id, calling);
      return answer.catch(async (error) => {
        const hasMoved = error instanceof Unreached && (await processOfGuest(KIND, workflow))?.id !== process.id;
        if (hasMoved) return call(method, args);
        throw error;
      });
    };
    return /** @type {Engine} */ (new Proxy({}, { get: (_, method) => (/** @type {unknown[]} */ ...args) => call(String(method), args) }));
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

/** @param {string} id the id of an instance */
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

/** @param {Promise<unknown>} change a change after which the engine may abort itself */
async function tolerateAbort(change) {
  try {
    await change;
  } catch (error) {
    if (!String(error).includes(ABORTED)) throw error;
  }
}
