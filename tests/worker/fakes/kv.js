/** A KV namespace in this process, that refuses what Cloudflare's refuses (https://developers.cloudflare.com/kv/platform/limits/). */

const KEY_BYTES = 512;
const METADATA_BYTES = 1_024;
const VALUE_BYTES = 25 * 1024 * 1024;
const BULK_KEYS = 100;
const BULK_BYTES = 25 * 1024 * 1024;
const LISTED_KEYS = 1_000;
const WRITE_INTERVAL_MS = 1_000;
const MIN_TTL_SECONDS = 60;

const ENCODER = new TextEncoder();

/** @typedef {{text: string, metadata: any, expiration: number}} Value */

export class FakeKv {
  /** @type {Map<string, Value>} */
  values = new Map();
  /** When each key was written last. @type {Map<string, number>} */
  written_ms = new Map();

  /**
   * @param {(run: () => any, method: string, key: string) => Promise<any>} [call] each call of the binding
   * @param {FakeKv} [other] another binding of the same namespace
   */
  constructor(call = async (run) => run(), other) {
    this.call = call;
    if (other) ({ values: this.values, written_ms: this.written_ms } = other);
  }

  /**
   * @param {string | string[]} keys
   * @param {string | {type: string}} [type]
   * @returns {Promise<any>}
   */
  async get(keys, type) {
    return this.call(() => {
      const isJson = (typeof type === 'string' ? type : type?.type) === 'json';
      const read = (/** @type {string} */ key) => {
        const text = this.#live(key)?.text;
        return text === undefined ? null : isJson ? JSON.parse(text) : text;
      };
      if (typeof keys === 'string') {
        requireKey('GET', keys);
        return read(keys);
      }
      if (keys.length > BULK_KEYS) throw new Error(`KV GET_BULK failed: 400 You can request a maximum of ${BULK_KEYS} keys`);
      for (const key of keys) requireKey('GET_BULK', key);
      if (keys.reduce((sum, key) => sum + bytesOf(this.#live(key)?.text ?? ''), 0) > BULK_BYTES) {
        throw new Error(`KV GET_BULK failed: 413 Total size of request exceeded the limit of 25MB`);
      }
      return new Map(keys.map((key) => [key, read(key)]));
    }, 'get', String(keys));
  }

  /**
   * @param {string} key
   * @param {string} text
   * @param {{expiration?: number, metadata?: any}} [options]
   */
  async put(key, text, { expiration = Infinity, metadata = null } = {}) {
    return this.call(() => {
      requireKey('PUT', key);
      this.#requireTurn('PUT', key);
      if (bytesOf(text) > VALUE_BYTES) throw new Error(`KV PUT failed: 413 Value length of ${bytesOf(text)} exceeds limit of ${VALUE_BYTES}.`);
      const metadataBytes = metadata === null ? 0 : bytesOf(JSON.stringify(metadata));
      if (metadataBytes > METADATA_BYTES) throw new Error(`KV PUT failed: 413 Metadata length of ${metadataBytes} exceeds limit of ${METADATA_BYTES}.`);
      if (expiration !== Infinity && !(Number.isInteger(expiration) && expiration >= Math.floor(Date.now() / 1000) + MIN_TTL_SECONDS)) {
        throw new Error(`KV PUT failed: 400 Invalid expiration of ${expiration}. Please specify integer greater than the current number of seconds since the UNIX epoch plus 59.`);
      }
      this.values.set(key, { text, metadata: structuredClone(metadata), expiration });
    }, 'put', key);
  }

  /** @param {string} key */
  async delete(key) {
    return this.call(() => {
      requireKey('DELETE', key);
      this.#requireTurn('DELETE', key);
      this.values.delete(key);
    }, 'delete', key);
  }

  /** @param {{prefix?: string, limit?: number}} [options] */
  async list({ prefix = '', limit = LISTED_KEYS } = {}) {
    return this.call(() => {
      if (!(limit >= 1 && limit <= LISTED_KEYS)) throw new Error(`KV GET failed: 400 Invalid key_count_limit of ${limit}. Please specify an integer from 1 to ${LISTED_KEYS}.`);
      const names = [...this.values.keys()].filter((name) => name.startsWith(prefix) && this.#live(name)).sort();
      const keys = names.slice(0, limit).map((name) => {
        const { metadata, expiration } = /** @type {Value} */ (this.values.get(name));
        return { name, expiration, ...(metadata !== null && { metadata: structuredClone(metadata) }) };
      });
      return { keys, list_complete: names.length <= limit };
    }, 'list', prefix);
  }

  /** @param {string} key */
  #live(key) {
    const value = this.values.get(key);
    return value && value.expiration * 1000 > Date.now() ? value : undefined;
  }

  /**
   * A key takes one write a second.
   *
   * @param {string} method
   * @param {string} key
   */
  #requireTurn(method, key) {
    const now_ms = Date.now();
    if (now_ms - (this.written_ms.get(key) ?? -Infinity) < WRITE_INTERVAL_MS) throw new Error(`KV ${method} failed: 429 Too Many Requests`);
    this.written_ms.set(key, now_ms);
  }
}

/**
 * @param {string} method
 * @param {string} key
 */
function requireKey(method, key) {
  if (key === '' || key === '.' || key === '..') throw new TypeError('Key name cannot be empty, "." or "..".');
  if (bytesOf(key) > KEY_BYTES) throw new Error(`KV ${method} failed: 414 UTF-8 encoded length of ${bytesOf(key)} exceeds key length limit of ${KEY_BYTES}.`);
}

/** @param {string} text */
function bytesOf(text) {
  return ENCODER.encode(text).byteLength;
}
