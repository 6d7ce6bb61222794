/** Assembles a task runner's Worker from a store, an engine and handlers. */

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
 * @property {new (env: any, store: Store, handlers: Handlers, invocation?: Invocation) => Engine} Engine the class of the engine that new tasks are
 *   submitted to
 * @property {Handlers} handlers
 * @property {new (env: any, store: Store, handlers: Handlers, invocation?: Invocation, Validator?: import('./api/request.js').ValidatorClass) =>
 *   {consume(batch: MessageBatch<unknown>): Promise<void>}} [Consumer] the class that consumes a queue's messages
 * @property {(store: Store, engine: Engine, reading: Reading) => Promise<void>} [sweep] the function that the cron trigger runs
 * @property {import('./api/request.js').ValidatorClass} [Validator] the validator of JSON Schema, if a handler has a schema
 */

/**
 * @param {Parts} parts
 * @returns {ExportedHandler<any>} the Worker, with only those event handlers that its parts need
 * @throws {TypeError} a module of `handlers/` is not a handler
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

/** @param {ExecutionContext} [ctx] tests may leave it out */
function invocationOf(ctx) {
  return new Invocation(ctx && ((work) => ctx.waitUntil(work)));
}
