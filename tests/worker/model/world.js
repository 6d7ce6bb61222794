/** The task runner in a {@link Cloud}, and what must hold of it. */

import './workerd.js';
import { runsOf } from '../../../worker/api/intake.js';
import { QueueEngine } from '../../../worker/engines/queue.js';
import { groupNamed } from '../../../worker/group.js';
import { EARLY_MS } from '../../../worker/stores/lease.js';
import { D1Store } from '../../../worker/stores/d1.js';
import { KvStore } from '../../../worker/stores/kv.js';
import { shardedD1 } from '../../../worker/stores/sharded_d1.js';
import { isStoreError } from '../../../worker/stores/store_error.js';
import { CONSUMER_PATIENCE_SECONDS, REQUEST_PATIENCE_SECONDS } from '../../../worker/stores/connection.js';
import { HandoverRefused } from '../../../worker/engines/engine.js';
import { sweep } from '../../../worker/sweeper.js';
import { ENDED, MAX_CRASHES } from '../../../worker/task.js';
import { newTaskId } from '../../../worker/task_id.js';
import { READING, readMigrations } from '../worker_under_test.js';
import { newTask } from '../store_under_test.js';
import { Clock, randomOf, within } from './clock.js';
import { Cloud, d1Shelf, Isolate, kvShelf, objectShelf } from './cloud.js';

const { DurableObjectStore, taskObject } = await import('../../../worker/stores/durable_object.js');
const MIGRATIONS = await readMigrations();

/** @import { Store } from '../../../worker/stores/store.js' */
/** @import { FaultKind, Target } from './cloud.js' */

/** @typedef {'d1' | 'sharded-d1' | 'durable-object' | 'kv'} ShelfName */

/** What a handler does, and how long it takes; `crash` kills its isolate. @typedef {{does: 'ok' | 'fail' | 'later' | 'permanent' | 'crash', takes_ms: number}} Act */

/**
 * @typedef {{kind: 'submit', acts: Act[], delay_seconds: number, max_retries: number | null, isGrouped: boolean}
 *   | {kind: 'deliver', most: number, lane: number} | {kind: 'advance', time_ms: number}
 *   | {kind: 'fault', target: Target, after: number, fault: FaultKind} | {kind: 'outage', target: string, seconds: number}
 *   | {kind: 'duplicate' | 'cancel' | 'retry' | 'redrive', pick: number} | {kind: 'echo', pick: number, lane: number}
 *   | {kind: 'kill', lane: number} | {kind: 'lose-ack'} | {kind: 'junk', isMalformed: boolean}} Step
 */

/** One start of a handler. @typedef {{taskId: string, run: number, isolate: Isolate, state: 'running' | 'ok' | 'threw' | 'permanent' | 'stopped'}} Execution */

const MAX_RETRIES = 3;
const SETTINGS = { MAX_RETRIES: String(MAX_RETRIES), RETRY_DELAY_SECONDS: '2', RETRY_BACKOFF: 'exponential', RETRY_MAX_DELAY_SECONDS: '60', GROUP_CONCURRENCY: '2' };

/** How many tasks of the one group may be worked on at once. */
const CONCURRENCY = Number(SETTINGS.GROUP_CONCURRENCY);
const GROUPED = { ...READING, env: SETTINGS };
const GROUP_OF = (/** @type {string} */ name) => groupNamed(name, {}, SETTINGS);
const MINUTE_MS = 60_000;

/** How long after the last fault everything must have ended: three leases, and as long again for messages that are given up for lost. */
const LIMIT_MS = 4 * 60 * MINUTE_MS;

/** The name that KV gives no promise of: who may work on a task is decided by reading first. */
const ATOMIC = { 'd1': true, 'sharded-d1': true, 'durable-object': true, 'kv': false };

export class World {
  /** @type {string[]} */
  violations = [];
  /** @type {Execution[]} */
  executions = [];
  /** Tasks that a client was told are there. @type {Set<string>} */
  accepted = new Set();
  /** @type {string[]} */
  submitted = [];
  /** Those of the one group. @type {Set<string>} */
  #grouped = new Set();
  trace = /** @type {string[]} */ ([]);
  /** @type {Map<string, Act[]>} */
  #plans = new Map();
  /** @type {Map<string, any>} */
  #rows = new Map();
  /** Names of claims whose isolate died. @type {Set<string>} */
  #deadClaims = new Set();
  /** Of each run the claims that were lost with their isolate. @type {Map<string, Set<string>>} */
  #deaths = new Map();
  /** @type {Set<string>} */
  #failedRuns = new Set();
  /** @type {Isolate[]} */
  #lanes = [];
  #consuming = 0;

  /**
   * @param {ShelfName} name
   * @param {number} seed
   */
  constructor(name, seed) {
    this.name = name;
    this.random = randomOf(seed);
    this.clock = new Clock(Date.UTC(2026, 10, 29, 12, 0, 0), this.random);
    this.cloud = new Cloud({
      random: this.random, max_retries: MAX_RETRIES,
      onChange: () => this.#observe(),
      onDeath: ({ claims }) => {
        for (const claim of claims) this.#deadClaims.add(claim);
        for (const row of this.#rows.values()) this.#countDeath(row);
      },
      onLetter: (body, source) => this.#lettered(body, source),
    });
    this.shelf = this.#makeShelf();
  }

  /** @param {Step[]} steps */
  async run(steps) {
    this.clock.install();
    const cron = () => {
      this.#sweep();
      setTimeout(cron, MINUTE_MS);
    };
    setTimeout(cron, MINUTE_MS);
    try {
      for (const step of steps) {
        await this.#take(step);
        this.#observe();
        if (this.violations.length > 0) break;
      }
      this.cloud.heal();
      await this.#finish();
    } finally {
      this.clock.uninstall();
    }
    if (this.violations.length > 0) throw new Error(`${this.violations[0]}\n  ${this.trace.join('\n  ')}`);
  }

  /** @param {Step} step */
  async #take(step) {
    switch (step.kind) {
      case 'submit': this.#submit(step); break;
      case 'deliver': this.#hand(this.cloud.take(step.most), step.lane); break;
      case 'advance': return this.clock.advance(step.time_ms);
      case 'fault': this.cloud.arm(step.target, step.after, step.fault); break;
      case 'outage': this.cloud.takeDown(step.target, step.seconds); break;
      case 'kill': this.cloud.kill(this.#lane(step.lane)); break;
      case 'junk': this.cloud.enqueue(step.isMalformed ? { no: 'task' } : { taskId: newTaskId(Date.now()), run: 1 }, 0); break;
      case 'duplicate': {
        const message = pick(this.cloud.queue, step.pick);
        if (message) this.cloud.enqueue(structuredClone(message.body), 0);
        break;
      }
      case 'echo': this.#hand(this.cloud.echo(step.pick), step.lane); break;
      case 'lose-ack': this.cloud.loseAck(); break;
      case 'redrive': this.#redrive(step.pick); break;
      case 'cancel': case 'retry': {
        const taskId = pick(this.submitted, step.pick);
        if (taskId) this.#ask(step.kind, taskId);
        break;
      }
    }
    await this.clock.advance(5);
  }

  /** @param {Step & {kind: 'submit'}} step */
  #submit({ acts, delay_seconds, max_retries, isGrouped }) {
    const group = isGrouped && this.name !== 'kv' ? GROUP_OF('/model') : null;
    const taskId = newTaskId(Date.now(), group ? '00' : '');
    if (group) this.#grouped.add(taskId);
    this.#plans.set(taskId, [...acts]);
    this.submitted.push(taskId);
    this.#say(`submit ${short(taskId)} ${JSON.stringify({ acts, delay_seconds, max_retries, isGrouped })}`);
    const isolate = this.#lane(0);
    const { store, engine } = this.#parts(isolate, REQUEST_PATIENCE_SECONDS);
    this.#client(isolate, async () => {
      const task = newTask({ taskId, payload: taskId, delay_seconds, max_retries, group });
      const [insertion] = await store.insert([task]);
      if (!insertion || insertion instanceof Error) return;
      if (!insertion.isNew || insertion.taskId !== taskId) this.#violate(`task ${short(taskId)} is not new`);
      this.accepted.add(taskId);
      await engine.submit(runsOf(task, insertion));
    });
  }

  /** @param {'cancel' | 'retry'} kind @param {string} taskId */
  #ask(kind, taskId) {
    const isolate = this.#lane(1);
    const { store, engine } = this.#parts(isolate, REQUEST_PATIENCE_SECONDS);
    this.#client(isolate, async () => {
      if (kind === 'cancel') {
        const followUp = await store.cancel(taskId);
        this.#say(`cancel ${short(taskId)}: ${followUp !== null}`);
        return;
      }
      const found = await store.find(taskId);
      if (!found || (found.status !== 'failed' && found.status !== 'cancelled')) return;
      const run = await store.retry(taskId, found.run);
      this.#say(`retry ${short(taskId)}: ${run}`);
      if (run !== null) await engine.submit([{ taskId, run, delay_seconds: 0, max_retries: found.max_retries }]);
    });
  }

  /** As `ops` does it: the letter is done with when its task's message is in the queue. @param {number} number */
  #redrive(number) {
    const letter = pick(this.cloud.letters.filter(({ body }) => body.taskId), number);
    if (!letter) return;
    const body = { taskId: letter.body.taskId, run: (letter.body.run ?? 1) + 1, redrive: true };
    this.#say(`redrive ${short(body.taskId)} run ${body.run}`);
    const isolate = new Isolate();
    this.#client(isolate, async () => {
      await this.cloud.call(isolate, 'queue', '', () => this.cloud.enqueue(body, 0));
      this.cloud.letters = this.cloud.letters.filter((each) => each !== letter); // another redrive may have acknowledged it before
    });
  }

  #sweep() {
    if (this.name === 'durable-object') return; // each object sweeps itself
    const isolate = new Isolate();
    const { store, engine } = this.#parts(isolate, REQUEST_PATIENCE_SECONDS);
    this.#client(isolate, () => sweep(store, engine, GROUPED));
  }

  /** @param {import('./cloud.js').Queued[]} messages @param {number} number */
  #hand(messages, number) {
    if (messages.length === 0) return;
    const isolate = this.#lane(number);
    this.#say(`deliver ${messages.map(({ id, body, deliveries }) => `${id.slice(8)}${JSON.stringify(body.taskId ? { ...body, taskId: short(body.taskId) } : body)}×${deliveries + 1}`).join(' ')} to lane ${number}`);
    /** @type {Map<string, {run: number, claim: string}>} */
    const claimed = new Map();
    const { engine } = this.#parts(isolate, CONSUMER_PATIENCE_SECONDS, claimed);
    this.#consuming++;
    const done = () => { this.#consuming--; };
    let isOver = false;
    const over = () => { if (!isOver) done(); isOver = true; };
    this.#watchers.push(() => { if (isolate.isDead) over(); return isOver; });
    within(isolate, () => this.cloud.deliver(isolate, messages, (batch) => engine.consume(batch))).then(over, (error) => {
      this.#violate(`consume rejected: ${error.stack}`);
      over();
    });
  }

  /** @type {(() => boolean)[]} */
  #watchers = [];

  /** Nothing fails any more: everything must end. */
  async #finish() {
    const end_ms = Date.now() + LIMIT_MS;
    let quiet = 0;
    this.#say('no more faults');
    while (this.violations.length === 0 && quiet < 2) {
      for (let lane = 0; this.cloud.queue.some(({ isHeld, visible_ms }) => !isHeld && visible_ms <= Date.now()); lane++) this.#hand(this.cloud.take(5), lane % 2);
      const next_ms = Math.min(Date.now() + MINUTE_MS, ...this.cloud.queue.flatMap(({ isHeld, visible_ms }) => (isHeld ? [] : [visible_ms])));
      await this.clock.advance(Math.max(next_ms - Date.now(), 50));
      this.#observe();
      this.#watchers = this.#watchers.filter((isOver) => !isOver());
      const isQuiet = this.#open().length === 0 && this.cloud.queue.length === 0 && this.#consuming === 0;
      quiet = isQuiet ? quiet + 1 : 0;
      if (Date.now() > end_ms) {
        this.#violate(`not ended: ${JSON.stringify(this.#open())}, messages ${JSON.stringify(this.cloud.queue)}, consuming ${this.#consuming}`);
      }
    }
    if (this.violations.length > 0) return;
    for (const taskId of this.accepted) if (!this.#rows.has(taskId)) this.#violate(`accepted task ${short(taskId)} is lost`);
    for (const { taskId, status, run } of this.#rows.values()) {
      if (status === 'failed' && !this.cloud.letters.some(({ body }) => body.taskId === taskId && (body.run ?? 1) === run)) {
        this.#violate(`failed task ${short(taskId)} of run ${run} has no letter`);
      }
    }
  }

  #open() {
    return [...this.#rows.values()].filter(({ status }) => !ENDED.has(status));
  }

  /** What the rows are now, compared with what they were. */
  #observe() {
    for (const row of this.shelf.rows()) {
      const before = this.#rows.get(row.taskId);
      this.#countDeath(row);
      if (before && before.status === row.status && before.run === row.run && before.attempts === row.attempts && before.claim === row.claim && before.due_ms === row.due_ms) continue;
      this.#rows.set(row.taskId, row);
      this.#say(`  ${short(row.taskId)} ${row.status} run ${row.run} attempts ${row.attempts} crashes ${row.crashes} claim ${row.claim?.slice(0, 4)} due ${row.due_ms && row.due_ms - Date.now()}`);
      this.#moved(before, row);
    }
    const working = [...this.#grouped].filter((taskId) => this.#rows.get(taskId)?.status === 'processing');
    if (working.length > CONCURRENCY) this.#violate(`${working.length} tasks of a group are worked on, of ${CONCURRENCY}: ${working.map(short)}`);
  }

  /** @param {any} row */
  #countDeath({ taskId, status, run, claim }) {
    if (status !== 'processing' || !this.#deadClaims.has(claim)) return;
    const key = `${taskId} ${run}`;
    const deaths = this.#deaths.get(key) ?? new Set();
    this.#deaths.set(key, deaths.add(claim));
  }

  /** @param {any} before @param {any} row */
  #moved(before, { taskId, status, run, attempts, max_retries, error }) {
    const name = `task ${short(taskId)}`;
    const executions = this.executions.filter((each) => each.taskId === taskId && each.run === run);
    const count = (/** @type {Execution['state']} */ state) => executions.filter((each) => each.state === state).length;
    const most = (max_retries ?? MAX_RETRIES) + 1;
    if (attempts > most) this.#violate(`${name} has ${attempts} attempts of ${most}`);
    if (ATOMIC[this.name]) {
      if (attempts > count('threw') + 1) this.#violate(`${name} spent ${attempts} attempts, though ${count('threw')} failed`);
      if (before && run < before.run) this.#violate(`${name} went back to run ${run} from ${before.run}`);
      if (before && run === before.run && ENDED.has(before.status) && status !== before.status) this.#violate(`${name} moved from ${before.status} to ${status}`);
      if (before && run > before.run && (run > before.run + 1 || !['failed', 'cancelled'].includes(before.status))) this.#violate(`${name} began run ${run} while it was ${before.status} in run ${before.run}`);
      if (before && run === before.run && attempts < before.attempts) this.#violate(`${name} lost attempts: ${before.attempts} to ${attempts}`);
    }
    if (status === before?.status && run === before.run) return;
    if (status === 'completed' && count('ok') === 0) this.#violate(`${name} is completed, though no handler was`);
    if (status !== 'failed') return;
    this.#failedRuns.add(`${taskId} ${run}`);
    const { name: why } = JSON.parse(error);
    const deaths = this.#deaths.get(`${taskId} ${run}`)?.size ?? 0;
    const isRight = why === 'Crashed' ? deaths >= MAX_CRASHES : count('permanent') > 0 || count('threw') >= most;
    if (!isRight) this.#violate(`${name} failed with ${why}: ${count('threw')} of ${most} attempts failed, ${count('permanent')} for good, ${deaths} isolates died`);
  }

  /** @param {any} body @param {'engine' | 'platform'} source */
  #lettered(body, source) {
    this.#say(`  letter of the ${source} ${JSON.stringify({ ...body, taskId: body.taskId && short(body.taskId) })}`);
    this.#observe();
    // An isolate that dies with messages at their last delivery, before it can send them anew, buries them: this takes two deaths one after the other.
    if (source === 'platform' || !body.taskId || !this.#rows.has(body.taskId)) return;
    // KV cannot tell a run that is not yet to be seen from one that there is not: the letter of a redrive that came too early.
    if (this.name === 'kv' && this.#rows.get(body.taskId).run < body.run) return;
    if (!this.#failedRuns.has(`${body.taskId} ${body.run}`)) this.#violate(`a letter names task ${short(body.taskId)} in run ${body.run}, which has not failed`);
  }

  /**
   * What handlers do.
   *
   * @param {Isolate} isolate
   * @param {Map<string, {run: number, claim: string}>} claimed
   */
  #handlers(isolate, claimed) {
    /** @param {any} taskId @param {any} context */
    const handle = async (taskId, { signal }) => {
      const { run = 0, claim = '' } = claimed.get(taskId) ?? {};
      const act = this.#plans.get(taskId)?.shift() ?? { does: 'ok', takes_ms: 10 };
      this.#started(taskId, run, claim);
      /** @type {Execution} */
      const execution = { taskId, run, isolate, state: 'running' };
      this.executions.push(execution);
      this.#say(`  ${short(taskId)} runs: ${act.does} in ${act.takes_ms} ms`);
      await new Promise((resolve) => {
        setTimeout(resolve, act.takes_ms);
        signal.addEventListener('abort', resolve);
      });
      if (isolate.isDead) return new Promise(() => {});
      if (signal.aborted) {
        execution.state = 'stopped';
        throw signal.reason;
      }
      if (act.does === 'crash') {
        this.#say(`  ${short(taskId)} kills its isolate`);
        this.cloud.kill(isolate);
        return new Promise(() => {});
      }
      execution.state = act.does === 'ok' ? 'ok' : act.does === 'permanent' ? 'permanent' : 'threw';
      if (act.does === 'ok') return 'done';
      throw Object.assign(new Error('as planned'), act.does === 'permanent' && { permanent: true }, act.does === 'later' && { retry_after_seconds: 20 });
    };
    return { default: { default: handle } };
  }

  /** @param {string} taskId @param {number} run @param {string} claim */
  #started(taskId, run, claim) {
    const name = `task ${short(taskId)}`;
    const row = this.#rows.get(taskId);
    const due_ms = this.#due.get(taskId + claim) ?? 0;
    if (Date.now() < due_ms - EARLY_MS) this.#violate(`${name} started ${due_ms - Date.now()} ms early`);
    if (!ATOMIC[this.name]) return;
    if (this.executions.some((each) => each.taskId === taskId && each.run === run && each.state === 'running' && !each.isolate.isDead)) {
      this.#violate(`${name} runs twice at once in run ${run}`);
    }
    if (row.run === run && ['completed', 'failed'].includes(row.status)) this.#violate(`${name} runs after it has ${row.status}`);
    if (this.executions.some((each) => each.taskId === taskId && each.run === run && each.state === 'ok') && row.status === 'completed') this.#violate(`${name} runs again`);
  }

  /** When the task of each claim was due. @type {Map<string, number>} */
  #due = new Map();

  /**
   * @param {Isolate} isolate
   * @param {number} patience_seconds
   * @param {Map<string, {run: number, claim: string}>} [claimed]
   */
  #parts(isolate, patience_seconds, claimed = new Map()) {
    isolate.bindings ??= { ...SETTINGS, ...this.cloud.queuesOf(isolate), ...this.shelf.bind(isolate) };
    const env = isolate.bindings;
    const store = this.#storeOf(env, patience_seconds);
    const claim = store.claim.bind(store);
    store.claim = async (deliveries, isAlone) => {
      for (const each of deliveries) isolate.claims.add(each.claim);
      for (const each of deliveries) {
        const row = this.#rows.get(each.taskId);
        const isFirst = !row || (row.run === 1 && row.attempts === 0);
        if (row?.status === 'pending' || isFirst) this.#due.set(each.taskId + each.claim, row?.due_ms ?? 0);
      }
      const answers = await claim(deliveries, isAlone);
      for (const [taskId, answer] of answers) if (answer.kind === 'claimed') claimed.set(taskId, answer.task);
      this.#say(`  claimed: ${[...answers].map(([taskId, { kind }]) => `${short(taskId)} ${kind}`).join(', ')}`);
      return answers;
    };
    return { store, engine: new QueueEngine(/** @type {any} */ (env), store, /** @type {any} */ (this.#handlers(isolate, claimed))) };
  }

  /** @param {any} env @param {number} patience_seconds @returns {Store} */
  #storeOf(env, patience_seconds) {
    switch (this.name) {
      case 'd1': return new D1Store(env, patience_seconds);
      case 'sharded-d1': return new (shardedD1([2]))(env, patience_seconds);
      case 'durable-object': return new DurableObjectStore(env, patience_seconds);
      default: return new KvStore(env, patience_seconds);
    }
  }

  #makeShelf() {
    switch (this.name) {
      case 'd1': return d1Shelf(this.cloud, ['DB'], MIGRATIONS);
      case 'sharded-d1': return d1Shelf(this.cloud, ['DB', 'DB_1'], MIGRATIONS);
      case 'durable-object': return objectShelf(
        this.cloud, /** @type {any} */ (taskObject(MIGRATIONS, (env, store) => new QueueEngine(env, store, {}), { ...GROUPED, storeOf: (env) => new DurableObjectStore(env) })),
        (isolate) => ({ ...SETTINGS, ...this.cloud.queuesOf(isolate) }),
      );
      default: return kvShelf(this.cloud);
    }
  }

  /** @param {Isolate} isolate @param {() => Promise<void>} work of a client or an operator, who bears what the platform says */
  #client(isolate, work) {
    within(isolate, work).catch((error) => {
      if (!isStoreError(error) && !(error instanceof HandoverRefused) && !/^Error: Queue /.test(String(error))) this.#violate(`a client met ${error.stack}`);
    });
  }

  /** @param {number} number */
  #lane(number) {
    const isolate = this.#lanes[number];
    if (isolate && !isolate.isDead) return isolate;
    return (this.#lanes[number] = new Isolate());
  }

  /** @param {string} what */
  #violate(what) {
    this.#say(`VIOLATION ${what}`);
    this.violations.push(what);
  }

  /** @param {string} what */
  #say(what) {
    this.trace.push(`${((Date.now() - Date.UTC(2026, 10, 29, 12, 0, 0)) / 1000).toFixed(2)} ${what}`);
  }
}

/** @template Item @param {Item[]} items @param {number} number */
function pick(items, number) {
  return items.length > 0 ? items[number % items.length] : undefined;
}

/** @param {string} taskId */
function short(taskId) {
  return taskId.slice(-4);
}

