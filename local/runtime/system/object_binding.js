/** The store's end of bindings to Miniflare's objects that need no code of ours: it passes on what workerd sends. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { namedObject } from './miniflare_internals.js';

/**
 * @typedef {Record<string, DurableObjectNamespace>} Env
 * @typedef {{namespace: string, name: string}} Props the store's name for the namespace, and the object's own
 */

/** @extends {WorkerEntrypoint<Env, Props>} */
export class ObjectBinding extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  fetch(request) {
    const { namespace, name } = this.ctx.props;
    const objects = this.env[namespace];
    if (!objects) throw new Error(`the store has no objects ${namespace}`);
    return objects.getByName(name).fetch(request, { cf: namedObject(name) });
  }
}
