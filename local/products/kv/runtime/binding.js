/** The target of a Worker's KV binding: workerd sends it each operation as a request. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { withFaults } from '../../faults/runtime/rules.js';
import { KvRefusal, MAX_BULK_KEYS, checkBulkSize, checkCacheTtl, checkKey, checkList, checkMetadata, checkValue, expirationOf } from './limits.js';

/**
 * @import { Fault } from '../../faults/runtime/rules.js'
 * @import { Entry, KvObject } from './object.js'
 *
 * @typedef {{KV_NAMESPACES: DurableObjectNamespace<KvObject>}} Env
 * @typedef {{namespaceId: string}} Props
 */

const METADATA_HEADER = 'CF-KV-Metadata';
const EXPIRATION_HEADER = 'CF-Expiration';
const BULK_GET = '/bulk/get';

/** @extends {WorkerEntrypoint<Env, Props>} */
export class KvBinding extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    const url = new URL(request.url);
    try {
      if (request.method === 'POST' && url.pathname === BULK_GET) {
        const wanted = await request.json();
        return await this.#faulty('get', '', () => this.#getMany(wanted));
      }
      if (request.method === 'GET' && url.pathname === '/') {
        return await this.#faulty('list', '', () => this.#list(url.searchParams));
      }
      const key = decodeURIComponent(url.pathname.slice(1));
      checkKey(key);
      if (request.method === 'GET') return await this.#faulty('get', key, () => this.#get(key, url.searchParams));
      if (request.method === 'PUT') return await this.#put(key, request, url.searchParams);
      if (request.method === 'DELETE') return await this.#faulty('delete', key, () => this.#delete(key));
    } catch (error) {
      if (error instanceof KvRefusal) return refusal(error.status, error.message);
      throw error;
    }
    return refusal(405, 'Method Not Allowed');
  }

  /**
   * @param {string} key
   * @param {URLSearchParams} query
   */
  async #get(key, query) {
    checkCacheTtl(query.get('cache_ttl'));
    const entry = await this.#namespace.get(key);
    if (entry === null) return refusal(404, 'Not Found');
    const headers = new Headers();
    if (entry.expiration !== null) headers.set(EXPIRATION_HEADER, String(entry.expiration));
    if (entry.metadata !== null) headers.set(METADATA_HEADER, entry.metadata);
    return new Response(entry.value, { headers });
  }

  /** @param {{keys: string[], type?: string, withMetadata?: boolean, cacheTtl?: number | string}} request */
  async #getMany({ keys, type = 'text', withMetadata = false, cacheTtl }) {
    checkCacheTtl(cacheTtl);
    if (type !== 'text' && type !== 'json') throw new KvRefusal(400, `"${type}" is not a valid type. Use "json" or "text"`);
    if (keys.length > MAX_BULK_KEYS) throw new KvRefusal(400, `You can request a maximum of ${MAX_BULK_KEYS} keys`);
    if (keys.length === 0) throw new KvRefusal(400, 'You must request a minimum of 1 key');
    keys.forEach(checkKey);
    const entries = await Promise.all(keys.map((key) => this.#namespace.get(key)));
    checkBulkSize(entries.reduce((bytes, entry) => bytes + (entry?.value.byteLength ?? 0), 0));
    return Response.json(Object.fromEntries(keys.map((key, index) => [key, shown(entries[index] ?? null, type, withMetadata)])));
  }

  /**
   * @param {string} key
   * @param {Request} request
   * @param {URLSearchParams} query
   */
  async #put(key, request, query) {
    const value = new Uint8Array(await request.arrayBuffer()); // first, because workerd waits until its body is read
    const expiration = expirationOf(query.get('expiration_ttl'), query.get('expiration'));
    const metadata = request.headers.get(METADATA_HEADER);
    checkMetadata(metadata);
    checkValue(value.byteLength);
    return this.#faulty('put', key, async () => {
      await this.#namespace.put([{ key, value, expiration, metadata }]);
      return new Response();
    });
  }

  /** @param {string} key */
  async #delete(key) {
    await this.#namespace.delete([key]);
    return new Response();
  }

  /** @param {URLSearchParams} query */
  async #list(query) {
    const prefix = query.get('prefix') ?? '';
    const limit = checkList(prefix, query.get('key_count_limit'));
    const { keys, isComplete } = await this.#namespace.list(prefix, limit, fromCursor(query.get('cursor')));
    return Response.json({
      keys: keys.map(({ key, expiration, metadata }) => ({
        name: key,
        ...(expiration !== null && { expiration }),
        ...(metadata !== null && { metadata }),
      })),
      list_complete: isComplete,
      ...(!isComplete && { cursor: toCursor(keys.at(-1)?.key ?? '') }),
      cacheStatus: null,
    });
  }

  /**
   * @param {string} method
   * @param {string} key
   * @param {() => Promise<Response>} make
   */
  #faulty(method, key, make) {
    return withFaults({ product: 'kv', resource: this.ctx.props.namespaceId, method, key }, make, refusalOf);
  }

  get #namespace() {
    return this.env.KV_NAMESPACES.getByName(this.ctx.props.namespaceId);
  }
}

/**
 * @param {Entry | null} entry
 * @param {'text' | 'json'} type
 * @param {boolean} withMetadata
 */
function shown(entry, type, withMetadata) {
  if (entry === null) return null;
  const text = new TextDecoder().decode(entry.value);
  const value = type === 'json' ? parsed(text) : text;
  return withMetadata ? { value, metadata: entry.metadata === null ? null : JSON.parse(entry.metadata) } : value;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new KvRefusal(400, 'At least one of the requested keys corresponds to a non-json value');
  }
}

/**
 * workerd puts the status text into the Worker's exception.
 *
 * @param {number} status
 * @param {string} message
 */
function refusal(status, message) {
  return new Response(message, { status, statusText: message });
}

/** @param {Fault} fault */
function refusalOf({ status, message }) {
  return refusal(status ?? 500, message);
}

/** @param {string} key the last key of a page */
export function toCursor(key) {
  return new TextEncoder().encode(key).toBase64({ alphabet: 'base64url', omitPadding: true });
}

/** @param {string | null} cursor */
export function fromCursor(cursor) {
  if (!cursor) return '';
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(cursor, { alphabet: 'base64url' }));
  } catch {
    throw new KvRefusal(400, 'Invalid cursor');
  }
}
