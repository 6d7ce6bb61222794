/** A KV namespace whose operations are retried while KV fails. Each of them is idempotent: it only writes or reads a value. */

import { askStore } from './connection.js';

/** @typedef {Pick<KVNamespace, 'get' | 'put' | 'list' | 'delete'>} Kv */

/**
 * @param {KVNamespace} kv
 * @param {number} patience_seconds
 * @returns {Kv}
 */
export function patientKv(kv, patience_seconds) {
  /** @param {(...parameters: any[]) => Promise<any>} operation */
  const patient = (operation) => (/** @type {any[]} */ ...parameters) => askStore(patience_seconds, () => operation.apply(kv, parameters));
  return { get: patient(kv.get), put: patient(kv.put), list: patient(kv.list), delete: patient(kv.delete) };
}
