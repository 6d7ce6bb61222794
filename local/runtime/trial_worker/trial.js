/**
 * The main module of a trial run. It imports the upload at the first request, not at the start: workerd's clock does not advance during the start,
 * but does here. What is forbidden in the global scope is forbidden here too.
 */

import { DurableObject, WorkflowEntrypoint } from 'cloudflare:workers';

/** The events that Cloudflare lists as a Worker's handlers. */
const EVENTS = ['fetch', 'scheduled', 'queue', 'email', 'tail', 'tailStream', 'trace', 'connect', 'test'];

/** The target of the upload's bindings to classes. */
export class StandIn extends DurableObject {}

export default {
  /**
   * @param {Request} request
   * @param {object} env
   */
  async fetch(request, env) {
    const query = new URL(request.url).searchParams;
    const mainModule = query.get('main_module');
    const globals = query.get('globals');
    /** @type {Set<string>} */
    const heard = new Set();
    if (globals !== null) await likeServiceWorker(env, JSON.parse(globals), heard);
    const started = performance.now();
    try {
      const { default: main, ...named } = await import(`./${mainModule}`);
      const startup = performance.now() - started;
      return Response.json({
        startup_time_ms: Math.max(1, Math.round(startup)),
        handlers: globals === null ? handlers(main) : EVENTS.filter((event) => heard.has(event)),
        named_handlers: Object.entries(named).flatMap(namedHandlers),
        workflow_classes: Object.keys(named).filter((name) => named[name]?.prototype instanceof WorkflowEntrypoint),
      });
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : String(error), { status: 422 });
    }
  },
};

/**
 * Makes the global scope that a script in the service worker syntax expects, and records its event listeners.
 *
 * @param {object} env
 * @param {Record<string, string>} parts modules, by the names of the globals that they become
 * @param {Set<string>} heard
 */
async function likeServiceWorker(env, parts, heard) {
  const loaded = Object.entries(parts).map(async ([name, module]) => [name, (await import(`./${module}`)).default]);
  const listen = { addEventListener: (/** @type {string} */ event) => heard.add(event) };
  Object.assign(globalThis, env, Object.fromEntries(await Promise.all(loaded)), listen);
}

/** @param {any} exported an object with handlers, or an entrypoint class */
function handlers(exported) {
  const owner = typeof exported === 'function' ? exported.prototype : exported;
  return EVENTS.filter((event) => typeof owner?.[event] === 'function');
}

/** @param {[string, unknown]} named */
function namedHandlers([name, exported]) {
  if (typeof exported === 'function') return [{ name, handlers: ['class'] }];
  const found = handlers(exported);
  return found.length > 0 ? [{ name, handlers: found }] : [];
}
