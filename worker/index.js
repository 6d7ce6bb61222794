/** The task runner's Worker: the API (fetch), the consumer (queue) and the sweeper (scheduled). */

import { handleRequest } from './api.js';
import { QueueEngine } from './engines/queue.js';
import fingerprint from './handlers/default.js';
import { D1Store } from './stores/d1.js';
import { sweep } from './sweeper.js';

/** @import { TaskMessage } from './engines/queue.js' */

/** @typedef {{DB: D1Database, TASK_QUEUE: Queue<TaskMessage>, MAX_RETRIES: string}} Env */

/** @param {Env} env */
function assemble(env) {
  const store = new D1Store(env);
  return { store, engine: new QueueEngine(env, store, fingerprint) };
}

export default {
  /**
   * @param {Request} request
   * @param {Env} env
   */
  fetch(request, env) {
    return handleRequest(request, assemble(env));
  },

  /**
   * @param {MessageBatch<unknown>} batch
   * @param {Env} env
   */
  queue(batch, env) {
    return assemble(env).engine.consume(batch);
  },

  /**
   * @param {ScheduledController} _controller
   * @param {Env} env
   */
  scheduled(_controller, env) {
    const { store, engine } = assemble(env);
    return sweep(store, engine);
  },
};
