/** D1's limit on the size of values and rows (https://developers.cloudflare.com/d1/platform/limits/). */

import { utf8Bytes } from '../../../runtime/system/value_sizes.js';

/** @import { Query } from './object.js' */

const MAX_BYTES = 2_000_000;
const COLUMNS = `
  SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
  WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name NOT LIKE '\\_cf\\_%' ESCAPE '\\'`;

/**
 * Refuses values that are too large.
 *
 * @param {Query[]} queries
 * @param {string} body the body that contained them
 * @returns {Query[]} the queries whose values could make a row too large
 */
export function requireValueSizes(queries, body) {
  if (3 * body.length <= MAX_BYTES) return []; // then no value in it is larger: a character has up to three bytes
  return queries.filter(({ params }) => {
    const sizes = (params ?? []).map(boundBytes);
    if (sizes.some((bytes) => bytes > MAX_BYTES)) throw tooBig();
    return sizes.reduce((sum, bytes) => sum + bytes, 0) > MAX_BYTES;
  });
}

/**
 * Refuses rows that are too large, in the tables that the statements mention.
 *
 * @param {Query[]} queries queries that have run in the present transaction, which an error rolls back
 * @param {(sql: string) => unknown[][]} read
 */
export function requireRowSizes(queries, read) {
  const text = queries.map(({ sql }) => sql.toLowerCase()).join('\n');
  /** @type {Map<string, string[]>} */
  const sizes = new Map();
  for (const [table, column] of /** @type {[string, string][]} */ (read(COLUMNS))) {
    if (text.includes(table.toLowerCase())) sizes.set(table, [...(sizes.get(table) ?? []), `ifnull(octet_length(${quoted(column)}), 0)`]);
  }
  for (const [table, parts] of sizes) {
    if (read(`SELECT 1 FROM ${quoted(table)} WHERE ${parts.join(' + ')} > ${MAX_BYTES} LIMIT 1`).length > 0) throw tooBig();
  }
}

function tooBig() {
  return new Error('string or blob too big: SQLITE_TOOBIG');
}

/** @param {string} name */
function quoted(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

/** @param {unknown} value */
function boundBytes(value) {
  if (typeof value === 'string') return utf8Bytes(value);
  return Array.isArray(value) ? value.length : 0;
}
