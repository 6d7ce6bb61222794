/**
 * A Cloudflare for the model: stores, queues that keep Cloudflare's promises and no better ones, and isolates that die. Whatever
 * a Worker does goes through {@link Cloud.call}, which is where faults come in.
 */

import { fakeD1 } from '../fakes/d1.js';
import { outlasting } from './clock.js';
import { FakeNamespace } from '../fakes/durable_object.js';
import { FakeKv } from '../fakes/kv.js';
import { fakeMessage, fakeQueue } from '../fakes/queue.js';
import { FakeSqlite } from '../fakes/sqlite.js';

/** What a fault does to a call: it is not done; it is done and its reply is lost; it is done only after the caller was told that it
 * was not; it takes long; the isolate dies before it, or once it is done. @typedef {'refused' | 'lost' | 'late' | 'slow' | 'crash-before' | 'crash-after'} FaultKind */

/** @typedef {'store' | 'queue' | 'letters'} Target */

/** What Cloudflare says, by target (https://developers.cloudflare.com/d1/observability/debug-d1/#error-list,
 * https://developers.cloudflare.com/queues/platform/limits/). */
const TEXTS = {
  store: ['D1_ERROR: Network connection lost.', 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.', 'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.'],
  queue: ['Queue sendBatch failed: Too Many Requests', 'Queue send failed: Queue is overloaded. Please back off.'],
  letters: ['Queue sendBatch failed: Too Many Requests'],
};

const NEVER = new Promise(() => {});

/** `echoOf`: a second delivery of a message that is being worked on. @typedef {{id: string, body: any, deliveries: number, visible_ms: number, sent_ms: number, isHeld: boolean, echoOf?: Queued}} Queued */

/** One that lives as long as nothing kills it. */
export class Isolate {
  isDead = false;

  /** @param {boolean} [isMortal] false for one whose work is begun anew by the platform, as an alarm's is: a fault hits its calls alone */
  constructor(isMortal = true) {
    this.isMortal = isMortal;
  }

  /** The claims that it made. @type {Set<string>} */
  claims = new Set();
  /** @type {Set<{messages: Queued[]}>} */
  batches = new Set();
  /** Its bindings, once it has any: all invocations of an isolate have the same ones. @type {Record<string, any> | null} */
  bindings = null;
}

export class Cloud {
  /** @type {Queued[]} */
  queue = [];
  /** @type {{body: any, source: 'engine' | 'platform'}[]} */
  letters = [];
  /** What was done to calls, by target and kind. @type {Record<string, number>} */
  counts = {};
  /** @type {{target: Target, after: number, kind: FaultKind}[]} */
  #armed = [];
  /** Until when a target refuses everything. @type {Map<string, number>} */
  #down = new Map();
  #ids = 0;
  #lostAcks = 0;

  /**
   * @param {object} options
   * @param {() => number} options.random
   * @param {number} options.max_retries of the consumer
   * @param {() => void} options.onChange called when a store may have changed
   * @param {(isolate: Isolate) => void} options.onDeath
   * @param {(letter: any, source: 'engine' | 'platform') => void} options.onLetter
   */
  constructor({ random, max_retries, onChange, onDeath, onLetter }) {
    this.random = random;
    this.max_retries = max_retries;
    this.onChange = onChange;
    this.onDeath = onDeath;
    this.onLetter = onLetter;
  }

  /**
   * @param {Target} target
   * @param {number} after how many further calls
   * @param {FaultKind} kind
   */
  arm(target, after, kind) {
    this.#armed.push({ target, after, kind });
  }

  /**
   * @param {string} target or a part of one: `store DB_1`
   * @param {number} seconds
   */
  takeDown(target, seconds) {
    this.#down.set(target, Date.now() + seconds * 1000);
  }

  /** Ends all faults. */
  heal() {
    this.#armed = [];
    this.#lostAcks = 0;
    this.#down.clear();
  }

  /**
   * A call from an isolate to the platform.
   *
   * @template Result
   * @param {Isolate} isolate
   * @param {Target} target
   * @param {string} part
   * @param {() => Result | Promise<Result>} work
   * @returns {Promise<Result>}
   */
  async call(isolate, target, part, work) {
    const kind = this.#faultOf(target, part);
    if (kind) this.#count(`${target} ${kind}`);
    await this.#travel(isolate, kind === 'slow' ? 20_000 : 40, () => this.random() < 0.5 && this.#work(work).catch(() => {}));
    if (kind === 'refused' || (kind === 'crash-before' && !isolate.isMortal)) throw this.#error(target);
    if (kind === 'crash-before') return this.#die(isolate);
    if (kind === 'late') {
      outlasting(() => setTimeout(() => { this.#work(work).catch(() => {}); }, this.random() * 4_000));
      throw this.#error(target);
    }
    const result = await this.#work(work);
    if (kind === 'crash-after' && isolate.isMortal) return this.#die(isolate);
    await this.#travel(isolate, 40);
    if (kind === 'lost' || kind === 'crash-after') throw this.#error(target);
    return result;
  }

  /** @param {Isolate} isolate which dies: its batches come again, whatever it said of them */
  kill(isolate) {
    if (isolate.isDead) return;
    isolate.isDead = true;
    this.#count('isolate died');
    for (const { messages } of isolate.batches) for (const message of messages) this.#return(message, 0);
    this.onDeath(isolate);
  }

  /**
   * @param {any} body
   * @param {number} delay_seconds
   */
  enqueue(body, delay_seconds) {
    this.queue.push({ id: `message-${this.#ids++}`, body, deliveries: 0, isHeld: false, sent_ms: Date.now(), visible_ms: Date.now() + delay_seconds * 1000 });
  }

  /** Lets a message come again though its batch has ended and it was done with. */
  loseAck() {
    this.#lostAcks += 1;
  }

  /**
   * @param {number} number
   * @returns {Queued[]} a message that is being worked on, once more
   */
  echo(number) {
    const held = this.queue.filter(({ isHeld }) => isHeld);
    const message = held[number % held.length];
    if (!message) return [];
    this.#count('message delivered twice at once');
    return [{ ...message, echoOf: message }];
  }

  /** @param {any} body @param {'engine' | 'platform'} source */
  bury(body, source) {
    this.letters.push({ body, source });
    this.#count(`letter of the ${source}`);
    this.onLetter(body, source);
  }

  /**
   * Takes visible messages in any order for one batch.
   *
   * @param {number} most
   */
  take(most) {
    const visible = this.queue.filter(({ isHeld, visible_ms }) => !isHeld && visible_ms <= Date.now());
    const taken = [];
    while (taken.length < most && visible.length > 0) taken.push(.../** @type {[Queued]} */ (visible.splice(Math.floor(this.random() * visible.length), 1)));
    for (const message of taken) message.isHeld = true;
    return taken;
  }

  /**
   * Hands a batch to a consumer; what it says counts when it returns, and not when its isolate is dead by then.
   *
   * @param {Isolate} isolate
   * @param {Queued[]} messages
   * @param {(batch: any) => Promise<void>} consume
   * @returns {Promise<void>}
   */
  async deliver(isolate, messages, consume) {
    const batch = { messages };
    isolate.batches.add(batch);
    /** @type {Map<Queued, {verdict: 'ack' | 'retry', delay_seconds: number}>} */
    const verdicts = new Map();
    await consume({
      queue: 'tasks',
      messages: messages.map((message) => fakeMessage(
        { id: message.id, timestamp: new Date(message.sent_ms), body: structuredClone(message.body), attempts: message.deliveries + 1 },
        (verdict, options) => { if (!verdicts.has(message)) verdicts.set(message, { verdict, delay_seconds: options?.delaySeconds ?? 0 }); },
      )),
    });
    if (isolate.isDead) return;
    isolate.batches.delete(batch);
    for (const message of messages) {
      const told = verdicts.get(message);
      if (told?.verdict === 'retry') this.#return(message, told.delay_seconds);
      else if (!message.echoOf && this.#lostAcks > 0) {
        this.#lostAcks -= 1;
        this.#count('ack lost');
        this.#return(message, 0);
      } else this.#remove(message.echoOf ?? message);
    }
  }

  /**
   * @param {Isolate} isolate
   * @returns {Record<string, any>} its queues
   */
  queuesOf(isolate) {
    const backlog = () => ({ count: this.queue.length, oldest_ms: this.queue.length > 0 ? Math.min(...this.queue.map(({ sent_ms }) => sent_ms)) : null });
    return {
      TASK_QUEUE: fakeQueue((messages) => this.call(isolate, 'queue', '', () => {
        for (const { body, delaySeconds = 0 } of messages) this.enqueue(body, delaySeconds);
      }), backlog),
      TASK_DLQ: fakeQueue((messages) => this.call(isolate, 'letters', '', () => {
        for (const { body } of messages) this.bury(body, 'engine');
      })),
    };
  }

  /** @param {Target} target @param {string} part @returns {FaultKind | null} */
  #faultOf(target, part) {
    if ((this.#down.get(target) ?? 0) > Date.now() || (this.#down.get(`${target} ${part}`) ?? 0) > Date.now()) return 'refused';
    /** @type {FaultKind | null} */
    let kind = null;
    this.#armed = this.#armed.filter((fault) => {
      if (fault.target !== target) return true;
      if (fault.after-- > 0 || kind) return true;
      kind = fault.kind;
      return false;
    });
    return kind;
  }

  /** @param {Target} target */
  #error(target) {
    const texts = TEXTS[target];
    return new Error(texts[Math.floor(this.random() * texts.length)]);
  }

  /**
   * @param {Isolate} isolate
   * @param {number} longest_ms
   * @param {() => unknown} [meanwhile] done though nobody waits for it any more
   */
  async #travel(isolate, longest_ms, meanwhile = () => {}) {
    const wasDead = isolate.isDead;
    await new Promise((resolve) => { outlasting(() => setTimeout(resolve, this.random() * longest_ms)); });
    if (!isolate.isDead) return;
    if (!wasDead) await meanwhile();
    await NEVER;
  }

  /** @template Result @param {() => Result | Promise<Result>} work */
  async #work(work) {
    try {
      return await outlasting(work);
    } finally {
      this.onChange();
    }
  }

  /** @param {Isolate} isolate @returns {Promise<never>} */
  #die(isolate) {
    this.kill(isolate);
    return /** @type {Promise<never>} */ (NEVER);
  }

  /** @param {Queued} message @param {number} delay_seconds */
  #return(message, delay_seconds) {
    if (message.echoOf || !this.queue.includes(message)) return; // the first one counts, unless the second was done with before
    message.isHeld = false;
    message.deliveries += 1;
    message.visible_ms = Date.now() + delay_seconds * 1000;
    if (message.deliveries <= this.max_retries) return;
    this.#remove(message);
    this.bury(message.body, 'platform');
  }

  /** @param {Queued} message */
  #remove(message) {
    this.queue = this.queue.filter((each) => each !== message);
  }

  /** @param {string} what */
  #count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** Where a cloud's tasks are; `rows` gives none when nothing has changed since; `finishedSteps` are the names of those of all tasks.
 *
 * @typedef {{bind: (isolate: Isolate) => Record<string, any>, rows: () => any[], finishedSteps: () => string[]}} Shelf */

/** Databases whose schema is there already: to make one takes longer than most runs. @type {FakeSqlite[]} */
const MADE = [];

/**
 * @param {number} number
 * @param {string[]} migrations
 * @returns {FakeSqlite} an empty one
 */
function emptyDatabase(number, migrations) {
  let sqlite = MADE[number];
  if (!sqlite) {
    sqlite = MADE[number] = new FakeSqlite();
    for (const migration of migrations) sqlite.exec(migration);
  }
  sqlite.all('DELETE FROM tasks', []);
  sqlite.all('DELETE FROM sweep_progress', []);
  sqlite.all('INSERT INTO sweep_progress (id) VALUES (1)', []);
  return sqlite;
}

/** @param {FakeSqlite} sqlite @returns {() => any[]} its rows, none when they are as they were */
function changedRows(sqlite) {
  let seen = -1;
  return () => {
    if (sqlite.changes === seen) return [];
    seen = sqlite.changes;
    return hasTasks(sqlite) ? sqlite.all(ROWS, []) : [];
  };
}

/** @param {FakeSqlite} sqlite */
function hasTasks(sqlite) {
  return sqlite.all("SELECT 1 FROM sqlite_schema WHERE name = 'tasks'", []).length > 0;
}

const ROWS = 'SELECT taskId, status, run, attempts, crashes, max_retries, claim, due_at AS due_ms, error, result FROM tasks';
const FINISHED_STEPS = "SELECT name FROM steps WHERE status = 'completed'";

/** @param {FakeSqlite} sqlite @returns {string[]} */
function finishedSteps(sqlite) {
  return sqlite.all(FINISHED_STEPS, []).map(({ name }) => String(name));
}

/**
 * @param {Cloud} cloud
 * @param {string[]} names of the bindings
 * @param {string[]} migrations
 * @returns {Shelf}
 */
export function d1Shelf(cloud, names, migrations) {
  const databases = names.map((name, number) => ({ name, sqlite: emptyDatabase(number, migrations) }));
  const rows = databases.map(({ sqlite }) => changedRows(sqlite));
  return {
    bind: (isolate) => Object.fromEntries(databases.map(({ name, sqlite }) => [name, fakeD1(sqlite, (run) => cloud.call(isolate, 'store', name, run))])),
    rows: () => rows.flatMap((changed) => changed()),
    finishedSteps: () => databases.flatMap(({ sqlite }) => finishedSteps(sqlite)),
  };
}

/**
 * @param {Cloud} cloud
 * @param {new (context: any, env: any) => any} Class
 * @param {(isolate: Isolate) => any} envOf what the objects' isolates see
 * @returns {Shelf}
 */
export function objectShelf(cloud, Class, envOf) {
  const own = new Isolate(false);
  /** @param {Isolate} isolate */
  const bind = (isolate) => ({
    TASK_DO: {
      /** @param {string} name */
      getByName: (name) => ({
        /** @param {any[]} statements */
        run: (statements) => cloud.call(isolate, 'store', name, () => {
          if (cloud.random() < 0.02) namespace.reset(name);
          return namespace.getByName(name).run(statements);
        }),
        size: () => cloud.call(isolate, 'store', name, () => namespace.getByName(name).size()),
      }),
    },
  });
  /** @type {FakeNamespace} */
  const namespace = new FakeNamespace(Class, () => ({ ...envOf(own), ...bind(own) }));
  /** @type {Map<string, () => any[]>} */
  const rows = new Map();
  return {
    bind,
    rows: () => [...namespace.objects].flatMap(([name, { sqlite }]) => {
      const changed = rows.get(name) ?? changedRows(sqlite);
      rows.set(name, changed);
      return changed();
    }),
    finishedSteps: () => [...namespace.objects.values()].flatMap(({ sqlite }) => (hasTasks(sqlite) ? finishedSteps(sqlite) : [])),
  };
}

/**
 * @param {Cloud} cloud
 * @returns {Shelf}
 */
export function kvShelf(cloud) {
  const namespace = new FakeKv();
  return {
    bind: (isolate) => ({ KV: new FakeKv((run) => cloud.call(isolate, 'store', 'KV', run), namespace) }),
    rows: () => [...namespace.values].flatMap(([taskId, { text }]) => {
      if (!/^[0-9a-f]{8}-/.test(taskId)) return [];
      const { status, run, attempts, crashes, max_retries, claim, due_at_ms, error, result } = JSON.parse(text);
      return [{ taskId, status, run, attempts, crashes, max_retries, claim, due_ms: due_at_ms, error: error && JSON.stringify(error), result }];
    }),
    finishedSteps: () => [...namespace.values].flatMap(([key, { text }]) => (
      key.startsWith('steps:') ? Object.values(JSON.parse(text)).flatMap(({ name, status }) => (status === 'completed' ? [name] : [])) : []
    )),
  };
}
