/** A D1 database in this process, that refuses what Cloudflare's refuses. */

import { FakeSqlite } from './sqlite.js';

/** @typedef {{sql: string, parameters: unknown[]}} Bound */

/**
 * @param {FakeSqlite} sqlite
 * @param {(run: () => any, sqls: string[]) => Promise<any>} [call] each call of the binding, which it may hold up, refuse, or lose the reply of
 * @returns {any} as `D1Database`
 */
export function fakeD1(sqlite, call = async (run) => run()) {
  /** @param {Bound[]} statements @returns {Promise<any[]>} */
  const run = (statements) => call(() => execute(sqlite, statements), statements.map(({ sql }) => sql));
  return {
    /** @param {string} sql */
    prepare: (sql) => statement(sql, [], run),
    /** @param {Bound[]} statements */
    batch: async (statements) => {
      if (statements.length === 0) throw new Error('D1_ERROR: No SQL statements detected.');
      return run(statements);
    },
  };
}

/**
 * @param {string} sql
 * @param {unknown[]} parameters
 * @param {(statements: Bound[]) => Promise<any[]>} run
 */
function statement(sql, parameters, run) {
  const bound = { sql, parameters };
  const all = async () => (await run([bound]))[0];
  return {
    ...bound, all, run: all,
    first: async () => (await all()).results[0] ?? null,
    /** @param {...unknown} values */
    bind: (...values) => statement(sql, values, run),
  };
}

/**
 * @param {FakeSqlite} sqlite
 * @param {Bound[]} statements
 */
function execute(sqlite, statements) {
  try {
    return sqlite.transaction(() => statements.map(({ sql, parameters }) => (
      { success: true, results: sqlite.all(sql, parameters), meta: { size_after: 4096 } }
    )));
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    throw new Error(error instanceof TypeError ? `D1_TYPE_ERROR: ${message}` : `D1_ERROR: ${message}${message.includes('SQLITE_') ? '' : ': SQLITE_ERROR'}`);
  }
}
