/**
 * Task state in Workers KV: one key a task, which expires by itself. KV has no compare-and-set and is eventually
 * consistent, so what is checked here before a write may have changed meanwhile; `promises.json` says what that means.
 */

import { LEASE_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { timePrefix } from '../task_id.js';
import { isOpen, mayClaim } from './lease.js';

/** @import { ClaimedTask, Outcome, Payload, Status, TaskError, TaskRecord } from '../task.js' */
/** @import { Delivery, OpenTask, Store } from './store.js' */

/**
 * A task's value. A payload that is not text is in base64.
 *
 * @typedef {object} Entry
 * @property {Status} status
 * @property {string} payload
 * @property {'base64'} [payload_encoding]
 * @property {number} attempts
 * @property {number} expires_at epoch seconds
 * @property {number | null} lease_expires_at_ms
 * @property {number | null} sent_at_ms
 * @property {string | null} result JSON
 * @property {TaskError | null} error
 */

/** What the sweeper must know of a task, kept as the key's metadata so that a list has it. */
/** @typedef {Pick<Entry, 'status' | 'attempts' | 'lease_expires_at_ms' | 'sent_at_ms'>} Metadata */

/** KV takes one write a second of a key (https://developers.cloudflare.com/kv/platform/limits/). */
const WRITE_INTERVAL_MS = 1_000;
const WRITE_TRIES = 6;

/** The shortest time to live that KV takes (https://developers.cloudflare.com/kv/api/write-key-value-pairs/). */
const MIN_TTL_SECONDS = 60;

/** How often the sweeper looks, how far back (in windows of time that share an id's first digits: 17.5 minutes), and at
 * how many pages of a list (1,000 keys) in each: lists are dear. */
const SWEEP_INTERVAL_MINUTES = 5;
const SWEEP_WINDOWS = 3;
const SWEEP_PAGES = 5;
const WINDOW_DIGITS = 7;
const WINDOW_MS = 16 ** (12 - WINDOW_DIGITS);

/** @implements {Store} */
export class KvStore {
  settling_seconds = 15; // with the default of five retries, more than the minute that KV takes to be consistent

  /** @param {{KV: KVNamespace}} env */
  constructor(env) {
    this.kv = env.KV;
  }

  /**
   * @param {string} taskId
   * @param {Payload} payload
   */
  async insert(taskId, payload) {
    /** @type {Entry} */
    const entry = {
      status: 'pending',
      ...encoded(payload),
      attempts: 0,
      expires_at: Math.floor(Date.now() / 1000) + TASK_TTL_SECONDS,
      lease_expires_at_ms: null,
      sent_at_ms: null,
      result: null,
      error: null,
    };
    await this.kv.put(taskId, JSON.stringify(entry), { expirationTtl: TASK_TTL_SECONDS, metadata: metadataOf(entry) });
  }

  /**
   * @param {string} taskId
   * @returns {Promise<TaskRecord | null>}
   */
  async find(taskId) {
    const entry = await this.#read(taskId);
    return entry && { status: entry.status, attempts: entry.attempts, result: entry.result, error: entry.error };
  }

  /**
   * @param {Delivery[]} deliveries
   * @returns {Promise<ClaimedTask[]>}
   */
  async claim(deliveries) {
    const now_ms = Date.now();
    const claims = deliveries.map(async ({ taskId, attempts: deliveryAttempts }) => {
      const entry = await this.#update(taskId, (found) => mayClaim(found, deliveryAttempts, now_ms), (found) => ({
        status: 'processing', attempts: found.attempts + 1, lease_expires_at_ms: now_ms + LEASE_SECONDS * 1000,
      }));
      return entry && { taskId, payload: decoded(entry), attempts: entry.attempts };
    });
    return (await Promise.all(claims)).filter((claimed) => claimed !== null);
  }

  /** @param {string[]} taskIds */
  async existing(taskIds) {
    const entries = await Promise.all(taskIds.map((taskId) => this.#read(taskId)));
    return new Set(taskIds.filter((_, index) => entries[index]));
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    await Promise.all(outcomes.map(({ taskId, ...outcome }) => this.#update(
      taskId,
      ({ status }) => status === 'processing',
      () => ({ result: null, error: null, ...outcome, lease_expires_at_ms: null }),
    )));
  }

  /**
   * @param {string[]} taskIds
   * @param {TaskError} error
   */
  async abandon(taskIds, error) {
    await Promise.all(taskIds.map((taskId) => this.#update(
      taskId, (entry) => isOpen(entry, Date.now()), () => ({ status: 'failed', error, lease_expires_at_ms: null }),
    )));
  }

  /** @param {string[]} taskIds */
  async markSent(taskIds) {
    await Promise.all(taskIds.map((taskId) => this.#update(taskId, () => true, () => ({ sent_at_ms: Date.now() }))));
  }

  /**
   * @param {number} before_ms
   * @returns {Promise<OpenTask[]>} of the last {@link SWEEP_WINDOWS} windows, every {@link SWEEP_INTERVAL_MINUTES}
   */
  async sweep(before_ms) {
    if (Math.floor(before_ms / 60_000) % SWEEP_INTERVAL_MINUTES !== 0) return [];
    const windows = Array.from({ length: SWEEP_WINDOWS }, (_, age) => windowPrefix(before_ms - age * WINDOW_MS));
    const keys = (await Promise.all(windows.map((prefix) => this.#list(prefix)))).flat();
    const now_ms = Date.now();
    return keys.flatMap(({ name, metadata }) => (
      metadata && name < timePrefix(before_ms) && isOpen(metadata, now_ms)
        ? [{ taskId: name, attempts: metadata.attempts, sent_at_ms: metadata.sent_at_ms }] : []
    ));
  }

  async expire() {
    return 0; // keys expire by themselves
  }

  /**
   * @param {string} taskId
   * @returns {Promise<Entry | null>}
   */
  #read(taskId) {
    return this.kv.get(taskId, 'json');
  }

  /**
   * Changes an entry if a condition holds.
   *
   * @param {string} taskId
   * @param {(entry: Entry) => boolean} condition
   * @param {(entry: Entry) => Partial<Entry>} change
   * @returns {Promise<Entry | null>} the changed entry; null when there is none or the condition does not hold
   */
  async #update(taskId, condition, change) {
    const found = await this.#read(taskId);
    if (!found || !condition(found)) return null;
    const entry = { ...found, ...change(found) };
    const expiration = Math.max(entry.expires_at, Math.floor(Date.now() / 1000) + MIN_TTL_SECONDS);
    await this.#write(taskId, entry, expiration);
    return entry;
  }

  /**
   * @param {string} taskId
   * @param {Entry} entry
   * @param {number} expiration epoch seconds
   */
  async #write(taskId, entry, expiration) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.kv.put(taskId, JSON.stringify(entry), { expiration, metadata: metadataOf(entry) });
      } catch (error) {
        if (!String(error).includes('429') || tries === WRITE_TRIES) throw error;
        await scheduler.wait(WRITE_INTERVAL_MS);
      }
    }
  }

  /**
   * @param {string} prefix
   * @returns {Promise<KVNamespaceListKey<Metadata>[]>}
   */
  async #list(prefix) {
    const keys = [];
    /** @type {string | undefined} */
    let cursor;
    for (let page = 0; page < SWEEP_PAGES; page++) {
      /** @type {KVNamespaceListResult<Metadata>} */
      const list = await this.kv.list({ prefix, ...(cursor && { cursor }) });
      keys.push(...list.keys);
      if (list.list_complete) break;
      cursor = list.cursor;
    }
    return keys;
  }
}

/** @param {number} time_ms */
function windowPrefix(time_ms) {
  return timePrefix(time_ms).slice(0, WINDOW_DIGITS);
}

/**
 * @param {Entry} entry
 * @returns {Metadata}
 */
function metadataOf({ status, attempts, lease_expires_at_ms, sent_at_ms }) {
  return { status, attempts, lease_expires_at_ms, sent_at_ms };
}

/**
 * @param {Payload} payload
 * @returns {Pick<Entry, 'payload' | 'payload_encoding'>}
 */
function encoded(payload) {
  return typeof payload === 'string' ? { payload } : { payload: payload.toBase64(), payload_encoding: 'base64' };
}

/**
 * @param {Entry} entry
 * @returns {Payload}
 */
function decoded({ payload, payload_encoding }) {
  return payload_encoding === 'base64' ? Uint8Array.fromBase64(payload) : payload;
}
