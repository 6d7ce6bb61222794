/** Task state in D1. */

import { TaskTable } from './task_table.js';

/** @import { Statement } from './task_table.js' */

export class D1Store extends TaskTable {
  /** @param {{DB: D1Database}} env */
  constructor({ DB }) {
    super((statements) => run(DB, statements));
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
  return results.map(({ results: rows }) => /** @type {Record<string, any>[]} */ (rows));
}
