/**
 * One KV namespace as a Durable Object. Miniflare's own object stores values outside its database, and deletes the old value as soon as a new one
 * exists, so that a `get` during a `put` of the same key finds nothing. Here both are in one database.
 */

import { DurableObject } from 'cloudflare:workers';

/** A row of SQLite in a Durable Object can have 2 MB (https://developers.cloudflare.com/durable-objects/platform/limits/). */
const CHUNK_BYTES = 1_000_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, expiration INTEGER, metadata TEXT) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS by_expiration ON entries (expiration) WHERE expiration IS NOT NULL;
  CREATE TABLE IF NOT EXISTS chunks (key TEXT, position INTEGER, bytes BLOB, PRIMARY KEY (key, position));
`;

/**
 * @typedef {{expiration: number | null, metadata: string | null}} Attributes epoch seconds, and JSON
 * @typedef {Attributes & {value: Uint8Array<ArrayBuffer>}} Entry
 * @typedef {Entry & {key: string}} Pair
 * @typedef {Attributes & {key: string}} Listed
 */

/** @extends {DurableObject<object>} */
export class KvObject extends DurableObject {
  #sql = this.ctx.storage.sql;

  /**
   * @param {DurableObjectState} ctx
   * @param {object} env
   */
  constructor(ctx, env) {
    super(ctx, env);
    this.#sql.exec(SCHEMA);
  }

  /**
   * @param {string} key
   * @returns {Entry | null}
   */
  get(key) {
    const rows = this.#sql.exec('SELECT expiration, metadata FROM entries WHERE key = ?', key).toArray();
    const found = /** @type {Attributes | undefined} */ (/** @type {unknown} */ (rows[0]));
    if (!found || (found.expiration !== null && found.expiration <= now())) return null;
    const { expiration, metadata } = found;
    return { expiration, metadata, value: this.#value(key) };
  }

  /** @param {Pair[]} pairs */
  put(pairs) {
    this.ctx.storage.transactionSync(() => {
      this.#expire();
      for (const { key, value, expiration, metadata } of pairs) {
        this.#remove(key);
        this.#sql.exec('INSERT INTO entries VALUES (?, ?, ?)', key, expiration, metadata);
        for (let position = 0; position * CHUNK_BYTES < value.byteLength; position++) {
          const start = position * CHUNK_BYTES;
          const chunk = value.slice(start, start + CHUNK_BYTES);
          this.#sql.exec('INSERT INTO chunks VALUES (?, ?, ?)', key, position, chunk);
        }
      }
    });
  }

  /** @param {string[]} keys */
  delete(keys) {
    this.ctx.storage.transactionSync(() => keys.forEach((key) => this.#remove(key)));
  }

  /**
   * Lists keys in the order of their UTF-8 bytes. None of these bytes is 0xFF.
   *
   * @param {string} prefix
   * @param {number} limit
   * @param {string} after the last key of the previous page; '' for the first page
   * @returns {{keys: Listed[], isComplete: boolean}}
   */
  list(prefix, limit, after) {
    const rows = this.#sql.exec(
      `SELECT key, expiration, metadata FROM entries
       WHERE key >= ?1 AND key < CAST(?1 || x'FF' AS TEXT) AND key > ?2 AND (expiration IS NULL OR expiration > ?3)
       ORDER BY key LIMIT ?4`,
      prefix, after, now(), limit + 1,
    );
    const keys = /** @type {Listed[]} */ (/** @type {unknown} */ (rows.toArray()));
    return { keys: keys.slice(0, limit), isComplete: keys.length <= limit };
  }

  /** @param {string} key */
  #value(key) {
    const rows = this.#sql.exec('SELECT bytes FROM chunks WHERE key = ? ORDER BY position', key).toArray();
    const chunks = rows.map(({ bytes }) => new Uint8Array(/** @type {ArrayBuffer} */ (bytes)));
    const value = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
    chunks.forEach((chunk, position) => value.set(chunk, position * CHUNK_BYTES));
    return value;
  }

  /** @param {string} key */
  #remove(key) {
    this.#sql.exec('DELETE FROM entries WHERE key = ?', key);
    this.#sql.exec('DELETE FROM chunks WHERE key = ?', key);
  }

  #expire() {
    const keys = this.#sql.exec('SELECT key FROM entries WHERE expiration <= ?', now()).toArray();
    for (const { key } of keys) this.#remove(String(key));
  }
}

function now() {
  return Math.floor(Date.now() / 1000);
}
