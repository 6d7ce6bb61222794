/** Task state in D1. */

import { Invocation } from '../joint.js';
import { askStore, REQUEST_PATIENCE_SECONDS, runner } from './connection.js';
import { TaskTable } from './task_table.js';

/** @import { Fill } from './store.js' */
/** @import { Row, Statement, TableSettings } from './task_table.js' */

/** The largest database of an account on the Paid plan (https://developers.cloudflare.com/d1/platform/limits/). */
const DATABASE_LIMIT_MB = 10_000;

/** @typedef {TableSettings & {DB: D1Database, DATABASE_LIMIT_MB?: string}} Env */

export class D1Store extends TaskTable {
  /**
   * @param {Env} env
   * @param {number} [patience_seconds]
   * @param {Invocation} [invocation]
   * @param {string} [name] the name of the database in reports and errors
   */
  constructor(env, patience_seconds = REQUEST_PATIENCE_SECONDS, invocation = new Invocation(), name = 'DB') {
    const place = { binding: env.DB, name: '', isCounted: true };
    super(runner(place, patience_seconds, invocation, (statements) => run(env.DB, statements)), env);
    this.env = env;
    this.name = name;
  }

  /**
   * @override
   * @returns {Promise<Fill[]>}
   */
  async fill() {
    const { meta } = await askStore(0, () => this.env.DB.prepare('SELECT 1').run());
    return [{ name: this.name, bytes: meta.size_after, limit_bytes: Number(this.env.DATABASE_LIMIT_MB ?? DATABASE_LIMIT_MB) * 1e6 }];
  }
}

/**
 * @param {D1Database} database
 * @param {Statement[]} statements
 */
async function run(database, statements) {
  const prepared = statements.map(({ sql, parameters }) => database.prepare(sql).bind(...parameters));
  const [first] = prepared;
  const results = first && prepared.length === 1 ? [await first.all()] : await database.batch(prepared);
  return results.map(({ results: rows }) => /** @type {Row[]} */ (rows));
}
