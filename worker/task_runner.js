/** Puts a task runner's Worker together from a store, an engine and handlers. */

import { handleRequest } from './api/router.js';
import { requireHandlers } from './handler.js';
import { Invocation } from './joint.js';
import { CONSUMER_PATIENCE_SECONDS, REQUEST_PATIENCE_SECONDS } from './stores/connection.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Handlers } from './handler.js' */
/** @import { Reading } from './stack_schedules.js' */
/** @import { Store } from './stores/store.js' */

/**
 * @typedef {object} Parts
 * @property {new (env: any, patience_seconds?: number, invocation?: Invocation) => Store} Store
 * @property {new (env: any, store: Store, handlers: Handlers, invocation?: Invocation) => Engine} Engine what new tasks are handed to
 * @property {Handlers} handlers
 * @property {new (env: any, store: Store, handlers: Handlers, invocation?: Invocation, Validator?: import('./api/request.js').ValidatorClass) => {consume(batch: MessageBatch<unknown>): Promise<void>}} [Consumer]
 *   what takes a queue's messages
 * @property {(store: Store, engine: Engine, reading: Reading) => Promise<void>} [sweep] what the cron runs
 * @property {import('./api/request.js').ValidatorClass} [Validator] of JSON Schema, where a handler has one
 */

/**
 * @param {Parts} parts
 * @returns {ExportedHandler<any>} with the handlers that its parts need, and no others
 * @throws {TypeError} a module of `handlers/` is none
 */
export function taskRunner({ Store, Engine, handlers, Consumer, sweep, Validator }) {
  requireHandlers(handlers);
  return {
    fetch(request, env, ctx) {
      const invocation = invocationOf(ctx);
      const store = new Store(env, REQUEST_PATIENCE_SECONDS, invocation);
      const engine = new Engine(env, store, handlers, invocation);
      return handleRequest(/** @type {Request} */ (request), env, { store, engine, handlers, Validator, invocation });
    },
    ...(Consumer && {
      queue(batch, env, ctx) {
        const invocation = invocationOf(ctx);
        return new Consumer(env, new Store(env, CONSUMER_PATIENCE_SECONDS, invocation), handlers, invocation, Validator).consume(batch);
      },
    }),
    ...(sweep && {
      scheduled(_controller, env, ctx) {
        const invocation = invocationOf(ctx);
        const store = new Store(env, REQUEST_PATIENCE_SECONDS, invocation);
        return sweep(store, new Engine(env, store, handlers, invocation), { env, handlers, Validator });
      },
    }),
  };
}

/** @param {ExecutionContext} [ctx] which who calls the task runner's functions in a test may leave out */
function invocationOf(ctx) {
  return new Invocation(ctx && ((work) => ctx.waitUntil(work)));
}
