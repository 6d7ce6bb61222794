/**
 * The store's end of bindings: what the Workers' processes send comes here, and goes to the entrypoint that a binding is
 * about, as if that were bound.
 */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { BOUND_HEADER, THROWN_HEADER, fromHeader, toHeader } from './bound.js';

/**
 * @import { Bound } from './bound.js'
 *
 * @typedef {Record<string, new (ctx: any, env: any) => any>} Entrypoints by name
 */

/**
 * @param {Entrypoints} entrypoints
 * @returns {new (ctx: any, env: any) => WorkerEntrypoint}
 */
export function doorTo(entrypoints) {
  return class extends WorkerEntrypoint {
    /**
     * @override
     * @param {Request} request
     */
    async fetch(request) {
      try {
        return await this.#find(fromHeader(request.headers.get(BOUND_HEADER))).fetch(request);
      } catch (error) {
        // HTTP knows no exceptions: whoever sent it makes one of this again.
        const message = error instanceof Error ? error.message : String(error);
        const headers = { [THROWN_HEADER]: toHeader({ message, properties: Object(error) }) };
        return new Response(message, { status: 500, headers });
      }
    }

    /**
     * Calls a method of an entrypoint, for a binding that speaks RPC.
     *
     * @param {Bound} bound
     * @param {string} method
     * @param {unknown[]} args
     */
    call(bound, method, args) {
      return this.#find(bound)[method](...args);
    }

    /** @param {Bound} bound */
    #find({ entrypoint, props }) {
      const Entrypoint = entrypoints[entrypoint];
      if (!Entrypoint) throw new Error(`the store has no entrypoint ${entrypoint}`);
      const ctx = { props, waitUntil: (/** @type {Promise<unknown>} */ promise) => this.ctx.waitUntil(promise) };
      return new Entrypoint(ctx, this.env);
    }
  };
}
