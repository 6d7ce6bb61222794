/** Bindings in workerd's own words, for what products bind; and the names of Workers of ours. */

import { fileURLToPath } from 'node:url';

import { doorName } from './doors.js';
import { SERVICE_PREFIX } from './system/miniflare_internals.js';
import { PLUGIN_NAME } from './workerd_plugin.js';

/**
 * @import { MiniflareOptions } from 'miniflare'
 *
 * @typedef {MiniflareOptions['workers'][number]} WorkerOptions
 * @typedef {NonNullable<WorkerOptions['config']['env']>[string]} Env
 */

/** The Worker of the store's process: it holds the objects of all products. No Worker's name can hold a colon. */
export const STORE_WORKER = 'local:store';
/** The Worker that is in each process of Workers, by which the store and Node reach those beside it. */
export const HOST_WORKER = 'local:host';
/** The name of the Worker of a trial run. */
export const TRIAL_WORKER = 'trial';
/** In a trial, a class whose objects are never called. */
export const TRIAL_CLASS = 'StandIn';
const PLUGIN = { name: PLUGIN_NAME, package: fileURLToPath(new URL('./workerd_plugin.js', import.meta.url)) };

/**
 * @param {object} binding one of `Worker.Binding` in workerd.capnp
 * @param {{services?: object[], sockets?: object[]}} [more] that the process has, as `Service` and `Socket` are there
 */
export function workerdBinding(binding, { services = [], sockets = [] } = {}) {
  return /** @type {Env} */ ({ type: 'unsafe:workerd', dev: { plugin: PLUGIN, options: { binding, services, sockets } } });
}

/**
 * A binding that a module makes, inside the Worker, of a service.
 *
 * @param {string} moduleName
 * @param {string} name of the service, in that module's `env`
 * @param {object} service
 * @param {Record<string, unknown>} [values] more that is in that `env`
 */
export function wrappedBinding(moduleName, name, service, values = {}) {
  const others = Object.entries(values).map(([key, value]) => ({ name: key, json: JSON.stringify(value) }));
  return workerdBinding({ wrapped: { moduleName, innerBindings: [{ name, service }, ...others] } });
}

/**
 * An entrypoint of the store that workerd's own bindings send requests to, as workerd.capnp's `ServiceDesignator`. An
 * exception of it is an answer with the status 500.
 *
 * @param {string} entrypoint
 * @param {object} props what it finds in `ctx.props`
 */
export function storeService(entrypoint, props) {
  return { name: doorName({ entrypoint, props }) };
}

/**
 * The same for calls by RPC, or where an exception shall be one for the Worker: they take a step more.
 *
 * @param {string} entrypoint
 * @param {object} props what it finds in `ctx.props`
 */
export function storeCalls(entrypoint, props) {
  const json = JSON.stringify({ entrypoint, props });
  return { name: SERVICE_PREFIX + HOST_WORKER, entrypoint: 'StoreCalls', props: { json } };
}

/** The Worker of a trial run itself, as workerd.capnp's `ServiceDesignator`. */
export const TRIAL_SERVICE = { name: SERVICE_PREFIX + TRIAL_WORKER };
