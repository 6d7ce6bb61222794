/** What the store's process calls by RPC in a process of Workers: queue handlers, and our objects there (guests). */

import { WorkerEntrypoint } from 'cloudflare:workers';

/**
 * @import { BatchResult } from '../../products/queues/runtime/batch_result.js'
 *
 * @typedef {{
 *   queue(name: string, messages: object[], metadata: object): Promise<BatchResult>,
 *   scheduled(event: {cron: string, scheduledTime: Date}): Promise<{outcome: string}>,
 * }} Service a service binding with `service_binding_extra_handlers`
 * @typedef {{[binding: `SERVICE ${string}`]: Service}} Services the Workers of this process, one a deployed version
 * @typedef {{[namespace: string]: {getByName(id: string): Record<string, (...args: unknown[]) => Promise<any>>}}} Namespaces
 *   of guests' objects
 */

/** @extends {WorkerEntrypoint<Services & Namespaces>} */
export class Dispatcher extends WorkerEntrypoint {
  /** Answers at once: a caller that sends it with another call learns that the call has arrived. */
  arrived() {}

  /**
   * Passes a batch to a Worker's queue handler.
   *
   * @param {string} service
   * @param {string} queueName
   * @param {object[]} messages
   * @param {object} metadata
   * @returns {Promise<BatchResult>}
   */
  async deliver(service, queueName, messages, metadata) {
    const result = await bound(this.env, `SERVICE ${service}`).queue(queueName, messages, metadata);
    const { outcome, ackAll, retryBatch, explicitAcks, retryMessages } = result;
    return { outcome, ackAll, retryBatch, explicitAcks, retryMessages };
  }

  /**
   * Calls an object of a guest.
   *
   * @param {string} namespace the host Worker's name for it
   * @param {string} id
   * @param {string} method
   * @param {unknown[]} args
   * @returns {Promise<any>}
   */
  async callObject(namespace, id, method, args) {
    return bound(this.env, namespace).getByName(id)[method]?.(...args);
  }
}

/**
 * Returns the binding of a name. Throws if there is none.
 *
 * @template {object} E
 * @template {keyof E} N
 * @param {E} env
 * @param {N} name
 * @returns {NonNullable<E[N]>}
 */
export function bound(env, name) {
  const found = env[name];
  if (found === undefined || found === null) throw new Error(`nothing of the name ${String(name)} runs in this process`);
  return found;
}
