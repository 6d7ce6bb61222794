/** The target of a binding whose calls use RPC, or may throw: it calls the store's door, and says which binding it is. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { BOUND_HEADER, THROWN_HEADER, fromHeader, toHeader } from './bound.js';

/**
 * @import { Bound } from './bound.js'
 *
 * @typedef {{call(bound: Bound, method: string, args: unknown[]): Promise<unknown>} & Fetcher} Store
 */

/** @extends {WorkerEntrypoint<{STORE: Store}, Bound>} */
export class StoreCalls extends WorkerEntrypoint {
  /**
   * @param {ExecutionContext<Bound>} ctx
   * @param {{STORE: Store}} env
   */
  constructor(ctx, env) {
    super(ctx, env);
    return new Proxy(this, {
      get(target, name) {
        if (typeof name !== 'string' || name in target) return Reflect.get(target, name);
        return (/** @type {unknown[]} */ ...args) => env.STORE.call(ctx.props, name, args);
      },
    });
  }

  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    const sent = new Request(request);
    sent.headers.set(BOUND_HEADER, toHeader(this.ctx.props));
    const response = await this.env.STORE.fetch(sent);
    const thrown = fromHeader(response.headers.get(THROWN_HEADER));
    if (thrown) throw Object.assign(new Error(thrown.message), thrown.properties);
    return response;
  }
}
