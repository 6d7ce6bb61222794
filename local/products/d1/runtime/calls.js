/** D1 by database id, without a binding. */

import { CallError } from '../../../runtime/system/call_error.js';
import { dump } from './dump.js';

/**
 * @import { Answer, D1Object, Format } from './object.js'
 *
 * @typedef {{D1_DATABASES: DurableObjectNamespace<D1Object>}} Env
 * @typedef {{sql: string, params?: unknown[]}} Query one statement
 * @typedef {{queries: Query[], format: Format}} D1Queries
 * @typedef {{statements: string[]}} D1Script
 * @typedef {{no_schema: boolean, no_data: boolean, tables: string[]}} D1Dump
 * @typedef {{results: {rows: unknown[][]}}} Rows
 * @typedef {{meta: {duration: number, changes: number, rows_read: number, rows_written: number}}} Result
 * @typedef {{results: {meta: object, data: object}[], bookmark?: string}} RpcAnswer
 */

const SUMMED = /** @type {const} */ (['duration', 'changes', 'rows_read', 'rows_written']);

export default { d1: { query: queryDatabase, import: importStatements, export: exportDatabase } };

/**
 * Runs statements as one transaction. Throws a CallError with D1's own text.
 *
 * @param {Env} env
 * @param {string} id
 * @param {D1Queries} request
 */
async function queryDatabase(env, id, { queries, format }) {
  const { reply } = await run(env, id, queries, { format });
  return { results: reply };
}

/**
 * Runs a script as one transaction, and returns the sum of its statements' results.
 *
 * @param {Env} env
 * @param {string} id
 * @param {D1Script} request
 */
async function importStatements(env, id, { statements }) {
  const queries = statements.map((sql) => ({ sql }));
  const { reply, bookmark } = await run(env, id, queries, { wantsBookmark: true });
  const results = /** @type {Result[]} */ (reply);
  const sums = SUMMED.map((name) => [name, results.reduce((sum, { meta }) => sum + meta[name], 0)]);
  return { num_queries: results.length, meta: { ...results.at(-1)?.meta, ...Object.fromEntries(sums) }, bookmark };
}

/**
 * Exports a database as SQL.
 *
 * @param {Env} env
 * @param {string} id
 * @param {D1Dump} options
 */
async function exportDatabase(env, id, options) {
  const { bookmark } = await run(env, id, [{ sql: 'SELECT 1' }], { wantsBookmark: true });
  const sql = await dump(async (statements) => {
    const { reply } = await run(env, id, statements.map((statement) => ({ sql: statement })));
    return /** @type {Rows[]} */ (reply).map(({ results }) => results.rows);
  }, options);
  return { sql, bookmark };
}

/**
 * Runs statements as one transaction for workerd's D1 client, which speaks RPC with the compatibility flag
 * d1_binding_jsrpc. Throws an error named D1_ERROR with D1's own text.
 *
 * @param {Env} env
 * @param {string} id
 * @param {Query[]} queries
 * @param {string} [bookmark]
 * @returns {Promise<RpcAnswer>}
 */
export async function runRpcQuery(env, id, queries, bookmark) {
  const answer = await run(env, id, queries, { wantsBookmark: bookmark !== undefined }).catch((error) => {
    throw error instanceof CallError ? Object.assign(new Error(error.message), { name: 'D1_ERROR' }) : error;
  });
  const results = /** @type {{meta: object, results: object}[]} */ (answer.reply);
  return {
    results: results.map(({ meta, results: found }) => ({ meta, data: { kind: 'raw', ...found } })),
    ...(answer.bookmark !== null && { bookmark: answer.bookmark }),
  };
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {Query[]} queries
 * @param {{format?: Format, wantsBookmark?: boolean}} [options]
 * @returns {Promise<{reply: any, bookmark: string | null}>}
 */
async function run(env, id, queries, { format = 'arrays', wantsBookmark = false } = {}) {
  const body = JSON.stringify(queries.map(({ sql, params = [] }) => ({ sql, params: params.map(bindable) })));
  /** @type {Answer} */
  const answer = await env.D1_DATABASES.getByName(id).run(body, format, wantsBookmark);
  if ('error' in answer) throw new CallError('sql', answer.error);
  return { reply: JSON.parse(answer.json), bookmark: answer.bookmark };
}

/**
 * SQLite has no booleans; D1 binds them as numbers.
 *
 * @param {unknown} value
 */
function bindable(value) {
  return typeof value === 'boolean' ? Number(value) : value;
}
