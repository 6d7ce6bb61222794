/** Puts a task runner's Worker together from a store, an engine and a handler. */

import { handleRequest } from './api.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */
/** @import { Handler } from './task.js' */

/**
 * @typedef {object} Parts
 * @property {new (env: any) => Store} Store
 * @property {new (env: any, store: Store, handler: Handler) => Engine} Engine what new tasks are handed to
 * @property {Handler} handler
 * @property {new (env: any, store: Store, handler: Handler) => {consume(batch: MessageBatch<unknown>): Promise<void>}} [Consumer]
 *   what takes a queue's messages
 * @property {(store: Store, engine: Engine) => Promise<void>} [sweep] what the cron runs
 */

/**
 * @param {Parts} parts
 * @returns {ExportedHandler<any>} with the handlers that its parts need, and no others
 */
export function taskRunner({ Store, Engine, handler, Consumer, sweep }) {
  return {
    fetch(request, env) {
      const store = new Store(env);
      return handleRequest(/** @type {Request} */ (request), { store, engine: new Engine(env, store, handler) });
    },
    ...(Consumer && {
      queue(batch, env) {
        return new Consumer(env, new Store(env), handler).consume(batch);
      },
    }),
    ...(sweep && {
      scheduled(_controller, env) {
        const store = new Store(env);
        return sweep(store, new Engine(env, store, handler));
      },
    }),
  };
}
