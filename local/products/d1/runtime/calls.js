/** D1 by database id, without a binding: the same Durable Objects that Miniflare's D1 bindings use. */

import { CallError } from '../../../runtime/system/call_error.js';

/**
 * @typedef {{D1_DATABASES: DurableObjectNamespace}} Env
 * @typedef {{sql: string, params?: unknown[]}} Query one statement
 * @typedef {{queries: Query[], format: 'objects' | 'arrays'}} D1Queries
 * @typedef {{statements: string[]}} D1Script
 * @typedef {{no_schema: boolean, no_data: boolean, tables: string[]}} D1Dump
 * @typedef {{meta: {duration: number, changes: number, rows_read: number, rows_written: number}}} Result
 * @typedef {{results: {meta: object, data: object}[], bookmark?: string}} RpcAnswer
 */

const RESULT_FORMATS = { objects: 'ARRAY_OF_OBJECTS', arrays: 'ROWS_AND_COLUMNS' };
/** Asks for the bookmark of a database, and carries it in the answer. The header and the statement are Miniflare's. */
const BOOKMARK_HEADER = 'x-cf-d1-session-commit-token';
const WITH_BOOKMARK = { [BOOKMARK_HEADER]: 'wanted' };
const EXPORT_STATEMENT = 'PRAGMA miniflare_d1_export(?,?,?);';
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
  const { reply } = await run(env, id, queries, RESULT_FORMATS[format]);
  return { results: reply };
}

/**
 * Runs a script as one transaction, and tells what came of all its statements together.
 *
 * @param {Env} env
 * @param {string} id
 * @param {D1Script} request
 */
async function importStatements(env, id, { statements }) {
  const queries = statements.map((sql) => ({ sql }));
  const { reply, bookmark } = await run(env, id, queries, RESULT_FORMATS.arrays, WITH_BOOKMARK);
  const results = /** @type {Result[]} */ (reply);
  const sums = SUMMED.map((name) => [name, results.reduce((sum, { meta }) => sum + meta[name], 0)]);
  return { num_queries: results.length, meta: { ...results.at(-1)?.meta, ...Object.fromEntries(sums) }, bookmark };
}

/**
 * Writes a database as SQL.
 *
 * @param {Env} env
 * @param {string} id
 * @param {D1Dump} request
 */
async function exportDatabase(env, id, { no_schema, no_data, tables }) {
  const { bookmark } = await run(env, id, [{ sql: 'SELECT 1' }], RESULT_FORMATS.arrays, WITH_BOOKMARK);
  const params = [Number(no_schema), Number(no_data), ...tables];
  const { reply } = await run(env, id, [{ sql: EXPORT_STATEMENT, params }], RESULT_FORMATS.arrays);
  const [lines] = reply.results;
  return { sql: `${lines.join('\n')}\n`, bookmark };
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
  /** @type {Record<string, string>} */
  const headers = bookmark === undefined ? {} : { [BOOKMARK_HEADER]: bookmark };
  const answer = await run(env, id, queries, RESULT_FORMATS.arrays, headers).catch((error) => {
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
 * @param {string} format
 * @param {Record<string, string>} [headers]
 * @returns {Promise<{reply: any, bookmark: string | null}>}
 */
async function run(env, id, queries, format, headers = {}) {
  const database = env.D1_DATABASES.getByName(id);
  const response = await database.fetch(`http://d1/query?resultsFormat=${format}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(queries.map(({ sql, params = [] }) => ({ sql, params: params.map(bindable) }))),
    // Miniflare's objects learn their own name from here.
    cf: /** @type {any} */ ({ miniflare: { name: id } }),
  });
  if (!response.ok) throw sqlError(await response.text());
  /** @type {any} */
  const reply = await response.json();
  if ('error' in reply) throw sqlError(reply.error);
  return { reply, bookmark: response.headers.get(BOOKMARK_HEADER) };
}

/**
 * SQLite has no booleans; D1 binds them as numbers.
 *
 * @param {unknown} value
 */
function bindable(value) {
  return typeof value === 'boolean' ? Number(value) : value;
}

/** @param {string} message */
function sqlError(message) {
  return new CallError('sql', message);
}
