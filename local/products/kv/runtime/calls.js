/** KV by namespace id, without a binding. It calls the same Durable Objects as the Workers' bindings. */

import { fromCursor, toCursor } from './binding.js';

/**
 * @import { Attributes, KvObject, Pair } from './object.js'
 *
 * @typedef {{KV_NAMESPACES: DurableObjectNamespace<KvObject>}} Env
 * @typedef {Attributes & {value_base64: string}} EntryReply
 */

/** The size of a call between Workers, whose limit is 32 MiB (https://developers.cloudflare.com/workers/runtime-apis/rpc/); a value has up to 25. */
const CALL_BYTES = 26 * 1024 * 1024;

export default { kv: { get: getValues, put: putValues, delete: deleteValues, list: listKeys } };

/**
 * @param {Env} env
 * @param {string} id
 * @param {{keys: string[]}} request
 * @returns {Promise<{entries: (EntryReply | null)[]}>}
 */
async function getValues(env, id, { keys }) {
  const namespace = env.KV_NAMESPACES.getByName(id);
  const entries = await Promise.all(keys.map((key) => namespace.get(key)));
  return {
    entries: entries.map((entry) => {
      if (entry === null) return null;
      const { expiration, metadata, value } = entry;
      return { expiration, metadata, value_base64: value.toBase64() };
    }),
  };
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {{pairs: (EntryReply & {key: string})[]}} request
 */
async function putValues(env, id, { pairs }) {
  const namespace = env.KV_NAMESPACES.getByName(id);
  const written = pairs.map(({ key, value_base64, expiration, metadata }) => (
    { key, value: Uint8Array.fromBase64(value_base64), expiration, metadata }
  ));
  for (const part of parts(written)) await namespace.put(part);
  return {};
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {{keys: string[]}} request
 */
async function deleteValues(env, id, { keys }) {
  await env.KV_NAMESPACES.getByName(id).delete(keys);
  return {};
}

/**
 * @param {Env} env
 * @param {string} id
 * @param {{prefix: string, limit: number, cursor: string | null}} request
 */
async function listKeys(env, id, { prefix, limit, cursor }) {
  const { keys, isComplete } = await env.KV_NAMESPACES.getByName(id).list(prefix, limit, fromCursor(cursor));
  return { keys, cursor: isComplete ? null : toCursor(keys.at(-1)?.key ?? '') };
}

/**
 * Splits pairs into parts that fit into one call each.
 *
 * @param {Pair[]} pairs
 */
function parts(pairs) {
  /** @type {Pair[][]} */
  const found = [];
  let size = Infinity;
  for (const pair of pairs) {
    size += pair.value.byteLength;
    if (size > CALL_BYTES) {
      found.push([]);
      size = pair.value.byteLength;
    }
    found.at(-1)?.push(pair);
  }
  return found;
}
