/**
 * Task state in Workers KV: each task is one key, which expires by itself. KV has no compare-and-set and is eventually consistent, so the state that
 * is checked here before a write may have changed in the meantime. `guarantees.json` says what that means for tasks.
 */

import { ENDED, LEASE_SECONDS, MAX_TTL_SECONDS, MIN_TTL_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { CALLBACK_HANDLER, callbackBody, callbackRuns, callbackTaskId, tellsOf } from '../callback.js';
import { followUpOf } from '../follow_up.js';
import { withPriority } from '../priority.js';
import { creationTime, timePrefix } from '../task_id.js';
import { crashedStory } from '../story.js';
import { hasTags } from '../tags.js';
import { bounded } from '../text.js';
import { addCounts, countEvent, endOf, submissionOf } from './buckets.js';
import { REQUEST_PATIENCE_SECONDS } from './connection.js';
import { countInHistory, joinHistories, newHistory } from './history.js';
import { newestFirst } from './kv_list.js';
import { isAbandoned, isOpen, verdictOn } from './lease.js';
import { patientKv } from './patient_kv.js';
import { ALL_HANDLERS } from './pause_table.js';
import { isStoreError } from './store_error.js';
import { MINUTES, noCounts, noSweeps, recentMinutes } from './tally.js';

/** @import { AttemptName, CallbackState, Idempotency, NewTask, Outcome, Parameters, Payload, Progress, Status, StepRecord, TaskError, TaskEvent, TaskRecord, TaskSummary } from '../task.js' */
/** @import { Leased } from './lease.js' */
/** @import { Abandoned, ClaimAnswer, Delivery, EventReceipt, Fill, Insertion, KeptPayload, KeptSchedule, KeptStory, OpenTask, Page, Pause, Probe, Query, RunningVersion, Settled, Standing, Statistics, Store, SweepCounts, TaskResult } from './store.js' */
/** @import { Callback } from '../callback.js' */
/** @import { Submission } from '../engines/engine.js' */
/** @import { FollowUp } from '../follow_up.js' */
/** @import { Link } from '../dependencies.js' */
/** @import { Tags } from '../tags.js' */
/** @import { OwnPriority } from '../priority.js' */
/** @import { TableSettings } from './task_table.js' */

/**
 * The value of a task's key. A payload that is not text is in base64. Times are Unix times.
 *
 * @typedef {object} Entry
 * @property {Status} status
 * @property {string} handler
 * @property {Parameters} parameters
 * @property {string} payload
 * @property {'base64'} [payload_encoding]
 * @property {number} run
 * @property {number} attempts
 * @property {number} crashes
 * @property {number | null} max_retries
 * @property {number} expires_at in seconds
 * @property {number | null} due_at_ms when a pending task that has to wait may be attempted
 * @property {number | null} lease_expires_at_ms
 * @property {string | null} holder
 * @property {number | null} delivery
 * @property {string | null} claim
 * @property {number | null} sent_at_ms
 * @property {number | null} started_at_ms
 * @property {number | null} finished_at_ms
 * @property {Progress | null} progress
 * @property {TaskError | null} error
 * @property {string | null} result JSON
 * @property {Idempotency | null} idempotency
 * @property {Callback | null} callback
 * @property {string | null} parent for a callback: the id of the task that ended
 * @property {string | null} story
 * @property {string} [submitted_by]
 * @property {Tags} [tags]
 * @property {OwnPriority} [priority] undefined: normal
 */

/**
 * What lists and the sweeper must know of a task. It is the key's metadata, so that listing keys returns it.
 *
 * @typedef {Omit<Entry, 'parameters' | 'payload' | 'payload_encoding' | 'result' | 'idempotency' | 'holder' | 'delivery' | 'claim' | 'callback' | 'parent' | 'story' | 'submitted_by'> & {child_of?: string}} Metadata
 */

/** The value of an idempotency key. @typedef {{taskId: string, fingerprint: string}} KeyHolder */

/** A bulk read returns at most 25 MB (https://developers.cloudflare.com/kv/api/read-key-value-pairs/), and a task in progress has a payload of up to 1
 * MiB, which is longer as JSON. */
const BULK_READ_KEYS = 10;

/** The longest metadata (https://developers.cloudflare.com/kv/platform/limits/); how much of a text it contains, and how much if that is too long. */
const METADATA_BYTES = 1_024;
const TEXT_LENGTHS = [200, 50];

/** How many bytes of payloads are claimed at once: the same as for a table. */
const CLAIM_BYTES = 8 * 1024 * 1024;

/** How often the sweeper searches, and how many windows back (a window is the time in which ids share their first digits: 17.5 minutes). If a window
 * has more tasks than one list operation returns (1,000 keys), a sweep searches some of its sixteen parts, and all of them within four sweeps,
 * because list operations are expensive. */
const SWEEP_INTERVAL_MINUTES = 10;
const SWEEP_WINDOWS = 4;
const SWEEP_PARTS = 4;
const WINDOW_DIGITS = 7;
const WINDOW_MS = 16 ** (12 - WINDOW_DIGITS);

/** A task that may become due when no sweep searches its window any more has a second key, sorted by its due time; so has a later run of it. */
const DUE_PREFIX = 'due:';
const SURELY_SWEPT_MS = (SWEEP_WINDOWS - 1) * WINDOW_MS - SWEEP_INTERVAL_MINUTES * 60_000;

/** How many of these keys one sweep reads (it deletes those of ended tasks), and how many open tasks it returns at once: rescuing a task takes two
 * operations, out of the 1,000 of an invocation. */
const SWEEP_DUE_KEYS = 400;
const PAGE_TASKS = 100;

/** How many of the newest tasks statistics count, with at least two list operations, and for how long all callers get the same statistics. With the
 * lists of a page that is six list operations each time. The Free plan has 1,000 a day (https://developers.cloudflare.com/kv/platform/pricing/), of
 * which the sweeper uses a third. */
const COUNTED_TASKS = 2_000;
const FRESH_SECONDS = 900;

/** What was counted last; earlier code stored no `history`.
 * @typedef {Omit<Statistics, 'sweeper' | 'parts' | 'history'> & Partial<Pick<Statistics, 'history'>>} KeptStatistics */

/** The key with the pauses, and how long an isolate uses the value that it has read: so a task causes no read. */
const PAUSES_KEY = 'pauses';
const PAUSES_SECONDS = 60;

/** How long the message of a task whose handler is paused waits: as long as the pause has lasted, within these bounds. */
const PAUSED_WAIT_MS = /** @type {const} */ ([5_000, 10 * 60_000]);

/** Since when handlers are paused, by name. @typedef {Record<string, number>} Pauses */

/** The pauses that this isolate has read, by namespace. @type {WeakMap<KVNamespace, {at_ms: number, pauses: Pauses}>} */
const READ_PAUSES = new WeakMap();

/** The key with the schedules. */
const SCHEDULES_KEY = 'schedules';

/** @implements {Store} */
export class KvStore {
  tells = false;
  holds = false; // without a compare-and-set, of two concurrent ends each could leave a task to the other
  hasGroups = false;
  /** The steps that this invocation wrote last, for each task: a read may return older ones. @type {Map<string, Promise<Record<string, StepRecord>>>} */
  #written = new Map();

  /** The pauses that this invocation wrote last, and those that it is reading. @type {Pauses | null} */
  #writtenPauses = null;
  /** @type {Promise<Pauses> | null} */
  #pausesRead = null;

  /** The schedules that this invocation wrote last. @type {Record<string, string> | null} */
  #writtenSchedules = null;

  settling_seconds = 15; // with the default of five retries this is longer than the minute that KV takes to become consistent

  /**
   * @param {TableSettings & {KV: KVNamespace}} env
   * @param {number} [patience_seconds]
   */
  constructor({ KV, MAX_RETRIES, KEEP_PAYLOAD }, patience_seconds = REQUEST_PATIENCE_SECONDS) {
    this.kv = patientKv(KV, patience_seconds);
    this.namespace = KV;
    this.max_retries = Number(MAX_RETRIES);
    this.keepsPayload = KEEP_PAYLOAD === 'always';
  }

  /**
   * Concurrent submissions with the same key may each store a task: KV cannot tell which was first.
   *
   * @param {NewTask[]} tasks
   * @returns {Promise<(Insertion | Error)[]>}
   */
  insert(tasks) {
    return Promise.all(tasks.map((task) => this.#insert(task).catch((error) => {
      if (!isStoreError(error)) throw error;
      return error;
    })));
  }

  /**
   * @param {string} taskId
   * @returns {Promise<TaskRecord | null>}
   */
  async find(taskId) {
    const entry = await this.#read(taskId);
    if (!entry || !isKept(entry)) return null;
    return { ...summary(taskId, entry), result: entry.result, callback: await this.#callbackState(taskId, entry), parent: entry.parent ?? entry.submitted_by ?? null, after: null };
  }

  /**
   * @param {string} taskId
   * @returns {Promise<KeptPayload | null>}
   */
  async payload(taskId) {
    const entry = await this.#read(taskId);
    // A payload is never empty (see `toPayload`), unless it was deleted.
    return entry && isKept(entry) ? { payload: entry.payload === '' ? null : decoded(entry) } : null;
  }

  /**
   * @param {string} taskId
   * @returns {Promise<KeptStory | null>}
   */
  async story(taskId) {
    const entry = await this.#read(taskId);
    return entry && isKept(entry) ? { story: entry.story, lease_expires_ms: entry.lease_expires_at_ms, parameters: entry.parameters } : null;
  }

  async changed() {} // nothing calls this, because this store does not have `tells`

  /**
   * @param {Delivery[]} deliveries
   * @param {boolean} [isAlone]
   * @returns {Promise<Map<string, ClaimAnswer>>}
   */
  async claim(deliveries, isAlone = false) {
    let bytes = 0;
    const answers = await Promise.all(deliveries.map(async (delivery) => {
      try {
        const answer = await this.#claim(delivery, isAlone, (length) => bytes === 0 || bytes + length <= CLAIM_BYTES ? (bytes += length, true) : false);
        return /** @type {const} */ ([delivery.taskId, answer]);
      } catch (error) {
        if (!isStoreError(error)) throw error;
        return /** @type {const} */ ([delivery.taskId, /** @type {ClaimAnswer} */ ({ kind: 'unreachable', error })]);
      }
    }));
    return new Map(answers);
  }

  /**
   * @param {Outcome[]} outcomes
   * @returns {Promise<Settled>}
   */
  async settle(outcomes) {
    /** @type {Submission[]} */
    const callbacks = [];
    const standings = await this.#standings(outcomes, async ({ taskId, run, attempts, crashes, claim, callback: _, priority: __, ...outcome }) => {
      const entry = await this.#update(taskId, belongsToAttempt({ taskId, run, attempts, crashes, claim }, outcome.status), (found) => ({
        run, attempts, crashes, claim,
        status: outcome.status,
        result: 'result' in outcome ? outcome.result : null,
        error: 'error' in outcome ? outcome.error : null,
        progress: outcome.progress ?? found.progress,
        story: outcome.story ?? found.story,
        due_at_ms: 'next_attempt_ms' in outcome ? outcome.next_attempt_ms : null,
        ...(outcome.status === 'pending' && outcome.suspended && {
          attempts: attempts - 1, // it was not counted
          expires_at: Math.max(found.expires_at, Math.floor(outcome.next_attempt_ms / 1000) + TASK_TTL_SECONDS),
        }),
        finished_at_ms: outcome.status === 'pending' ? null : outcome.ended_ms,
        lease_expires_at_ms: null,
        ...(outcome.status === 'completed' && !this.keepsPayload && { payload: '', payload_encoding: undefined }),
      }));
      if (entry?.due_at_ms) await this.#markDue(taskId, entry, entry.due_at_ms);
      if (entry) callbacks.push(...await this.#makeCallback(taskId, entry));
      return entry !== null;
    });
    return { standings, followUp: followUpOf({ runs: callbacks }) };
  }

  /** @param {(AttemptName & {progress: Progress | null})[]} reports */
  async report(reports) {
    /** @type {(Entry | null)[]} */
    let entries = [];
    try {
      entries = await this.#readAll(reports.map(({ taskId }) => taskId));
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return new Map(reports.map(({ taskId }) => [taskId, /** @type {Standing} */ ('lost')]));
    }
    const found = new Map(reports.map(({ taskId }, index) => [taskId, entries[index]]));
    return this.#standings(reports, async ({ progress, ...attempt }) => {
      const entry = found.get(attempt.taskId);
      if (!entry || !belongsToAttempt(attempt, 'processing')(entry)) return false;
      if (progress && entry.claim === attempt.claim) await this.#write(attempt.taskId, { ...entry, progress });
      return true;
    });
  }

  /**
   * @param {string} taskId
   * @returns {Promise<StepRecord[]>}
   */
  async steps(taskId) {
    return Object.values(await this.#stepsOf(taskId));
  }

  /**
   * Steps that end at the same moment are written one after the other: each write contains the earlier ones.
   *
   * @param {AttemptName} attempt
   * @param {StepRecord} step
   * @returns {Promise<Standing>}
   */
  async keepStep(attempt, step) {
    const { taskId } = attempt;
    const entry = await this.#read(taskId);
    if (!entry || !isKept(entry) || !belongsToAttempt(attempt, 'processing')(entry)) return 'superseded';
    const before = this.#written.get(taskId) ?? this.#stepsOf(taskId);
    const written = before.then(async (steps) => {
      const all = { ...steps, [step.name]: step };
      await this.#put(stepsKey(taskId), JSON.stringify(all), entry.expires_at + MAX_TTL_SECONDS);
      return all;
    });
    this.#written.set(taskId, written);
    try {
      await written;
    } catch (error) {
      this.#written.delete(taskId);
      throw error;
    }
    return 'ours';
  }

  /**
   * @param {string} taskId
   * @param {string} name
   * @returns {Promise<TaskEvent | null>}
   */
  event(taskId, name) {
    return this.kv.get(eventKey(taskId, name), 'json');
  }

  /**
   * @param {string} taskId
   * @param {string} name
   * @param {TaskEvent} event
   * @returns {Promise<EventReceipt | null>}
   */
  async putEvent(taskId, name, event) {
    const entry = await this.#read(taskId);
    if (!entry || !isKept(entry) || ENDED.has(entry.status)) return null;
    const former = await this.event(taskId, name);
    const isSame = former?.payload === event.payload && former.received_ms === event.received_ms;
    if (!former) await this.#put(eventKey(taskId, name), JSON.stringify(event), entry.expires_at + MAX_TTL_SECONDS);
    const step = (await this.#stepsOf(taskId))[name];
    const isWaiting = entry.status === 'pending' && step?.kind === 'event' && step.status === 'waiting';
    if (isWaiting && (entry.due_at_ms ?? 0) > event.received_ms) {
      await this.#update(taskId, ({ status, run }) => status === 'pending' && run === entry.run, () => ({ due_at_ms: event.received_ms }));
    }
    return { isFirst: !former || isSame, waiting: isWaiting ? { run: entry.run, max_retries: entry.max_retries, ...withPriority(entry.priority) } : null };
  }

  /**
   * @param {string} taskId
   * @returns {Promise<Record<string, StepRecord>>}
   */
  async #stepsOf(taskId) {
    return await this.kv.get(stepsKey(taskId), 'json') ?? {};
  }

  /**
   * A repeated call makes the callback if the first call failed to make it.
   *
   * @param {string} taskId
   * @returns {Promise<FollowUp | null>}
   */
  async cancel(taskId) {
    const cancelled = await this.#update(taskId, ({ status }) => status === 'pending' || status === 'processing', () => ({
      status: 'cancelled', finished_at_ms: Date.now(), due_at_ms: null, lease_expires_at_ms: null,
    }));
    const ended = cancelled ?? await this.#read(taskId);
    const callbacks = ended?.status === 'cancelled' ? await this.#makeCallback(taskId, ended) : [];
    return cancelled && followUpOf({ runs: callbacks });
  }

  /**
   * @param {string} taskId
   * @param {number} run
   */
  async retry(taskId, run) {
    const now_ms = Date.now();
    const entry = await this.#update(
      taskId,
      (found) => found.run === run && (found.status === 'failed' || found.status === 'cancelled'),
      (found) => ({ ...newRun(found, now_ms), status: 'pending', due_at_ms: now_ms }),
    );
    if (!entry) return null;
    await this.#keepKey(taskId, entry);
    await this.#markDue(taskId, entry, now_ms);
    return entry.run;
  }

  /**
   * Its events have keys of their own, which are never listed: they expire.
   *
   * @param {string} taskId
   */
  async remove(taskId) {
    const entry = await this.#read(taskId);
    if (!entry || !isKept(entry) || !ENDED.has(entry.status)) return false;
    const { idempotency } = entry;
    await Promise.all([taskId, stepsKey(taskId), ...(idempotency ? [idempotencyKey(idempotency)] : [])].map((key) => this.kv.delete(key)));
    return true;
  }

  /**
   * @param {Abandoned[]} lost
   * @param {TaskError} error
   * @returns {Promise<FollowUp>}
   */
  async abandon(lost, error) {
    const callbacks = await Promise.all(lost.map(async ({ taskId, run, attempts, holder = '', delivery = 0, ended = [] }) => {
      const entry = await this.#update(
        taskId,
        (found) => found.run === run && found.attempts === attempts && (found.status === 'pending'
          || (found.status === 'processing' && isAbandoned(leased(found), { holder, delivery, ended }, Date.now()))),
        ({ status, crashes, ...found }) => ({
          ...(status === 'processing' && { story: crashedStory(found.story, leased({ status, crashes, ...found })) }),
          status: 'failed', error, finished_at_ms: Date.now(), due_at_ms: null, lease_expires_at_ms: null,
          crashes: crashes + (status === 'processing' ? 1 : 0),
        }),
      );
      return entry ? this.#makeCallback(taskId, entry) : [];
    }));
    return followUpOf({ runs: callbacks.flat() });
  }

  /**
   * @param {string[]} taskIds
   * @returns {Promise<Map<string, Status>>}
   */
  async statuses(taskIds) {
    const entries = await this.#readAll(taskIds);
    return new Map(entries.flatMap((entry, index) => (entry && isKept(entry) ? [/** @type {const} */ ([String(taskIds[index]), entry.status])] : [])));
  }

  /**
   * @param {string[]} taskIds
   * @param {number} bytes
   * @returns {Promise<TaskResult[]>}
   */
  async results(taskIds, bytes) {
    let total = 0;
    const entries = await this.#readAll(taskIds);
    return entries.flatMap((entry, index) => {
      if (!entry || !isKept(entry)) return [];
      const { status, handler, run, max_retries, error, result } = entry;
      const length = new TextEncoder().encode(result ?? '').byteLength;
      total += length;
      return [{ taskId: String(taskIds[index]), status, handler, run, max_retries, error, result: total <= bytes ? result : null, length }];
    });
  }

  /**
   * KV does not remember who waits for its tasks. The waiting tasks are in a store that replaced it, whose sweeper checks them.
   *
   * @param {Link[]} links
   */
  awaitEnds(links) {
    return this.statuses([...new Set(links.map(({ awaited }) => awaited))]);
  }

  /** @returns {AsyncGenerator<Link[]>} */
  async *dependents() {}

  async tell() {
    return followUpOf();
  }

  async waiting() {
    return [];
  }

  /**
   * @param {string[]} taskIds
   * @param {number} sent_at_ms
   */
  async markSent(taskIds, sent_at_ms) {
    await Promise.all(taskIds.map((taskId) => this.#update(taskId, (entry) => isOpen(leased(entry), Date.now()), () => ({ sent_at_ms }))));
  }

  /**
   * Every {@link SWEEP_INTERVAL_MINUTES}: the tasks created in the last {@link SWEEP_WINDOWS} windows, and those with a second key.
   *
   * @param {number} before_ms
   * @returns {AsyncGenerator<OpenTask[]>}
   */
  async *open(before_ms) {
    const minutes = Math.floor(before_ms / 60_000);
    if (minutes % SWEEP_INTERVAL_MINUTES !== 0) return;
    const pauses = await this.#recentPauses();
    const keys = await this.#listWindows(before_ms, minutes / SWEEP_INTERVAL_MINUTES);
    const young = keys.filter(({ name }) => name < timePrefix(before_ms)).map(({ name, metadata }) => openTask(name, metadata, before_ms, pauses));
    const due = await this.#sweepDue(before_ms, pauses);
    const found = [...due, ...young].filter((task) => task !== null);
    const open = [...new Map(found.map((task) => [task.taskId, task])).values()].sort((one, other) => one.due_ms - other.due_ms);
    for (let first = 0; first < open.length; first += PAGE_TASKS) yield open.slice(first, first + PAGE_TASKS);
  }

  async expire() {
    return 0; // keys expire by themselves
  }

  /** @param {SweepCounts} counts */
  async countSweep(counts) {
    const sum = { ...await this.#sweepCounts() };
    addCounts(sum, counts);
    await this.kv.put('sweeper', JSON.stringify(sum));
  }

  /** @returns {Promise<Probe[]>} */
  async probes() {
    return await this.kv.get('probes', 'json') ?? [];
  }

  /** @param {Probe[]} probes */
  async setProbes(probes) {
    await this.kv.put('probes', JSON.stringify(probes));
  }

  /** @returns {Promise<Fill[]>} nothing: a namespace has no limit */
  async fill() {
    return [];
  }

  /** @returns {Promise<RunningVersion[]>} nothing: only an object has code of its own */
  async workerVersions() {
    return [];
  }

  /**
   * @param {Query} query
   * @returns {Promise<Page>}
   */
  async list({ status, handler, group = null, tags = null, parent = null, limit, cursor, since = '', error = null }) {
    /** @type {TaskSummary[]} */
    const tasks = [];
    const walk = newestFirst(this.kv, cursor);
    for await (const { name, metadata } of walk.keys) {
      if (name < since) return { tasks, cursor: null };
      const entry = complete(metadata);
      const task = summary(name, entry);
      if (error !== null && !hasText(task.error, error)) continue;
      if (!isKept(entry) || (status && task.status !== status) || (handler && task.handler !== handler) || (group !== null && task.group !== group)) continue;
      if (tags !== null && !hasTags(task.tags, tags)) continue;
      if (parent !== null && metadata?.child_of !== parent) continue;
      if (tasks.length === limit) return { tasks, cursor: tasks.at(-1)?.taskId ?? null };
      tasks.push(task);
    }
    const stoppedAt = walk.stoppedAt();
    return { tasks, cursor: stoppedAt === null || stoppedAt <= since ? null : stoppedAt };
  }

  /** @returns {Promise<KeptSchedule[]>} */
  async schedules() {
    const schedules = this.#writtenSchedules ?? /** @type {Record<string, string>} */ (await this.kv.get(SCHEDULES_KEY, 'json') ?? {});
    return Object.entries(schedules).map(([name, schedule]) => ({ name, schedule })).sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  sweptSchedules() {
    return this.schedules();
  }

  /**
   * All schedules are one value: of two concurrent changes the later one wins, even if they are about different schedules.
   *
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  async changeSchedule(name, before, after) {
    const all = new Map((await this.schedules()).map((kept) => [kept.name, kept.schedule]));
    if ((all.get(name) ?? null) !== before) return false;
    if (after === null) all.delete(name);
    else all.set(name, after);
    const written = Object.fromEntries(all);
    await this.kv.put(SCHEDULES_KEY, JSON.stringify(written));
    this.#writtenSchedules = written;
    return true;
  }

  /** @returns {Promise<Pause[]>} */
  async pauses() {
    const pauses = await this.#readPauses();
    return Object.entries(pauses).map(([handler, paused_ms]) => ({ handler, paused_ms })).sort((one, other) => (one.handler < other.handler ? -1 : 1));
  }

  /**
   * All pauses are one value, like schedules. Other isolates see a change when they read the value again.
   *
   * @param {string} handler
   * @param {number | null} paused_ms
   */
  async setPause(handler, paused_ms) {
    const { [handler]: before, ...others } = await this.#readPauses();
    const pauses = paused_ms === null ? others : { ...others, [handler]: before ?? paused_ms };
    await this.kv.put(PAUSES_KEY, JSON.stringify(pauses));
    this.#writtenPauses = pauses;
    READ_PAUSES.set(this.namespace, { at_ms: Date.now(), pauses });
  }

  async carryOver() {} // this store is one part

  /** @returns {Promise<Pauses>} */
  async #readPauses() {
    return this.#writtenPauses ?? await this.kv.get(PAUSES_KEY, 'json') ?? {};
  }

  /** @returns {Promise<Pauses>} the pauses, up to a minute old */
  #recentPauses() {
    const read = READ_PAUSES.get(this.namespace);
    if (read && Date.now() < read.at_ms + PAUSES_SECONDS * 1000) return Promise.resolve(read.pauses);
    this.#pausesRead ??= this.#readPauses().then((pauses) => {
      READ_PAUSES.set(this.namespace, { at_ms: Date.now(), pauses });
      this.#pausesRead = null;
      return pauses;
    });
    return this.#pausesRead;
  }

  /** @param {string} name */
  note(name) {
    return this.kv.get(noteKey(name), 'text');
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  async changeNote(name, before, after) {
    if (await this.note(name) !== before) return false;
    await (after === null ? this.kv.delete(noteKey(name)) : this.kv.put(noteKey(name), after));
    return true;
  }

  async refreshGroups() {
    return followUpOf(); // there are none
  }

  async tally() {} // list operations are expensive: tasks are counted on demand

  /** @returns {Promise<Statistics>} */
  async statistics() {
    const now_ms = Date.now();
    const [found, sweeper] = await Promise.all([this.kv.get('statistics', 'json'), this.#sweepCounts()]);
    const kept = /** @type {KeptStatistics | null} */ (found);
    const parts = [{ name: 'KV', counted_ms: null, sweeper, handlers: null }];
    if (kept?.history && now_ms < kept.fresh_until_ms) return { ...kept, history: kept.history, minutes: recentMinutes(kept.minutes, now_ms), sweeper, parts };
    const seen = await this.#count(now_ms);
    const counted = { ...seen, history: joinHistories(kept?.history ?? null, seen.history, now_ms) };
    // Another isolate may write at the same time, which KV refuses; its numbers are as good.
    await this.kv.put('statistics', JSON.stringify(counted)).catch((error) => { if (!isStoreError(error)) throw error; });
    return { ...counted, sweeper, parts };
  }

  /**
   * A task is stored for at least a day, unless it has a shorter time to live of its own: that much history is visible, and older history is kept.
   *
   * @param {number} now_ms
   * @returns {Promise<Omit<Statistics, 'sweeper' | 'parts'>>}
   */
  async #count(now_ms) {
    const history = { ...newHistory(now_ms - TASK_TTL_SECONDS * 1000), until_ms: now_ms };
    const counted = { history, as_of_ms: now_ms, fresh_until_ms: now_ms + FRESH_SECONDS * 1000, counts: noCounts(), since_ms: /** @type {number | null} */ (null), isAll: true, minutes: {} };
    const walk = newestFirst(this.kv, null);
    let tasks = 0;
    for await (const { name: taskId, metadata } of walk.keys) {
      const { status, finished_at_ms: finished_at } = complete(metadata);
      if (tasks++ === COUNTED_TASKS) break;
      counted.counts[status]++;
      counted.since_ms = creationTime(taskId);
      for (const event of [submissionOf({ taskId }), endOf({ taskId, status, finished_at })]) {
        if (event) countEvent(counted.minutes, event, MINUTES);
        countInHistory(history, event, now_ms);
      }
    }
    counted.minutes = recentMinutes(counted.minutes, now_ms);
    counted.isAll = tasks <= COUNTED_TASKS && walk.stoppedAt() === null;
    if (!counted.isAll) history.since_ms = now_ms; // what became of older tasks is not seen
    return counted;
  }

  /** @returns {Promise<SweepCounts>} */
  async #sweepCounts() {
    return await this.kv.get('sweeper', 'json') ?? noSweeps();
  }

  /**
   * @param {NewTask} task
   * @returns {Promise<Insertion>}
   */
  async #insert(task) {
    const { taskId, handler, parameters, payload, delay_seconds, ttl_seconds, max_retries, idempotency, callback = null, priority, mayBeThere = false, submittedBy, tags } = task;
    const there = mayBeThere ? await this.#read(taskId) : null;
    if (there) return { taskId, run: there.run, status: there.status, isNew: false, conflict: false, isHeld: false };
    const created_ms = creationTime(taskId);
    const expires_at = Math.floor(created_ms / 1000) + delay_seconds + (ttl_seconds ?? TASK_TTL_SECONDS);
    const due_at_ms = delay_seconds > 0 ? created_ms + delay_seconds * 1000 : null;
    const asked = { handler, parameters, ...encoded(payload), max_retries, expires_at, due_at_ms, idempotency, callback, ...(submittedBy && { submitted_by: submittedBy }), ...(tags && { tags }), ...withPriority(priority) };
    const found = idempotency && await this.#heldBy(idempotency, task);
    if (found?.isReplaced) {
      const due_ms = due_at_ms ?? created_ms;
      const isElsewhere = (found.entry.priority ?? null) !== (priority ?? null);
      const run = found.entry.run + (due_ms < (found.entry.due_at_ms ?? 0) || isElsewhere ? 1 : 0);
      await this.#store(found.taskId, { ...found.entry, payload_encoding: undefined, tags: undefined, priority: undefined, ...asked, run, due_at_ms: due_ms, sent_at_ms: null });
      return { taskId: found.taskId, run, status: 'pending', isNew: false, conflict: false, isHeld: false, isReplaced: true };
    }
    if (found) {
      const { status, run } = found.entry;
      const isNew = found.taskId === taskId; // written before, and the reply was lost
      return { taskId: found.taskId, run, status, isNew, conflict: found.fingerprint !== idempotency?.fingerprint, isHeld: false };
    }
    await this.#store(taskId, complete(asked));
    return { taskId, run: 1, status: 'pending', isNew: true, conflict: false, isHeld: false };
  }

  /**
   * @param {string} taskId
   * @param {Entry} entry the entry of a task that has not started yet
   */
  async #store(taskId, entry) {
    await this.#write(taskId, entry);
    await this.#holdKey(taskId, entry);
    if (entry.due_at_ms) await this.#markDue(taskId, entry, entry.due_at_ms);
  }

  /**
   * Returns the existing task with the idempotency key of a new one, which is in its way or is replaced by it (`isReplaced`). The rules are the same
   * as in `task_table.js`.
   *
   * @param {Idempotency} idempotency
   * @param {Pick<NewTask, 'taskId' | 'replacesPending'>} task the new task
   * @returns {Promise<KeyHolder & {entry: Entry, isReplaced: boolean} | null>}
   */
  async #heldBy(idempotency, { taskId, replacesPending = false }) {
    /** @type {KeyHolder | null} */
    const holder = await this.kv.get(idempotencyKey(idempotency), 'json');
    const entry = holder && await this.#read(holder.taskId);
    if (!holder || !entry || !isKept(entry)) return null;
    const isUnstarted = entry.status === 'pending' && entry.started_at_ms === null;
    const isCovered = holder.fingerprint === idempotency.fingerprint && (entry.started_at_ms ?? 0) >= creationTime(taskId);
    if (replacesPending && !isUnstarted && !isCovered) return null; // the new task takes the key
    return { ...holder, entry, isReplaced: replacesPending && isUnstarted && holder.taskId !== taskId };
  }

  /**
   * @param {Delivery} delivery
   * @param {boolean} isAlone
   * @param {(length: number) => boolean} fits whether a payload fits in memory with the others
   * @returns {Promise<ClaimAnswer>}
   */
  async #claim(delivery, isAlone, fits) {
    const { taskId, run, holder, delivery: number, claim } = delivery;
    const now_ms = Date.now();
    const found = await this.#read(taskId);
    if (!found) return { kind: 'absent' };
    if (!isKept(found)) return { kind: 'over', hasFailed: false };
    const verdict = verdictOn(leased(found), delivery, { now_ms, max_retries: this.max_retries, isAlone });
    if (verdict === 'behind') return { kind: 'absent' }; // it may not be visible yet
    // The isolate that ended the task may have died before it made the callback; then the message comes again.
    if (verdict !== 'take' && verdict !== 'take over' && verdict.kind === 'over' && ENDED.has(found.status)) await this.#makeCallback(taskId, found);
    if (verdict !== 'take' && verdict !== 'take over') return verdict;
    const isRepeated = found.status === 'processing' && found.claim === claim;
    const paused_ms = isRepeated ? null : pausedSince(found, await this.#recentPauses());
    // The message comes again, because no sweep would find every waiting task.
    if (paused_ms !== null) return { kind: 'wait', until_ms: now_ms + Math.min(Math.max(now_ms - paused_ms, PAUSED_WAIT_MS[0]), PAUSED_WAIT_MS[1]) };
    if (!fits(payloadBytes(found))) return { kind: 'later' };
    const isRedrive = found.run !== run;
    /** @type {Entry} */
    const entry = {
      ...found,
      ...(isRedrive && newRun(found, now_ms)),
      holder, claim,
      delivery: number,
      status: 'processing',
      attempts: isRedrive ? 1 : found.attempts + (found.status === 'pending' ? 1 : 0),
      crashes: isRedrive ? 0 : found.crashes + (verdict === 'take over' ? 1 : 0),
      started_at_ms: isRedrive ? now_ms : found.started_at_ms ?? now_ms,
      progress: null,
      story: verdict === 'take over' ? crashedStory(found.story, leased(found)) : found.story,
      due_at_ms: null,
      lease_expires_at_ms: now_ms + LEASE_SECONDS * 1000,
    };
    await this.#write(taskId, entry);
    if (isRedrive) await this.#keepKey(taskId, entry);
    await this.#markDue(taskId, entry, now_ms + LEASE_SECONDS * 1000);
    const { attempts, crashes, handler, parameters, max_retries, callback, parent, story, priority } = entry;
    const task = { taskId, run, attempts, crashes, claim, handler, parameters, max_retries, callback, parent, after: null, story, payload: decoded(entry), ...withPriority(priority) };
    return { kind: 'claimed', task };
  }

  /**
   * KV writes one key at a time, so the task ends before its callback exists. If the callback is missing, the next call that ends the task creates
   * it. An existing callback stays as it is.
   *
   * @param {string} taskId
   * @param {Entry} entry
   * @returns {Promise<Submission[]>} the callback's first run; empty if there is no callback to make
   */
  async #makeCallback(taskId, entry) {
    const runs = callbackRuns({ ...entry, taskId, finished_ms: entry.finished_at_ms });
    const callbackId = runs[0]?.taskId;
    if (!entry.callback || !callbackId || await this.#read(callbackId)) return runs;
    const { status, handler, run, attempts, result, error, callback, priority } = entry;
    const finished_ms = creationTime(callbackId);
    await this.#write(callbackId, complete({
      handler: CALLBACK_HANDLER, parameters: { url: callback.url }, parent: taskId, ...withPriority(priority),
      payload: callbackBody({ taskId, status, handler, run, attempts, result, error, finished_ms }),
      expires_at: Math.floor(finished_ms / 1000) + TASK_TTL_SECONDS,
    }));
    return runs;
  }

  /**
   * @param {string} taskId
   * @param {Entry} entry
   * @returns {Promise<CallbackState | null>}
   */
  async #callbackState(taskId, entry) {
    const callbackId = callbackIdOf(taskId, entry);
    const status = callbackId ? (await this.#read(callbackId))?.status ?? null : null;
    return entry.callback && { ...entry.callback, taskId: callbackId, status };
  }

  /**
   * @template {AttemptName} Attempt
   * @param {Attempt[]} attempts
   * @param {(attempt: Attempt) => Promise<boolean>} isOurs
   * @returns {Promise<Map<string, Standing>>}
   */
  async #standings(attempts, isOurs) {
    return new Map(await Promise.all(attempts.map(async (attempt) => {
      /** @type {Standing} */
      let standing = 'lost';
      try {
        standing = await isOurs(attempt) ? 'ours' : 'superseded';
      } catch (error) {
        if (!isStoreError(error)) throw error;
      }
      return /** @type {const} */ ([attempt.taskId, standing]);
    })));
  }

  /**
   * @param {string} taskId
   * @returns {Promise<Entry | null>}
   */
  async #read(taskId) {
    return entryOf(taskId, await this.kv.get(taskId, 'json'));
  }

  /**
   * Reads many keys for the price of a few: a bulk read is one operation.
   *
   * @param {string[]} taskIds
   * @returns {Promise<(Entry | null)[]>} the values in the order of the keys
   */
  async #readAll(taskIds) {
    const keys = [...new Set(taskIds)];
    const starts = keys.flatMap((_, index) => (index % BULK_READ_KEYS === 0 ? [index] : []));
    const reads = await Promise.all(starts.map((start) => this.kv.get(keys.slice(start, start + BULK_READ_KEYS), 'json')));
    const values = new Map(reads.flatMap((read) => [...read]));
    return taskIds.map((taskId) => entryOf(taskId, values.get(taskId)));
  }

  /**
   * Changes an entry that has not expired, if a condition holds.
   *
   * @param {string} taskId
   * @param {(entry: Entry) => boolean} condition
   * @param {(entry: Entry) => Partial<Entry>} change
   * @returns {Promise<Entry | null>} the changed entry; null if there is none or the condition does not hold
   */
  async #update(taskId, condition, change) {
    const found = await this.#read(taskId);
    if (!found || !isKept(found) || !condition(found)) return null;
    const entry = { ...found, ...change(found) };
    await this.#write(taskId, entry);
    return entry;
  }

  /**
   * @param {string} taskId
   * @param {Entry} entry
   */
  async #write(taskId, entry) {
    await this.#put(taskId, JSON.stringify(entry), entry.expires_at, metadataOf(entry));
  }

  /**
   * @param {string} name
   * @param {string} text
   * @param {number} expires_at in seconds
   * @param {Metadata} [metadata]
   */
  async #put(name, text, expires_at, metadata) {
    const expiration = Math.max(expires_at, Math.ceil(Date.now() / 1000) + MIN_TTL_SECONDS);
    await this.kv.put(name, text, { expiration, ...(metadata && { metadata }) });
  }

  /**
   * Reserves a task's idempotency key, if it has one, for as long as the task lives.
   *
   * @param {string} taskId
   * @param {Entry} entry
   */
  async #holdKey(taskId, { idempotency, expires_at }) {
    if (!idempotency) return;
    /** @type {KeyHolder} */
    const holder = { taskId, fingerprint: idempotency.fingerprint };
    await this.#put(idempotencyKey(idempotency), JSON.stringify(holder), expires_at);
  }

  /**
   * Reserves a key for as long as a new run of its task lives, unless another task has taken it.
   *
   * @param {string} taskId
   * @param {Entry} entry
   */
  async #keepKey(taskId, entry) {
    /** @type {Partial<KeyHolder> | null} */
    const holder = entry.idempotency && await this.kv.get(idempotencyKey(entry.idempotency), 'json');
    if ((holder?.taskId ?? taskId) === taskId) await this.#holdKey(taskId, entry);
  }

  /**
   * Gives a task its second key, if the sweeper would not find it by its id.
   *
   * @param {string} taskId
   * @param {Entry} entry
   * @param {number} due_ms
   */
  async #markDue(taskId, { expires_at }, due_ms) {
    if (due_ms - creationTime(taskId) < SURELY_SWEPT_MS) return;
    await this.#put(`${DUE_PREFIX}${timePrefix(due_ms)}:${taskId}`, '', expires_at);
  }

  /**
   * @param {number} before_ms
   * @param {Pauses} pauses
   * @returns {Promise<(OpenTask | null)[]>}
   */
  async #sweepDue(before_ms, pauses) {
    const { keys } = await this.kv.list({ prefix: DUE_PREFIX, limit: SWEEP_DUE_KEYS });
    const due = keys.filter(({ name }) => name < `${DUE_PREFIX}${timePrefix(before_ms)}`);
    /** @type {(OpenTask | null)[]} */
    const open = [];
    // They are read in portions: entries contain payloads, and all of them together would not fit in memory.
    for (let start = 0; start < due.length; start += BULK_READ_KEYS) {
      const names = due.slice(start, start + BULK_READ_KEYS).map(({ name }) => name);
      const taskIds = names.map((name) => name.slice(`${DUE_PREFIX}${timePrefix(0)}:`.length));
      const entries = await this.#readAll(taskIds);
      const spent = names.filter((_, index) => !entries[index] || ENDED.has(entries[index].status));
      await Promise.all(spent.map((name) => this.kv.delete(name)));
      open.push(...taskIds.map((taskId, index) => openTask(taskId, entries[index], before_ms, pauses)));
    }
    return open;
  }

  /**
   * @param {number} before_ms
   * @param {number} round the number of earlier sweeps
   * @returns {Promise<KVNamespaceListKey<Metadata>[]>} the tasks of the last windows; one list operation is enough if there are few
   */
  async #listWindows(before_ms, round) {
    const windows = Array.from({ length: SWEEP_WINDOWS }, (_, age) => windowPrefix(before_ms - age * WINDOW_MS));
    const wider = new Set(windows.map((prefix) => prefix.slice(0, -1)));
    const lists = await Promise.all([...wider].map(async (prefix) => {
      const whole = await this.#list(prefix);
      if (whole.list_complete) return whole.keys.filter(({ name }) => windows.some((window) => name.startsWith(window)));
      return (await Promise.all(windows.filter((window) => window.startsWith(prefix)).map((window) => this.#listWindow(window, round)))).flat();
    }));
    return lists.flat();
  }

  /**
   * @param {string} prefix the prefix of a window
   * @param {number} round the number of earlier sweeps
   * @returns {Promise<KVNamespaceListKey<Metadata>[]>} all tasks in it, or those of the parts whose turn it is
   */
  async #listWindow(prefix, round) {
    const whole = await this.#list(prefix);
    if (whole.list_complete) return whole.keys;
    const digits = Array.from({ length: SWEEP_PARTS }, (_, part) => ((round * SWEEP_PARTS + part) % 16).toString(16));
    return (await Promise.all(digits.map((digit) => this.#list(prefix + digit)))).flatMap(({ keys }) => keys);
  }

  /**
   * @param {string} prefix
   * @returns {Promise<KVNamespaceListResult<Metadata>>} its first keys
   */
  #list(prefix) {
    return this.kv.list({ prefix });
  }
}

/**
 * @param {string} taskId
 * @param {Entry} entry
 * @returns {string | null} the id of its callback; null if it has none to make yet
 */
function callbackIdOf(taskId, { callback, status, run, finished_at_ms }) {
  return finished_at_ms !== null && tellsOf(callback, status) ? callbackTaskId({ taskId, run, finished_ms: finished_at_ms }) : null;
}

/**
 * @param {TaskError | null} error
 * @param {string} text
 */
function hasText(error, text) {
  return error !== null && `${error.name}: ${error.message}`.toLowerCase().includes(text.toLowerCase());
}

/** @param {Idempotency} idempotency */
function idempotencyKey({ key }) {
  return `idempotency:${key}`;
}

/** @param {string} name */
function noteKey(name) {
  return `note:${name}`;
}

/** @param {string} taskId */
function stepsKey(taskId) {
  return `steps:${taskId}`;
}

/**
 * @param {string} taskId
 * @param {string} name
 */
function eventKey(taskId, name) {
  return `event:${taskId}:${name}`;
}

/** @param {number} time_ms */
function windowPrefix(time_ms) {
  return timePrefix(time_ms).slice(0, WINDOW_DIGITS);
}

/**
 * @param {string} key
 * @param {unknown} value the key's value
 * @returns {Entry | null} null if the key is not a task's, or has no value
 */
function entryOf(key, value) {
  const isTask = Number.isFinite(creationTime(key)) && value;
  return isTask ? complete(/** @type {Partial<Entry>} */ (value)) : null;
}

/**
 * @param {Partial<Entry> | null | undefined} entry an entry in which fields may be missing
 * @returns {Entry}
 */
function complete(entry) {
  return {
    status: 'pending', handler: 'default', parameters: {}, payload: '', run: 1, attempts: 0, crashes: 0, max_retries: null,
    expires_at: 0, due_at_ms: null, lease_expires_at_ms: null, holder: null, delivery: null, claim: null, sent_at_ms: null, started_at_ms: null, finished_at_ms: null,
    progress: null, error: null, result: null, idempotency: null, callback: null, parent: null, story: null, ...entry,
  };
}

/**
 * @param {Pick<Entry, 'expires_at'>} entry
 * @returns {boolean} whether it has not expired: KV itself keeps a key for at least a minute after each write
 */
function isKept({ expires_at }) {
  return expires_at * 1000 > Date.now();
}

/**
 * Returns the first fields of a new run of a task.
 *
 * @param {Entry} entry
 * @param {number} now_ms
 * @returns {Partial<Entry>}
 */
function newRun({ run, expires_at }, now_ms) {
  return {
    run: run + 1, attempts: 0, crashes: 0, expires_at: Math.max(expires_at, Math.floor(now_ms / 1000) + TASK_TTL_SECONDS),
    holder: null, delivery: null, claim: null, sent_at_ms: null, started_at_ms: null, finished_at_ms: null, progress: null, error: null,
  };
}

/**
 * @param {Entry} entry
 * @returns {Leased}
 */
function leased({ due_at_ms, lease_expires_at_ms, ...entry }) {
  return { ...entry, due_at: due_at_ms, lease_expires_at: lease_expires_at_ms };
}

/**
 * A read may be older than the attempt's own claim; then the task is still the attempt's. The same is true for an earlier write of the same outcome,
 * whose reply was lost.
 *
 * @param {AttemptName} attempt
 * @param {Status} status the status that it is to have
 */
function belongsToAttempt({ run, attempts, crashes, claim }, status) {
  return (/** @type {Entry} */ entry) => {
    if (entry.run !== run) return entry.run < run;
    if (entry.claim === claim) return entry.status === 'processing' || entry.status === status;
    return !ENDED.has(entry.status) && entry.attempts + entry.crashes < attempts + crashes;
  };
}

/**
 * @param {string} taskId
 * @param {Partial<Entry> | null | undefined} entry
 * @param {number} before_ms
 * @param {Pauses} pauses
 * @returns {OpenTask | null} null if it is not open, not due, or paused
 */
function openTask(taskId, entry, before_ms, pauses) {
  const { handler, status, run, attempts, max_retries, sent_at_ms, due_at_ms, lease_expires_at_ms, expires_at, priority } = complete(entry);
  const due_ms = due_at_ms ?? creationTime(taskId);
  if (!entry || pausedSince({ handler }, pauses) !== null || !isKept({ expires_at }) || due_ms >= before_ms || !isOpen({ status, lease_expires_at: lease_expires_at_ms }, Date.now())) return null;
  return { taskId, run, attempts, max_retries, due_ms, sent_at_ms, isHeld: status === 'processing', ...withPriority(priority) };
}

/**
 * @param {Pick<Entry, 'handler'>} entry
 * @param {Pauses} pauses
 * @returns {number | null} null: it is not paused
 */
function pausedSince({ handler }, pauses) {
  return [handler, ALL_HANDLERS].flatMap((name) => (Object.hasOwn(pauses, name) ? [Number(pauses[name])] : []))[0] ?? null; // a handler may be named `constructor`
}

/**
 * @param {string} taskId
 * @param {Entry} entry
 * @returns {TaskSummary}
 */
function summary(taskId, entry) {
  const { status, handler, run, attempts, crashes, max_retries, progress, error, expires_at, priority = null } = entry;
  return {
    taskId, status, handler, run, attempts, crashes, max_retries, progress, error,
    group: null, priority, waiting_for: null,
    ...(entry.tags && { tags: entry.tags }),
    created_ms: creationTime(taskId),
    started_ms: entry.started_at_ms,
    finished_ms: entry.finished_at_ms,
    next_attempt_ms: status === 'pending' ? entry.due_at_ms : null,
    expires_ms: expires_at * 1000,
  };
}

/**
 * @param {Entry} entry
 * @returns {Metadata} the metadata, with texts as long as fit
 */
function metadataOf(entry) {
  const {
    parameters: _parameters, payload: _payload, payload_encoding: _encoding, result: _result, idempotency: _idempotency,
    holder: _holder, delivery: _delivery, claim: _claim, callback: _callback, parent, story: _story, submitted_by = parent, ...others
  } = entry;
  const kept = { ...others, ...(submitted_by && { child_of: submitted_by }) };
  const candidates = TEXT_LENGTHS.map((length) => ({
    ...kept,
    error: entry.error && { name: bounded(entry.error.name, length), message: bounded(entry.error.message, length) },
    progress: entry.progress && { ...entry.progress, note: entry.progress.note === null ? null : bounded(entry.progress.note, length) },
  }));
  return candidates.find((metadata) => new TextEncoder().encode(JSON.stringify(metadata)).byteLength <= METADATA_BYTES)
    ?? { ...kept, error: null, progress: null };
}

/**
 * @param {Payload} payload
 * @returns {Pick<Entry, 'payload' | 'payload_encoding'>}
 */
function encoded(payload) {
  return typeof payload === 'string' ? { payload } : { payload: payload.toBase64(), payload_encoding: 'base64' };
}

/** @param {Entry} entry */
function payloadBytes({ payload, payload_encoding }) {
  return payload_encoding === 'base64' ? payload.length * 3 / 4 : new TextEncoder().encode(payload).byteLength;
}

/**
 * @param {Entry} entry
 * @returns {Payload}
 */
function decoded({ payload, payload_encoding }) {
  return payload_encoding === 'base64' ? Uint8Array.fromBase64(payload) : payload;
}
