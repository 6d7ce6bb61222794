/**
 * One D1 database as a Durable Object. Miniflare's own object is called by HTTP, validates each value of a request against a schema, and queries
 * SQLite twice more for each statement.
 */

import { DurableObject } from 'cloudflare:workers';

import { requireRowSizes, requireValueSizes } from './value_limits.js';

/**
 * @typedef {{sql: string, params?: Param[] | null}} Query one statement
 * @typedef {number | string | null | number[]} Param a BLOB is an array of bytes
 * @typedef {'objects' | 'arrays'} Format of rows
 * @typedef {{json: string, bookmark: string | null} | {error: string}} Answer `json`: what D1 tells of each statement; `error`: in SQLite's words
 * @typedef {{total: number, last_row_id: number}} Changes since the database was opened
 * @typedef {(...params: unknown[]) => SqlStorageCursor<any>} Statement
 */

const SERVED_BY = { served_by: 'miniflare.db', served_by_primary: true, total_attempts: 1 };
const COMMENT_LINES = /^\s*--.*/gm;
/** A statement that matches changes nothing. A text with a semicolon may be several statements. */
const READS = /^\s*select\b[^;]*;?\s*$/i;
/** A statement that begins like this leaves the schema unchanged. */
const KEEPS_SCHEMA = /^\s*(?:select|insert|update|delete|replace|with)\b/i;
const DEFERS = /\bdefer_foreign_keys\b/i;
const DEFERRABLE = "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%DEFERRABLE%' LIMIT 1";
const CHANGES = 'SELECT total_changes() AS total, last_insert_rowid() AS last_row_id';

/** @extends {DurableObject<object>} */
export class D1Object extends DurableObject {
  #sql = /** @type {SqlStorage & {prepare: (sql: string) => Statement}} */ (this.ctx.storage.sql);
  #countChanges = this.#sql.prepare(CHANGES);
  /** Whether some table has deferred foreign keys; null: not known. @type {boolean | null} */
  #hasDeferrable = null;

  /**
   * Runs statements as one transaction.
   *
   * @param {string} body a query, or several, as JSON: passing a text costs less than passing the objects
   * @param {Format} format
   * @param {boolean} wantsBookmark
   * @returns {Promise<Answer>}
   */
  async run(body, format, wantsBookmark) {
    /** @type {Query[]} */
    const queries = [JSON.parse(body)].flat().filter(({ sql }) => sql.replace(COMMENT_LINES, '').trim() !== '');
    if (queries.length === 0) return { error: 'No SQL statements detected.' };
    try {
      const large = requireValueSizes(queries, body);
      const make = () => this.#runAll(queries, large, format);
      const results = queries.every(({ sql }) => READS.test(sql)) ? make() : await this.ctx.storage.transaction(async () => make());
      const bookmark = wantsBookmark ? await this.ctx.storage.getCurrentBookmark() : null;
      return { json: JSON.stringify(results), bookmark };
    } catch (error) {
      this.#hasDeferrable = null; // the schema is what it was before
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * @param {Query[]} queries
   * @param {Query[]} large those queries that may make a row too large
   * @param {Format} format
   */
  #runAll(queries, large, format) {
    let changes = this.#changes();
    const results = queries.map((query) => {
      const { result, later } = this.#runOne(query, format, changes);
      changes = later;
      return result;
    });
    if (large.length > 0) requireRowSizes(large, (sql) => this.#read(sql));
    this.#requireForeignKeys(queries);
    return results;
  }

  /**
   * Checks deferred foreign keys at the end of the transaction: the runtime has no message for that error.
   *
   * @param {Query[]} queries
   */
  #requireForeignKeys(queries) {
    if (queries.some(({ sql }) => !KEEPS_SCHEMA.test(sql))) this.#hasDeferrable = null;
    if (queries.every(({ sql }) => READS.test(sql))) return;
    this.#hasDeferrable ??= this.#read(DEFERRABLE).length > 0;
    if (!this.#hasDeferrable && !queries.some(({ sql }) => DEFERS.test(sql))) return;
    if (this.#read('PRAGMA foreign_key_check').length > 0) throw new Error('FOREIGN KEY constraint failed: SQLITE_CONSTRAINT');
  }

  /** @param {string} sql */
  #read(sql) {
    return [...this.#sql.exec(sql).raw()];
  }

  /**
   * @param {Query} query
   * @param {Format} format
   * @param {Changes} before
   */
  #runOne({ sql, params }, format, before) {
    const storage = this.ctx.storage.sql;
    const size_before = storage.databaseSize;
    const start_ms = performance.now();
    const cursor = this.#sql.prepare(sql)(...(params ?? []).map(toSqlite));
    const columns = cursor.columnNames;
    const rows = [...cursor.raw()].map((row) => row.map(fromSqlite));
    const duration = performance.now() - start_ms;
    const later = READS.test(sql) ? before : this.#changes();
    const size_after = storage.databaseSize;
    const changed_db = later.total !== before.total || later.last_row_id !== before.last_row_id || size_after !== size_before;
    const results = format === 'arrays' ? { columns, rows } : rows.map((row) => byName(columns, row));
    const { served_by, served_by_primary, total_attempts } = SERVED_BY;
    const { rowsRead: rows_read, rowsWritten: rows_written } = cursor;
    const changes = later.total - before.total;
    const meta = {
      served_by, served_by_primary, total_attempts, timings: { sql_duration_ms: duration }, duration,
      changes, last_row_id: later.last_row_id, changed_db, size_after, rows_read, rows_written,
    };
    return { result: { success: true, results, meta }, later };
  }

  /** @returns {Changes} */
  #changes() {
    return this.#countChanges().one();
  }
}

/**
 * @param {string[]} columns
 * @param {unknown[]} row
 */
function byName(columns, row) {
  return Object.fromEntries(columns.map((name, index) => [name, row[index]]));
}

/** @param {Param} value */
function toSqlite(value) {
  return Array.isArray(value) ? new Uint8Array(value) : value;
}

/** @param {unknown} value */
function fromSqlite(value) {
  return value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value;
}
