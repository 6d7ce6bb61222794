/** KV's limits for Workers (https://developers.cloudflare.com/kv/platform/limits/), with its error messages. */

const MAX_KEY_BYTES = 512;
const MAX_VALUE_BYTES = 25 * 1024 * 1024;
const MAX_METADATA_BYTES = 1024;
const MIN_TTL_SECONDS = 60;
const MIN_CACHE_TTL_SECONDS = 30;
/** The limit of all values that one call reads: https://developers.cloudflare.com/kv/api/read-key-value-pairs/ */
const MAX_BULK_BYTES = 25 * 1024 * 1024;
const MAX_LISTED_KEYS = 1000;
export const MAX_BULK_KEYS = 100;

/** A request that KV refuses. */
export class KvRefusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
    this.kind = 'bad_request'; // for the control plane
  }
}

/** @param {string} key */
export function checkKey(key) {
  if (key === '') throw new KvRefusal(400, 'Key names must not be empty');
  if (key === '.' || key === '..') throw new KvRefusal(400, `Illegal key name "${key}". Please use a different name.`);
  checkKeyLength(key);
}

/** @param {number} length */
export function checkValue(length) {
  if (length > MAX_VALUE_BYTES) throw new KvRefusal(413, `Value length of ${length} exceeds limit of ${MAX_VALUE_BYTES}.`);
}

/**
 * Checks how long a value may be cached. Nothing is cached here: each read returns the stored value.
 *
 * @param {string | number | null | undefined} ttl seconds
 */
export function checkCacheTtl(ttl) {
  if (ttl === null || ttl === undefined || Number(ttl) >= MIN_CACHE_TTL_SECONDS) return;
  throw new KvRefusal(400, `Invalid cache_ttl of ${ttl}. Cache TTL must be at least ${MIN_CACHE_TTL_SECONDS}.`);
}

/** @param {number} bytes the size of all values of one call */
export function checkBulkSize(bytes) {
  if (bytes > MAX_BULK_BYTES) throw new KvRefusal(413, `Total size of request exceeds the limit of ${MAX_BULK_BYTES / 1024 / 1024}MB`);
}

/** @param {string | null} metadata */
export function checkMetadata(metadata) {
  const length = new TextEncoder().encode(metadata ?? '').byteLength;
  if (length > MAX_METADATA_BYTES) {
    throw new KvRefusal(413, `Metadata length of ${length} exceeds limit of ${MAX_METADATA_BYTES}.`);
  }
}

/**
 * Returns when a key expires. If both settings are given, the time to live counts.
 *
 * @param {string | null} ttl
 * @param {string | null} expiration
 * @returns {number | null} epoch seconds; null: never
 */
export function expirationOf(ttl, expiration) {
  const now = Math.floor(Date.now() / 1000);
  if (ttl !== null) {
    if (!(Number(ttl) > 0)) throw new KvRefusal(400, `Invalid expiration_ttl of ${ttl}. Please specify integer greater than 0.`);
    if (Number(ttl) < MIN_TTL_SECONDS) {
      throw new KvRefusal(400, `Invalid expiration_ttl of ${ttl}. Expiration TTL must be at least ${MIN_TTL_SECONDS}.`);
    }
    return now + Number(ttl);
  }
  if (expiration === null) return null;
  if (!(Number(expiration) > now)) {
    const wanted = 'Please specify integer greater than the current number of seconds since the UNIX epoch.';
    throw new KvRefusal(400, `Invalid expiration of ${expiration}. ${wanted}`);
  }
  if (Number(expiration) < now + MIN_TTL_SECONDS) {
    const wanted = `Expiration times must be at least ${MIN_TTL_SECONDS} seconds in the future.`;
    throw new KvRefusal(400, `Invalid expiration of ${expiration}. ${wanted}`);
  }
  return Number(expiration);
}

/**
 * Checks a list's options.
 *
 * @param {string} prefix
 * @param {string | null} limit
 */
export function checkList(prefix, limit) {
  checkKeyLength(prefix);
  if (limit === null) return MAX_LISTED_KEYS;
  if (!(Number(limit) >= 1)) {
    throw new KvRefusal(400, `Invalid key_count_limit of ${limit}. Please specify an integer greater than 0.`);
  }
  if (Number(limit) > MAX_LISTED_KEYS) {
    throw new KvRefusal(400, `Invalid key_count_limit of ${limit}. Please specify an integer less than ${MAX_LISTED_KEYS}.`);
  }
  return Number(limit);
}

/** @param {string} key */
function checkKeyLength(key) {
  const length = new TextEncoder().encode(key).byteLength;
  if (length > MAX_KEY_BYTES) {
    throw new KvRefusal(414, `UTF-8 encoded length of ${length} exceeds key length limit of ${MAX_KEY_BYTES}.`);
  }
}
