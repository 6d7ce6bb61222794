/** D1 by database id, without a binding: the same Durable Objects that Miniflare's D1 bindings use. */

/**
 * @typedef {{sql: string, params?: unknown[]}} Query one statement
 * @typedef {{id: string, queries: Query[], format: 'objects' | 'arrays'}} D1Queries
 */

const RESULT_FORMATS = { objects: 'ARRAY_OF_OBJECTS', arrays: 'ROWS_AND_COLUMNS' };

/**
 * Runs statements as one transaction. Throws an error named SqlError with D1's own text.
 *
 * @param {{D1_DATABASES: DurableObjectNamespace}} env
 * @param {D1Queries} request
 */
export async function queryDatabase(env, { id, queries, format }) {
  const database = env.D1_DATABASES.getByName(id);
  const response = await database.fetch(`http://d1/query?resultsFormat=${RESULT_FORMATS[format]}`, {
    method: 'POST',
    body: JSON.stringify(queries.map(({ sql, params = [] }) => ({ sql, params: params.map(bindable) }))),
    // Miniflare's objects learn their own name from here.
    cf: /** @type {any} */ ({ miniflare: { name: id } }),
  });
  if (!response.ok) throw sqlError(await response.text());
  /** @type {any} */
  const reply = await response.json();
  if (!Array.isArray(reply)) throw sqlError(reply.error);
  return { results: reply };
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
  return Object.assign(new Error(message), { name: 'SqlError' });
}
