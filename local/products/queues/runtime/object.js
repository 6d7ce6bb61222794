/**
 * One queue: a Durable Object that stores its messages and delivers them to a consumer Worker or to pull requests.
 *
 * A sender gets its answer after its messages are on disk (workerd delays the answer until then). An attempt is on disk before the consumer sees the
 * message. Delivery is at least once.
 */

import { DurableObject } from 'cloudflare:workers';

import { Hosts, Unreached, counted, pickVersion } from '../../../runtime/system/processes.js';
import { describe } from '../../../runtime/system/logging.js';
import { killable } from './killable.js';
import { QueueStore } from './store.js';
import { settled } from './batch_result.js';

/**
 * @import { QueueSettings } from '../../../runtime/desired_state.js'
 * @import { DeadLetter, IncomingMessage, NewMessage, QueueMetrics, StoredMessage } from './store.js'
 * @import { Env as KillableEnv } from './killable.js'
 * @import { Env as ProcessesEnv } from '../../../runtime/system/processes.js'
 * @import { BatchResult } from './batch_result.js'
 *
 * @typedef {ProcessesEnv & KillableEnv & {QUEUES: DurableObjectNamespace<QueueObject>}} Env
 * @typedef {NonNullable<ReturnType<typeof pickVersion>>} Picked
 * @typedef {{id: string, attempts: number, contentType: string, timestamp: number, body: ArrayBuffer}} ReadMessage
 */

/** Cloudflare's limit of concurrent invocations of one consumer. */
const MAX_CONCURRENCY = 250;
/**
 * A batch that has waited this long causes one more invocation. So does each full batch that is ready when another one has ended:
 * https://developers.cloudflare.com/queues/configuration/consumer-concurrency/ says that Cloudflare then examines the backlog, its growth and the
 * failures, but gives no numbers.
 */
const SCALE_UP_MS = 50;
/** While messages arrive one after the other, those of this interval are stored together; the first one does not wait. */
const JOIN_MS = 1;
/**
 * How long a batch that is not full waits after its first message. A Worker here has one thread, and the sender is answered before the consumer takes
 * the message. Cloudflare takes longer to deliver one.
 */
const ANSWER_FIRST_MS = 5;
/** The shortest time between the starts of two batches that are not full. Each costs the same calls, however few messages it has. */
const PACE_MS = 20;
/** Cloudflare's wall-clock limit of one invocation of a consumer. */
const INVOCATION_LIMIT_MS = 900_000;
/** The pause between two searches for messages whose retention has ended. */
const EXPIRY_PAUSE_MS = 1_000;
const DEAD_LETTER_BATCH = 100;
const DEAD_LETTER_RETRY_MS = 1_000;
/** Cloudflare's default visibility timeout of a pull. */
const DEFAULT_VISIBILITY_MS = 30_000;
/** setTimeout takes no more than 2^31 ms. */
const LONGEST_SLEEP_MS = 3_600_000;
/** The pause before a batch is sent again whose consumer's process could not be reached. */
const UNREACHED_PAUSE_MS = 500;
/** @type {BatchResult} */
const FAILED = {
  outcome: 'exception',
  ackAll: false,
  retryBatch: { retry: false },
  explicitAcks: [],
  retryMessages: [],
};

/** @extends {DurableObject<Env>} */
export class QueueObject extends DurableObject {
  #store;
  #hosts;
  /** @type {QueueSettings | null} null: no such queue */
  #settings;
  /** How many consumer invocations are running, and how many the backlog needs. */
  #running = 0;
  #scale = 1;
  #lastStart = 0;
  /** When the last batch was given to the consumer. */
  #lastBatch = 0;
  /** Up to what time the leases of pulls have been searched for messages with no deliveries left. */
  #sweptUntil = 0;
  /** No message's retention ends before this time. */
  #nextExpiry = 0;
  #movingDeadLetters = false;
  /** @type {number | null} */
  #timer = null;
  /** Messages that are to be stored together; null: the next one is stored at once. @type {NewMessage[] | null} */
  #joined = null;
  /** Resolves when they are stored. @type {Promise<void>} */
  #stored = Promise.resolve();

  /**
   * @param {DurableObjectState} ctx
   * @param {Env} env
   */
  constructor(ctx, env) {
    super(ctx, env);
    this.#store = new QueueStore(ctx.storage.sql);
    this.#hosts = new Hosts(env);
    this.#settings = ctx.storage.kv.get('settings') ?? null;
    this.#store.releaseHeld(Date.now());
  }

  /**
   * Takes the queue's settings, and continues with what is due. Called at every change and after every start.
   *
   * @param {QueueSettings} settings
   */
  configure(settings) {
    if (JSON.stringify(settings) !== JSON.stringify(this.#settings)) this.ctx.storage.kv.put('settings', settings);
    this.#settings = settings;
    this.#nextExpiry = 0;
    this.#pump();
    this.#moveDeadLetters();
  }

  /** Stops being a queue until it is configured again. */
  retire() {
    this.#settings = null;
    this.#pump();
  }

  /** Deletes all its contents. */
  async destroy() {
    this.retire();
    await this.ctx.storage.deleteAll();
    this.#store = new QueueStore(this.ctx.storage.sql);
  }

  /**
   * Stores messages that passed `checkMessages`.
   *
   * @param {IncomingMessage[]} messages
   * @returns {Promise<QueueMetrics | null>} null if the queue does not exist
   */
  async push(messages) {
    const settings = this.#settings;
    if (settings === null) return null;
    const { delivery_delay_seconds } = settings;
    const delayed = messages.map((message) => ({ ...message, delaySeconds: message.delaySeconds ?? delivery_delay_seconds }));
    if (this.#joined) {
      this.#joined.push(...delayed);
      await this.#stored;
    } else {
      this.#add(delayed);
      this.#join();
    }
    return this.#settings === null ? null : this.#store.metrics();
  }

  /** Stores the messages that arrive from now on together, as long as more arrive: each commit costs the same, however many messages it has. */
  #join() {
    this.#joined = [];
    this.#stored = new Promise((resolve, reject) => {
      setTimeout(() => {
        const messages = this.#joined ?? [];
        this.#joined = null;
        try {
          if (messages.length > 0 && this.#settings !== null) this.#add(messages);
          resolve();
        } catch (error) {
          reject(error); // the disk is full: no message is stored
        }
        if (messages.length > 0) this.#join();
      }, JOIN_MS);
    });
    this.#stored.catch(() => {}); // the senders of the messages get the error
  }

  /**
   * Takes another queue's dead letters. Those that are already here are ignored.
   *
   * @param {DeadLetter[]} letters
   * @returns {boolean} false if the queue does not exist
   */
  accept(letters) {
    if (this.#settings === null) return false;
    this.#add(letters.map((letter) => ({ ...letter, delaySeconds: 0 })));
    return true;
  }

  /** @param {NewMessage[]} messages */
  #add(messages) {
    const now = Date.now();
    this.#store.add(messages, now);
    this.#nextExpiry = Math.min(this.#nextExpiry, now + this.#retentionMs());
    this.#pump();
  }

  /** @returns {QueueMetrics | null} null if the queue does not exist */
  metrics() {
    if (this.#settings === null) return null;
    this.#expire();
    return this.#store.metrics();
  }

  purge() {
    this.#store.removeAll();
    this.#pump();
  }

  /**
   * Leases messages to a pull consumer.
   *
   * @param {number} limit
   * @param {number | null} visibilityMs null: the consumer's setting
   * @returns {{messages: (ReadMessage & {leaseId: string})[], backlogCount: number}}
   */
  pull(limit, visibilityMs) {
    const now = Date.now();
    const until = now + (visibilityMs ?? this.#visibilityMs());
    this.#expire();
    const messages = this.#settings?.delivery_paused ? [] : this.#takeVisible(now, limit);
    const leased = messages.map((message) => {
      const leaseId = `${message.id}.${crypto.randomUUID().replaceAll('-', '')}`;
      this.#store.lease(message.seq, leaseId, until);
      return { ...readable(message), attempts: message.attempts + 1, leaseId };
    });
    this.#pump();
    return { messages: leased, backlogCount: this.#store.metrics().backlogCount };
  }

  /**
   * Returns the oldest messages, without a lease or an attempt.
   *
   * @param {number} limit
   * @returns {{messages: ReadMessage[], backlogCount: number}}
   */
  peek(limit) {
    this.#expire();
    const { backlogCount } = this.#store.metrics();
    return { messages: this.#store.oldest(limit).map(readable), backlogCount };
  }

  /**
   * Ends leases: acknowledges the messages, or retries them after a delay.
   *
   * @param {{lease_id: string}[]} acks
   * @param {{lease_id: string, delay_seconds?: number}[]} retries
   * @returns {{ackCount: number, retryCount: number, warnings: Record<string, string>}}
   */
  acknowledge(acks, retries) {
    const now = Date.now();
    /** @type {Record<string, string>} */
    const warnings = {};
    /** @param {string} leaseId */
    const leased = (leaseId) => {
      const found = this.#store.leased(leaseId.split('.')[0] ?? '', leaseId, now);
      if (found === null) warnings[leaseId] = 'lease id is invalid, has expired, or was acknowledged before';
      return found;
    };
    let ackCount = 0;
    let retryCount = 0;
    for (const { lease_id } of acks) {
      const message = leased(lease_id);
      if (message === null) continue;
      this.#store.remove([message.seq]);
      ackCount += 1;
    }
    for (const { lease_id, delay_seconds } of retries) {
      const message = leased(lease_id);
      if (message === null) continue;
      this.#retry([{ ...message, delaySeconds: delay_seconds ?? null }], now);
      retryCount += 1;
    }
    this.#pump();
    return { ackCount, retryCount, warnings };
  }

  // --- delivery to a consumer Worker

  /** Starts what can start now, and sleeps until there is something to do again. */
  #pump() {
    this.#expire();
    this.#deadLetterEndedLeases();
    let readyAt = this.#batchReadyAt();
    while (readyAt <= Date.now() && this.#startAt() <= Date.now()) {
      this.#start();
      readyAt = this.#batchReadyAt();
    }
    if (readyAt <= Date.now()) readyAt = this.#startAt();
    this.#sleepUntil(Math.min(readyAt, this.#nextExpiry, this.#nextEndOfLease()));
  }

  /** When the next batch may be delivered; Infinity: not before something changes. */
  #batchReadyAt() {
    const consumer = this.#workerConsumer();
    if (consumer === null) return Infinity;
    const now = Date.now();
    const due = this.#store.due(now, consumer.batch_size);
    if (due.count === consumer.batch_size) return now;
    if (due.count > 0) {
      const waited = due.since + Math.max(consumer.max_wait_time_ms, ANSWER_FIRST_MS);
      return Math.max(waited, this.#lastBatch + PACE_MS);
    }
    return this.#store.nextVisibleAt(now);
  }

  /** When one more invocation may start; Infinity: when a running one ends. */
  #startAt() {
    const limit = this.#workerConsumer()?.max_concurrency ?? MAX_CONCURRENCY;
    if (this.#running < Math.min(this.#scale, limit)) return 0;
    return this.#running < limit ? this.#lastStart + SCALE_UP_MS : Infinity;
  }

  #start() {
    this.#running += 1;
    this.#scale = Math.max(this.#scale, this.#running);
    this.#lastStart = Date.now();
    this.ctx.waitUntil(this.#deliverWhileReady());
  }

  /** Makes one invocation after the other, until no batch is ready. The results of one batch and the attempts of the next are one commit. */
  async #deliverWhileReady() {
    try {
      while (this.#running <= this.#scale && this.#batchReadyAt() <= Date.now()) {
        this.#rescale(await this.#deliverBatch());
        this.#pump();
      }
    } catch (error) {
      console.error(describe(`queue ${this.#settings?.name}`, error));
    } finally {
      this.#running -= 1;
      this.#pump();
    }
  }

  /**
   * Allows one more invocation for a backlog; one fewer after a failure, or if nothing waits.
   *
   * @param {boolean} isOk whether the last invocation succeeded
   */
  #rescale(isOk) {
    const consumer = this.#workerConsumer();
    if (consumer === null) return;
    const hasBacklog = this.#store.due(Date.now(), consumer.batch_size).count === consumer.batch_size;
    const limit = consumer.max_concurrency ?? MAX_CONCURRENCY;
    this.#scale = Math.min(limit, Math.max(1, this.#scale + (isOk && hasBacklog ? 1 : -1)));
  }

  /** @returns {Promise<boolean>} whether the invocation succeeded; there may be none */
  async #deliverBatch() {
    const settings = this.#settings;
    const consumer = this.#workerConsumer();
    const picked = consumer && pickVersion(consumer.targets);
    if (!settings || !consumer || !picked) return false;
    const batch = this.#takeVisible(Date.now(), consumer.batch_size);
    if (batch.length === 0) return true;
    this.#lastBatch = Date.now();
    this.#store.hold(batch.map((message) => message.seq));
    await this.ctx.storage.sync();
    const result = await this.#invoke(picked, settings.name, consumer.script_name, batch);
    if (result === null) {
      this.#store.giveBack(batch.map((message) => message.seq), Date.now() + UNREACHED_PAUSE_MS);
      return false;
    }
    this.#settle(batch, result);
    return result.outcome === 'ok';
  }

  /**
   * @param {Picked} picked
   * @param {string} queueName
   * @param {string} worker
   * @param {StoredMessage[]} batch
   * @returns {Promise<BatchResult | null>} null: it has not begun
   */
  async #invoke({ service, process }, queueName, worker, batch) {
    try {
      await this.#hosts.reach(process); // not counted in the time after which a fault kills the invocation
      const messages = batch.map(deliverable);
      const metadata = { metrics: this.#store.metrics() };
      /** @param {Hosts} hosts */
      const invoke = (hosts) => hosts.call(process, (host) => host.deliver(service, queueName, messages, metadata));
      const invocation = counted(process.id, () => killable(this.env, this.#hosts, worker, invoke, FAILED));
      return await within(INVOCATION_LIMIT_MS, invocation, FAILED);
    } catch (error) {
      if (error instanceof Unreached) return null;
      console.error(describe(`queue ${queueName}: the consumer could not be invoked`, error));
      return FAILED;
    }
  }

  /**
   * @param {StoredMessage[]} batch
   * @param {BatchResult} result
   */
  #settle(batch, result) {
    const { done, failed } = settled(batch, result);
    this.#store.remove(done.map((message) => message.seq));
    this.#retry(
      failed.map((message) => ({ ...message, attempts: message.attempts + 1 })),
      Date.now(),
    );
  }

  /**
   * Schedules failed messages again; those with no deliveries left leave the queue.
   *
   * @param {(Pick<StoredMessage, 'seq' | 'id' | 'attempts'> & {delaySeconds: number | null})[]} messages messages with `attempts` made so far
   * @param {number} now
   */
  #retry(messages, now) {
    const consumer = this.#settings?.consumer;
    const defaultDelay = consumer?.retry_delay_seconds ?? 0;
    const spent = messages.filter((message) => message.attempts >= this.#maxAttempts());
    const again = messages.filter((message) => message.attempts < this.#maxAttempts());
    const byDelay = Map.groupBy(again, (message) => message.delaySeconds ?? defaultDelay);
    for (const [delaySeconds, group] of byDelay) {
      this.#store.release(
        group.map((message) => message.seq),
        now + delaySeconds * 1000,
      );
    }
    this.#deadLetter(spent);
  }

  /**
   * Returns the next messages to deliver. Those with no deliveries left, because of a crash or a changed setting, leave the queue instead.
   *
   * @param {number} now
   * @param {number} limit
   */
  #takeVisible(now, limit) {
    for (;;) {
      const messages = this.#store.visible(now, limit);
      const spent = messages.filter((message) => message.attempts >= this.#maxAttempts());
      if (spent.length === 0) return messages;
      this.#deadLetter(spent);
    }
  }

  /** The consumer Worker; null if there is none, it is not deployed, or delivery is paused. */
  #workerConsumer() {
    const settings = this.#settings;
    if (settings === null || settings.delivery_paused) return null;
    const { consumer } = settings;
    return consumer?.type === 'worker' && pickVersion(consumer.targets) ? consumer : null;
  }

  #maxAttempts() {
    const consumer = this.#settings?.consumer;
    return consumer ? consumer.max_retries + 1 : Infinity;
  }

  #visibilityMs() {
    const consumer = this.#settings?.consumer;
    return consumer?.type === 'http_pull' ? consumer.visibility_timeout_ms : DEFAULT_VISIBILITY_MS;
  }

  // --- what leaves the queue without having been processed

  #expire() {
    const now = Date.now();
    if (now < this.#nextExpiry) return;
    this.#store.expire(now - this.#retentionMs());
    // A message whose retention ends while a consumer holds it stays until the consumer has finished.
    this.#nextExpiry = Math.max(this.#store.oldestStoredAt() + this.#retentionMs(), now + EXPIRY_PAUSE_MS);
  }

  #retentionMs() {
    return (this.#settings?.message_retention_seconds ?? Infinity) * 1000;
  }

  /** A pull consumer's last lease may end without another pull. */
  #deadLetterEndedLeases() {
    if (this.#settings?.consumer?.type !== 'http_pull') return;
    const now = Date.now();
    this.#deadLetter(this.#store.spent(this.#maxAttempts(), this.#sweptUntil, now));
    this.#sweptUntil = now;
  }

  #nextEndOfLease() {
    return this.#settings?.consumer?.type === 'http_pull' ? this.#store.nextVisibleAt(Date.now()) : Infinity;
  }

  /** @param {Pick<StoredMessage, 'seq' | 'id'>[]} messages */
  #deadLetter(messages) {
    if (messages.length === 0) return;
    if (!this.#settings?.consumer?.dead_letter_queue_id) return this.#store.remove(messages.map(({ seq }) => seq));
    this.#store.deadLetter(messages);
    this.#moveDeadLetters();
  }

  /** Moves dead letters: they are stored there before they are deleted here, so that a crash can only repeat the move. */
  async #moveDeadLetters() {
    if (this.#movingDeadLetters) return;
    this.#movingDeadLetters = true;
    try {
      for (let letters; (letters = this.#store.deadLetters(DEAD_LETTER_BATCH)).length > 0;) {
        const target = this.#settings?.consumer?.dead_letter_queue_id;
        if (target && !(await this.env.QUEUES.getByName(target).accept(letters))) {
          console.error(describe(`queue ${this.#settings?.name}`, `there is no dead letter queue ${target}`));
        }
        this.#store.forgetDeadLetters(letters.map((letter) => letter.id));
      }
    } catch (error) {
      console.error(describe(`queue ${this.#settings?.name}: dead letters wait for their queue`, error));
      setTimeout(() => this.#moveDeadLetters(), DEAD_LETTER_RETRY_MS);
    } finally {
      this.#movingDeadLetters = false;
    }
  }

  /** @param {number} time */
  #sleepUntil(time) {
    clearTimeout(this.#timer);
    if (time === Infinity) return;
    const milliseconds = Math.min(Math.max(time - Date.now(), 0), LONGEST_SLEEP_MS);
    this.#timer = setTimeout(() => this.#pump(), milliseconds);
  }
}

/**
 * Returns what a promise resolves to, or another value if that takes too long.
 *
 * @template T
 * @param {number} milliseconds
 * @param {Promise<T>} promise
 * @param {T} otherwise
 * @returns {Promise<T>}
 */
async function within(milliseconds, promise, otherwise) {
  /** @type {number | null} */
  let timer = null;
  /** @type {Promise<T>} */
  const limit = new Promise((resolve) => (timer = setTimeout(() => resolve(otherwise), milliseconds)));
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {StoredMessage} message
 * @returns {ReadMessage}
 */
function readable({ id, attempts, contentType, sentAt, body }) {
  return { id, attempts, contentType, timestamp: sentAt, body };
}

const UTF_8 = new TextDecoder();

/**
 * Returns a message in the form in which workerd passes it to a queue handler.
 *
 * @param {StoredMessage} message
 */
function deliverable({ id, sentAt, attempts, contentType, body }) {
  const message = { id, timestamp: new Date(sentAt), attempts: attempts + 1 };
  return contentType === 'v8' ? { ...message, serializedBody: body } : { ...message, body: decode(contentType, body) };
}

/**
 * @param {string} contentType
 * @param {ArrayBuffer} body
 */
function decode(contentType, body) {
  if (contentType === 'bytes') return body;
  const text = UTF_8.decode(body);
  return contentType === 'json' ? JSON.parse(text) : text;
}
