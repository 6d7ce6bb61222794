/**
 * R2 by bucket id, without a binding. It calls the same Durable Objects as Miniflare's R2 bindings, in the protocol of workerd's bindings. A request
 * is JSON, in a header or before the value; so is the answer.
 */

import { CallError } from '../../../runtime/system/call_error.js';
import { namedObject } from '../../../runtime/system/miniflare_internals.js';

/**
 * @typedef {{R2_BUCKETS: DurableObjectNamespace}} Env
 * @typedef {Record<string, string | number>} HttpMetadata R2's fields of this name; cacheExpiry is in epoch milliseconds
 * @typedef {{
 *   name: string,
 *   version: string,
 *   size: number,
 *   etag: string,
 *   uploaded: number,
 *   httpFields: HttpMetadata,
 *   customFields: {k: string, v: string}[],
 * }} R2Fields an object as the protocol describes it
 * @typedef {{objects: R2Fields[], truncated: boolean, cursor?: string, delimitedPrefixes: string[]}} R2Page
 * @typedef {{
 *   prefix?: string | null,
 *   delimiter?: string | null,
 *   start_after?: string | null,
 *   cursor?: string | null,
 *   limit: number,
 * }} R2List
 */

const BUCKET_URL = 'http://r2/';
const REQUEST_HEADER = 'cf-r2-request';
const SIZE_HEADER = 'cf-r2-metadata-size';
const ERROR_HEADER = 'cf-r2-error';
/** The header with an object's description: JSON, percent-encoded. */
const OBJECT_HEADER = 'Object-Fields';
/** What a list is to include, as a number of the protocol. */
const HTTP_METADATA = 0;
const CUSTOM_METADATA = 1;

export default { r2: { bytes: passObject, delete: deleteObject, list: listObjects, measure: measureBucket } };

/**
 * Answers a request for one object, whose bytes are the body: PUT and GET, with `key` in the query, and `http_metadata` as JSON for a PUT. Throws a
 * CallError.
 *
 * @param {Env} env
 * @param {string} id
 * @param {Request} request
 */
async function passObject(env, id, request) {
  const query = new URL(request.url).searchParams;
  const key = query.get('key') ?? '';
  if (request.method !== 'PUT') return getObject(env, id, key);
  /** @type {HttpMetadata} */
  const httpMetadata = JSON.parse(query.get('http_metadata') ?? '{}');
  return Response.json(await putObject(env, id, key, request, httpMetadata));
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {{key: string}} request
 */
async function deleteObject(env, id, { key }) {
  await write(env, id, { method: 'delete', object: key });
  return {};
}

/**
 * Returns a page of a bucket's objects, in the order of their keys' bytes. Common prefixes count too.
 *
 * @param {Env} env
 * @param {string} id
 * @param {R2List} request
 */
async function listObjects(env, id, { prefix, delimiter, start_after, cursor = null, limit }) {
  /** @type {{objects: object[], delimited_prefixes: string[], cursor: string | null}} */
  const found = { objects: [], delimited_prefixes: [], cursor };
  for (let left = limit; left > 0; left = limit - found.objects.length - found.delimited_prefixes.length) {
    const page = await list(env, id, { prefix, delimiter, startAfter: start_after, cursor: found.cursor, limit: left });
    found.objects.push(...page.objects.map(described));
    found.delimited_prefixes.push(...page.delimitedPrefixes);
    found.cursor = page.cursor ?? null;
    if (found.cursor === null) break;
  }
  return found;
}

/**
 * Returns the size of a bucket's contents. The bytes of metadata are those of keys, names and values.
 *
 * @param {Env} env
 * @param {string} id
 */
async function measureBucket(env, id) {
  const found = { object_count: 0, payload_bytes: 0, metadata_bytes: 0 };
  /** @type {string | undefined} */
  let cursor;
  do {
    const page = await list(env, id, { cursor });
    found.object_count += page.objects.length;
    for (const object of page.objects) {
      found.payload_bytes += object.size;
      found.metadata_bytes += metadataBytes(object);
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return found;
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {string} key
 * @param {Request} request
 * @param {HttpMetadata} httpMetadata
 */
async function putObject(env, id, key, request, httpMetadata) {
  const length = Number(request.headers.get('Content-Length'));
  const answer = await write(env, id, { method: 'put', object: key, httpFields: httpMetadata }, request.body, length);
  return described(await answer.json());
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {string} key
 */
async function getObject(env, id, key) {
  const { metadata, value } = await read(env, id, { method: 'get', object: key });
  const object = described(metadata);
  const { readable, writable } = new FixedLengthStream(object.size);
  value?.pipeTo(writable).catch(() => {}); // the reader of the stream gets the error
  return new Response(readable, { headers: { [OBJECT_HEADER]: encodeURIComponent(JSON.stringify(object)) } });
}

/**
 * Returns a page with metadata, which may be shorter than requested.
 *
 * @param {Env} env
 * @param {string} id
 * @param {object} options
 * @returns {Promise<R2Page>}
 */
async function list(env, id, options) {
  const wanted = Object.entries(options).filter(([, value]) => value != null);
  const include = [HTTP_METADATA, CUSTOM_METADATA];
  const { metadata } = await read(env, id, { method: 'list', include, ...Object.fromEntries(wanted) });
  return metadata;
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {object} request
 */
async function read(env, id, request) {
  const response = await send(env, id, { headers: { [REQUEST_HEADER]: asciiJson(request) } });
  const size = Number(response.headers.get(SIZE_HEADER));
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader({ mode: 'byob' });
  const { value } = await reader.readAtLeast(size, new Uint8Array(size));
  reader.releaseLock();
  return { metadata: JSON.parse(new TextDecoder().decode(value)), value: response.body };
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {object} request
 * @param {ReadableStream | null} [value]
 * @param {number} [length] the length of the value
 */
async function write(env, id, request, value = null, length = 0) {
  const metadata = new TextEncoder().encode(JSON.stringify(request));
  const { readable, writable } = new FixedLengthStream(metadata.byteLength + length);
  const [response] = await Promise.all([
    send(env, id, { method: 'PUT', headers: { [SIZE_HEADER]: String(metadata.byteLength) }, body: readable }),
    join(writable, metadata, value),
  ]);
  return response;
}

/**
 * @param {WritableStream<Uint8Array>} target
 * @param {Uint8Array} first
 * @param {ReadableStream | null} rest
 */
async function join(target, first, rest) {
  const writer = target.getWriter();
  await writer.write(first);
  if (rest === null) return writer.close();
  writer.releaseLock();
  return rest.pipeTo(target);
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {RequestInit} init
 */
async function send(env, id, init) {
  const bucket = env.R2_BUCKETS.getByName(id);
  // This request tells Miniflare's objects their own name.
  const response = await bucket.fetch(BUCKET_URL, { ...init, cf: namedObject(id) });
  if (response.ok) return response;
  const refusal = response.headers.get(ERROR_HEADER);
  const message = refusal === null ? await response.text() : JSON.parse(refusal).message;
  throw response.status === 404 ? new CallError('not_found', message) : new Error(message);
}

/** @param {R2Fields} object */
function described({ name, version, size, etag, uploaded, httpFields, customFields }) {
  const custom_metadata = Object.fromEntries(customFields.map(({ k, v }) => [k, v]));
  return { key: name, version, size, etag, uploaded_ms: uploaded, http_metadata: httpFields, custom_metadata };
}

/** @param {R2Fields} object */
function metadataBytes({ name, httpFields, customFields }) {
  const texts = [name, ...Object.values(httpFields).map(String), ...customFields.flatMap(({ k, v }) => [k, v])];
  return texts.reduce((sum, text) => sum + new TextEncoder().encode(text).byteLength, 0);
}

/**
 * Returns JSON in ASCII, for a header.
 *
 * @param {object} value
 */
function asciiJson(value) {
  return JSON.stringify(value).replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
