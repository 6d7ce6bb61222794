/**
 * The limits of Durable Object storage that workerd does not check (https://developers.cloudflare.com/durable-objects/platform/limits/). This module
 * is added to the Worker that has the classes. It wraps the writing methods of storage, on the prototypes that all objects of the isolate share.
 */

import { cloneBytes, utf8Bytes } from '../../../runtime/system/value_sizes.js';

/** The limit of a SQLite-backed class, for a string, a BLOB, a row, and a key with its value. */
const MAX_BYTES = 2_000_000;
/** The limit of a class with key-value storage. */
const MAX_OLD_KEY_BYTES = 2048;
const MAX_OLD_VALUE_BYTES = 128 * 1024;
/** https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/: the most pairs or keys in one call. */
const MAX_PAIRS = 128;
const TOO_BIG = 'string or blob too big: SQLITE_TOOBIG';
/** The size of rows: `octet_length` does not read the value that it measures. */
const USER_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";

/**
 * @typedef {{storage: DurableObjectStorage, usesSqlite: boolean}} Owner
 * @typedef {(this: any, ...args: any[]) => any} Method
 * @typedef {new (ctx: DurableObjectState, env: any) => object} ObjectClass
 */

/** @type {WeakMap<object, Owner>} by storage, its `sql` and `kv`, and its transactions */
const owners = new WeakMap();
/** @type {WeakSet<object>} */
const limited = new WeakSet();

/**
 * Returns a subclass whose objects' storage has Cloudflare's limits.
 *
 * @param {ObjectClass} original
 * @param {boolean} usesSqlite
 * @returns {ObjectClass}
 */
export function withStorageLimits(original, usesSqlite) {
  const subclass = class extends original {
    /**
     * @param {DurableObjectState} ctx
     * @param {any} env
     */
    constructor(ctx, env) {
      limit(ctx.storage, usesSqlite);
      super(ctx, env);
    }
  };
  return Object.defineProperty(subclass, 'name', { value: original.name });
}

/**
 * @param {DurableObjectStorage} storage
 * @param {boolean} usesSqlite
 */
function limit(storage, usesSqlite) {
  const owner = { storage, usesSqlite };
  wrap(storage, owner, { put, get: countKeys, delete: countKeys, transaction });
  if (!usesSqlite) return;
  wrap(storage.sql, owner, { exec });
  wrap(storage.kv, owner, { put });
}

/**
 * @param {object} target
 * @param {Owner} owner
 * @param {Record<string, (owner: Owner, original: Method, self: object, args: any[]) => unknown>} wrappers
 */
function wrap(target, owner, wrappers) {
  owners.set(target, owner);
  const prototype = Object.getPrototypeOf(target);
  if (limited.has(prototype)) return;
  limited.add(prototype);
  for (const [name, wrapper] of Object.entries(wrappers)) {
    const original = prototype[name];
    const method = {
      /** @type {Method} */
      [name](...args) {
        const found = owners.get(this);
        return found ? wrapper(found, original, this, args) : original.apply(this, args);
      },
    }[name];
    Object.defineProperty(prototype, name, { value: method, writable: true, enumerable: true, configurable: true });
  }
}

/** @type {(owner: Owner, original: Method, self: object, args: any[]) => unknown} */
function put({ usesSqlite }, original, self, args) {
  const [key, value] = args;
  if (typeof key === 'object' && key !== null) {
    const pairs = Object.entries(key);
    if (pairs.length > MAX_PAIRS) throw new RangeError(`Maximum number of pairs is ${MAX_PAIRS}.`);
    for (const pair of pairs) checkPair(usesSqlite, ...pair);
  } else checkPair(usesSqlite, String(key), value);
  return original.apply(self, args);
}

/** @type {(owner: Owner, original: Method, self: object, args: any[]) => unknown} */
function countKeys({ usesSqlite }, original, self, args) {
  const keys = Array.isArray(args[0]) ? args[0] : [args[0]];
  if (keys.length > MAX_PAIRS) throw new RangeError(`Maximum number of keys is ${MAX_PAIRS}.`);
  if (!usesSqlite) for (const key of keys) checkOldKey(String(key));
  return original.apply(self, args);
}

/** @type {(owner: Owner, original: Method, self: object, args: any[]) => unknown} */
function transaction(owner, original, self, [callback, ...rest]) {
  /** @param {DurableObjectTransaction} txn */
  const limitedCallback = (txn) => {
    wrap(txn, owner, { put, get: countKeys, delete: countKeys });
    return callback(txn);
  };
  return original.call(self, limitedCallback, ...rest);
}

/** @type {(owner: Owner, original: Method, self: object, args: any[]) => unknown} */
function exec({ storage }, original, self, args) {
  let total = 0;
  for (const value of args.slice(1)) {
    const bytes = boundBytes(value);
    if (bytes > MAX_BYTES) throw new Error(TOO_BIG);
    total += bytes;
  }
  if (total <= MAX_BYTES) return original.apply(self, args);
  // Only then can bound values make a row too large, and only a query shows it.
  return storage.transactionSync(() => {
    const cursor = original.apply(self, args);
    if (hasLargeRow((query) => original.call(self, query), String(args[0]))) throw new Error(TOO_BIG);
    return cursor;
  });
}

/**
 * @param {(query: string) => SqlStorageCursor<Record<string, SqlStorageValue>>} run
 * @param {string} statement a statement that has run
 */
function hasLargeRow(run, statement) {
  const text = statement.toLowerCase();
  const tables = run(USER_TABLES).toArray().map(({ name }) => String(name));
  return tables.filter((name) => text.includes(name.toLowerCase())).some((name) => {
    const columns = run(`SELECT name FROM pragma_table_info(${quoted(name, "'")})`).toArray();
    const bytes = columns.map((column) => `ifnull(octet_length(${quoted(String(column.name), '"')}), 0)`).join(' + ');
    return run(`SELECT 1 FROM ${quoted(name, '"')} WHERE ${bytes} > ${MAX_BYTES} LIMIT 1`).toArray().length > 0;
  });
}

/**
 * @param {string} name
 * @param {string} quote
 */
function quoted(name, quote) {
  return quote + name.replaceAll(quote, quote + quote) + quote;
}

/** @param {unknown} value a value bound to a statement */
function boundBytes(value) {
  if (typeof value === 'string') return utf8Bytes(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  return 0;
}

/**
 * @param {boolean} usesSqlite
 * @param {string} key
 * @param {unknown} value
 */
function checkPair(usesSqlite, key, value) {
  if (usesSqlite) {
    if (utf8Bytes(key) + cloneBytes(value) > MAX_BYTES) throw new Error(TOO_BIG);
    return;
  }
  checkOldKey(key);
  if (cloneBytes(value) > MAX_OLD_VALUE_BYTES) {
    throw new RangeError(`Values cannot be larger than ${MAX_OLD_VALUE_BYTES} bytes.`);
  }
}

/** @param {string} key */
function checkOldKey(key) {
  if (utf8Bytes(key) > MAX_OLD_KEY_BYTES) throw new RangeError(`Keys cannot be larger than ${MAX_OLD_KEY_BYTES} bytes.`);
}
