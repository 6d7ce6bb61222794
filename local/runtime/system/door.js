/**
 * The store's end of bindings: requests of the Workers' processes arrive here, and are passed to the entrypoint that the binding refers to, as if it
 * were bound directly.
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
        // HTTP has no exceptions: the sender converts this back to one.
        const message = error instanceof Error ? error.message : String(error);
        const headers = { [THROWN_HEADER]: toHeader({ message, properties: Object(error) }) };
        return new Response(message, { status: 500, headers });
      }
    }

    /**
     * Calls a method of an entrypoint, for a binding that uses RPC.
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
