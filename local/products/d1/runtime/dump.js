/**
 * Exports a database as a SQL file that D1 can import: no statement is longer than D1 allows, values are preserved exactly, and each object comes
 * after those that it needs. The form is that of Cloudflare's own exports.
 */

import { CallError } from '../../../runtime/system/call_error.js';

/**
 * @typedef {(statements: string[]) => Promise<unknown[][][]>} Query runs statements as one transaction; gives the rows of each
 * @typedef {{no_schema: boolean, no_data: boolean, tables: string[]}} Options `tables` is empty for all of them
 * @typedef {{name: string, type: string, sql: string}} Entry of the schema
 */

/** https://developers.cloudflare.com/d1/platform/limits/ */
const MAX_STATEMENT_BYTES = 100_000;
/** The length of a piece of a value: a character has up to four bytes, and quotes are doubled. */
const PIECE_CHARACTERS = 20_000;
const PIECE_HEX_DIGITS = 80_000;
const SCHEMA = 'SELECT name, type, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY rowid';
const LATER = ['index', 'view', 'trigger'];
/** The planner's statistics, in tables that only ANALYZE can create. */
const STATISTICS = 'sqlite_stat';
const SEQUENCES = 'sqlite_sequence';
/** The table that holds pieces of large values during an import. */
const PIECES = 'd1_export_pieces';

/**
 * @param {Query} query
 * @param {Options} options
 * @returns {Promise<string>}
 */
export async function dump(query, options) {
  for (;;) {
    const [schema = []] = await query([SCHEMA]);
    const tables = wantedTables(schema.map(entry), options);
    const columns = await query(tables.map(({ name }) => `SELECT name FROM pragma_table_info(${text(name)})`));
    const names = columns.map((rows) => rows.map(([name]) => String(name)));
    const selects = options.no_data ? [] : tables.map(({ name }, index) => select(name, names[index] ?? []));
    // It is read in one transaction with the schema, which may have changed since.
    const [still, ...rows] = await query([SCHEMA, ...selects]);
    if (JSON.stringify(still) === JSON.stringify(schema)) {
      return [...lines(schema.map(entry), tables, names, rows, options)].map((line) => `${line}\n`).join('');
    }
  }
}

/** @param {unknown[]} row */
function entry([name, type, sql]) {
  return { name: String(name), type: String(type), sql: String(sql) };
}

/**
 * The tables to export; those of the sequences come last.
 *
 * @param {Entry[]} schema
 * @param {Options} options
 */
function wantedTables(schema, { tables }) {
  const wanted = schema.filter(({ name, type }) => type === 'table' && (tables.length === 0 || tables.includes(name)));
  if (wanted.some(({ sql }) => sql.startsWith('CREATE VIRTUAL TABLE'))) {
    throw new CallError('sql', 'D1 Export error: cannot export databases with Virtual Tables (fts5)');
  }
  const shown = wanted.filter(({ name }) => name === SEQUENCES || name.startsWith(STATISTICS) || !/^(_cf_|sqlite_)/.test(name));
  return [...shown.filter(({ name }) => name !== SEQUENCES), ...shown.filter(({ name }) => name === SEQUENCES)];
}

/**
 * @param {string} table
 * @param {string[]} columns
 */
function select(table, columns) {
  return `SELECT ${columns.map(literalOf).join(', ')} FROM ${identifier(table)}`;
}

/** @param {string} column a column. The result is SQL that returns its value as a literal; `quote` would end a text at its first NUL */
function literalOf(column) {
  const name = identifier(column);
  return `CASE WHEN typeof(${name}) = 'text' AND instr(${name}, char(0)) THEN 'T' || hex(${name}) ELSE quote(${name}) END`;
}

/**
 * @param {Entry[]} schema
 * @param {Entry[]} tables
 * @param {string[][]} columns the columns of each table
 * @param {unknown[][][]} rows the rows of each table; none without data
 * @param {Options} options
 */
function* lines(schema, tables, columns, rows, { no_schema, tables: only }) {
  yield 'PRAGMA defer_foreign_keys=TRUE;';
  const pieces = unusedName(schema);
  let hasPieces = false;
  // All tables come first: a foreign key needs the other table to exist.
  if (!no_schema) for (const { name, sql } of tables) if (name !== SEQUENCES) yield creation(name, sql);
  for (const [index, { name }] of tables.entries()) {
    if (name === SEQUENCES && !no_schema) yield `DELETE FROM ${SEQUENCES};`;
    for (const row of rows[index] ?? []) {
      const [insert, ...before] = statements(name, columns[index] ?? [], row.map(String), pieces);
      if (before.length > 0 && !hasPieces) yield `CREATE TABLE ${identifier(pieces)} (value INTEGER, position INTEGER, piece TEXT);`;
      hasPieces ||= before.length > 0;
      yield* before;
      yield insert;
      if (before.length > 0) yield `DELETE FROM ${identifier(pieces)};`;
    }
  }
  if (hasPieces) yield `DROP TABLE ${identifier(pieces)};`;
  if (no_schema) return;
  for (const type of LATER) {
    for (const made of schema) {
      if (made.type === type && (only.length === 0 || only.includes(made.name))) yield `${made.sql};`;
    }
  }
}

/**
 * @param {string} name
 * @param {string} sql the SQL that created the table
 */
function creation(name, sql) {
  if (name.startsWith(STATISTICS)) return 'ANALYZE sqlite_schema;';
  return /^CREATE TABLE ['"]/.test(sql) ? `CREATE TABLE IF NOT EXISTS ${sql.slice('CREATE TABLE '.length)};` : `${sql};`;
}

/** @param {Entry[]} schema */
function unusedName(schema) {
  let name = PIECES;
  while (schema.some((other) => other.name === name)) name += '_';
  return name;
}

/**
 * The statement that inserts a row, after those that are needed first because it would be too long.
 *
 * @param {string} table
 * @param {string[]} columns
 * @param {string[]} literals literals as `literalOf` returns them
 * @param {string} pieces the name of the table with the pieces
 * @returns {[string, ...string[]]}
 */
function statements(table, columns, literals, pieces) {
  const into = `INSERT INTO ${identifier(table)} (${columns.map(identifier).join(',')})`;
  const whole = `${into} VALUES(${literals.map(plain).join(',')});`;
  if (new TextEncoder().encode(whole).byteLength <= MAX_STATEMENT_BYTES) return [whole];
  /** @type {string[]} */
  const before = [];
  const values = literals.map((literal, value) => {
    if (literal.length <= PIECE_CHARACTERS / columns.length) return plain(literal);
    const found = cut(literal);
    before.push(
      ...found.map((piece, position) => `INSERT INTO ${identifier(pieces)} VALUES(${value},${position},${text(piece)});`),
    );
    const joined = `(SELECT group_concat(piece,'') FROM (SELECT piece FROM ${identifier(pieces)} WHERE value=${value} ORDER BY position))`;
    if (literal.startsWith('X')) return `unhex(${joined})`;
    return literal.startsWith('T') ? `CAST(unhex(${joined}) AS TEXT)` : joined;
  });
  return [`${into} VALUES(${values.join(',')});`, ...before];
}

/** @param {string} literal */
function plain(literal) {
  return literal.startsWith('T') ? `CAST(X'${literal.slice(1)}' AS TEXT)` : literal;
}

/**
 * Splits a text literal into pieces of its text, any other one into pieces of its hexadecimal digits.
 *
 * @param {string} literal
 */
function cut(literal) {
  if (literal.startsWith('T')) return pieces(literal.slice(1), PIECE_HEX_DIGITS);
  if (literal.startsWith('X')) return pieces(literal.slice(2, -1), PIECE_HEX_DIGITS);
  return pieces(literal.slice(1, -1).replaceAll("''", "'"), PIECE_CHARACTERS);
}

/**
 * @param {string} whole
 * @param {number} length in UTF-16 units; no surrogate pair is split
 */
function pieces(whole, length) {
  /** @type {string[]} */
  const found = [];
  for (let start = 0; start < whole.length; ) {
    let end = Math.min(start + length, whole.length);
    const unit = whole.charCodeAt(end - 1);
    if (unit >= 0xd800 && unit < 0xdc00 && end < whole.length) end -= 1;
    found.push(whole.slice(start, end));
    start = end;
  }
  return found;
}

/** @param {string} name */
function identifier(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

/** @param {string} value */
function text(value) {
  return `'${value.replaceAll("'", "''")}'`;
}
