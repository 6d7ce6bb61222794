/** SQLite in this process, with the limits that D1 and Durable Objects have in common. */

import { DatabaseSync } from 'node:sqlite';

/** https://developers.cloudflare.com/d1/platform/limits/ and https://developers.cloudflare.com/durable-objects/platform/limits/ */
const PARAMETERS = 100;
const STATEMENT_BYTES = 100_000;
const VALUE_BYTES = 2_000_000;

const ENCODER = new TextEncoder();

/** @typedef {Record<string, any>} Row */

export class FakeSqlite {
  database = new DatabaseSync(':memory:');
  /** How many statements may have changed something. */
  changes = 0;
  /** @type {Map<string, import('node:sqlite').StatementSync>} */
  #statements = new Map();

  /**
   * @param {string} sql
   * @param {unknown[]} parameters
   * @returns {Row[]}
   */
  all(sql, parameters) {
    if (ENCODER.encode(sql).byteLength > STATEMENT_BYTES) throw new Error('statement too long: SQLITE_TOOBIG');
    if (parameters.length > PARAMETERS) throw new Error('too many SQL variables: SQLITE_ERROR');
    parameters.forEach(requireValue);
    if (!isReading(sql)) this.changes += 1;
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return /** @type {Row[]} */ (statement.all(.../** @type {any[]} */ (parameters)));
  }

  /** @param {string} sql statements without parameters */
  exec(sql) {
    this.#statements.clear();
    this.changes += 1;
    this.database.exec(sql);
  }

  /**
   * @template Result
   * @param {() => Result} work
   * @returns {Result}
   */
  transaction(work) {
    this.database.exec('BEGIN');
    try {
      const result = work();
      this.database.exec('COMMIT');
      return result;
    } catch (error) {
      this.database.exec('ROLLBACK');
      throw error;
    }
  }
}

/** @param {string} sql one statement */
export function isReading(sql) {
  return /^\s*(?:SELECT|WITH)/.test(sql);
}

/** @param {unknown} value */
function requireValue(value) {
  if (value === null || typeof value === 'number') return;
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw new TypeError(`Type '${typeof value}' not supported for value '${String(value)}'`);
  const bytes = typeof value === 'string' ? ENCODER.encode(value).byteLength : value.byteLength;
  if (bytes > VALUE_BYTES) throw new Error('string or blob too big: SQLITE_TOOBIG');
}
