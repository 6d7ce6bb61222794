/** Bindings in workerd's own format, for products; and the names of our own Workers. */

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

/** The Worker of the store's process: it has the objects of all products. A Worker's name cannot contain a colon. */
export const STORE_WORKER = 'local:store';
/** The Worker in each process of Workers through which the store and Node reach the others there. */
export const HOST_WORKER = 'local:host';
/** The name of the Worker in a trial run. */
export const TRIAL_WORKER = 'trial';
/** A class for trials, whose objects are never called. */
export const TRIAL_CLASS = 'StandIn';
const PLUGIN = { name: PLUGIN_NAME, package: fileURLToPath(new URL('./workerd_plugin.js', import.meta.url)) };

/**
 * @param {object} binding a `Worker.Binding` of workerd.capnp
 * @param {{services?: object[], sockets?: object[]}} [more] further `Service`s and `Socket`s of the process
 */
export function workerdBinding(binding, { services = [], sockets = [] } = {}) {
  return /** @type {Env} */ ({ type: 'unsafe:workerd', dev: { plugin: PLUGIN, options: { binding, services, sockets } } });
}

/**
 * Returns a binding that a module makes of a service, inside of the Worker.
 *
 * @param {string} moduleName
 * @param {string} name the name of the service in that module's `env`
 * @param {object} service
 * @param {Record<string, unknown>} [values] further values of that `env`
 */
export function wrappedBinding(moduleName, name, service, values = {}) {
  const others = Object.entries(values).map(([key, value]) => ({ name: key, json: JSON.stringify(value) }));
  return workerdBinding({ wrapped: { moduleName, innerBindings: [{ name, service }, ...others] } });
}

/**
 * Returns the `ServiceDesignator` (workerd.capnp) of an entrypoint of the store to which workerd's own bindings send requests. If the entrypoint
 * throws, the answer has the status 500.
 *
 * @param {string} entrypoint
 * @param {object} props the value of its `ctx.props`
 */
export function storeService(entrypoint, props) {
  return { name: doorName({ entrypoint, props }) };
}

/**
 * The same for calls by RPC, or if the Worker is to get an exception as an exception: that takes one more step.
 *
 * @param {string} entrypoint
 * @param {object} props the value of its `ctx.props`
 */
export function storeCalls(entrypoint, props) {
  const json = JSON.stringify({ entrypoint, props });
  return { name: SERVICE_PREFIX + HOST_WORKER, entrypoint: 'StoreCalls', props: { json } };
}

/** The Worker of a trial run itself, as a `ServiceDesignator` of workerd.capnp. */
export const TRIAL_SERVICE = { name: SERVICE_PREFIX + TRIAL_WORKER };
