/**
 * Statements for a database, which Miniflare's object runs as one transaction, with the limit on the size of values and
 * rows that it does not know (https://developers.cloudflare.com/d1/platform/limits/).
 */

import { D1_BOOKMARK_HEADER, namedObject } from '../../../runtime/system/miniflare_internals.js';
import { utf8Bytes } from '../../../runtime/system/value_sizes.js';

/** @typedef {{sql: string, params?: unknown[] | null}} Query one statement; a BLOB is an array of numbers */

const MAX_BYTES = 2_000_000;
const TOO_BIG = 'string or blob too big: SQLITE_TOOBIG';
const COLUMNS = `
  SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
  WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name NOT LIKE '\\_cf\\_%' ESCAPE '\\'`;
/** What SQLite says of a text that is no JSON, with which a check ends the transaction. */
const FAILED = 'malformed JSON';

/**
 * @param {{D1_DATABASES: DurableObjectNamespace}} env
 * @param {string} id
 * @param {string} path and query
 * @param {Headers} headers
 * @param {string} body a query, or several, as JSON
 * @returns {Promise<Response>} as Miniflare's object answers
 */
export async function ask(env, id, path, headers, body) {
  /** @type {(content: string, to?: string) => Promise<Response>} */
  const send = (content, to = path) =>
    env.D1_DATABASES.getByName(id).fetch(`http://d1${to}`, {
      method: 'POST',
      headers,
      body: content,
      cf: namedObject(id),
    });
  if (3 * body.length <= MAX_BYTES) return send(body); // no value in it is larger: a character has up to three bytes
  /** @type {Query[]} */
  const queries = [JSON.parse(body)].flat();
  const sizes = queries.map(({ params }) => (params ?? []).map(boundBytes));
  if (sizes.flat().some((bytes) => bytes > MAX_BYTES)) return refusal();
  const wide = queries.filter((_, index) => (sizes[index] ?? []).reduce((sum, bytes) => sum + bytes, 0) > MAX_BYTES);
  if (wide.length === 0) return send(body);
  const columns = await (await send(JSON.stringify([{ sql: COLUMNS }]), '/query?resultsFormat=ROWS_AND_COLUMNS')).json();
  const checks = rowChecks(columns, wide.map(({ sql }) => sql.toLowerCase()).join('\n'));
  const response = await send(JSON.stringify([...queries, ...checks]));
  /** @type {any} */
  const reply = await response.json();
  if (String(reply.error).includes(FAILED)) return refusal();
  const told = response.headers.get(D1_BOOKMARK_HEADER);
  return Response.json(Array.isArray(reply) ? reply.slice(0, queries.length) : reply, {
    headers: told === null ? {} : { [D1_BOOKMARK_HEADER]: told },
  });
}

function refusal() {
  return Response.json({ success: false, error: TOO_BIG });
}

/**
 * Statements that fail when a table has too large a row; of the tables that a text mentions.
 *
 * @param {any} reply with the columns of all tables
 * @param {string} text in small letters
 */
function rowChecks([{ results }], text) {
  /** @type {Map<string, string[]>} */
  const sizes = new Map();
  for (const [table, column] of results.rows) {
    if (text.includes(table.toLowerCase())) sizes.set(table, [...(sizes.get(table) ?? []), `ifnull(octet_length(${quoted(column)}), 0)`]);
  }
  return [...sizes].map(([table, parts]) => {
    const bytes = parts.join(' + ');
    return { sql: `SELECT json('{' || (${bytes})) FROM ${quoted(table)} WHERE ${bytes} > ${MAX_BYTES} LIMIT 1` };
  });
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
