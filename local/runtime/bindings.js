/** Bindings in workerd's own words, for what products bind; and the system Worker's name. */

import { fileURLToPath } from 'node:url';

import { PLUGIN_NAME } from './workerd_plugin.js';

/**
 * @import { MiniflareOptions } from 'miniflare'
 *
 * @typedef {MiniflareOptions['workers'][number]} WorkerOptions
 * @typedef {NonNullable<WorkerOptions['config']['env']>[string]} Env
 */

/** No Worker's name can hold a colon. */
export const SYSTEM_WORKER = 'local:system';
/** The name of the Worker of a trial run. */
export const TRIAL_WORKER = 'trial';
/** In a trial, a class whose objects are never called. */
export const TRIAL_CLASS = 'StandIn';
const PLUGIN = { name: PLUGIN_NAME, package: fileURLToPath(new URL('./workerd_plugin.js', import.meta.url)) };

/** @param {object} options one of `Worker.Binding` in workerd.capnp */
export function workerdBinding(options) {
  return /** @type {Env} */ ({ type: 'unsafe:workerd', dev: { plugin: PLUGIN, options } });
}

/**
 * A binding that a module makes, inside the Worker, of a service.
 *
 * @param {string} moduleName
 * @param {string} name of the service, in that module's `env`
 * @param {object} service
 */
export function wrappedBinding(moduleName, name, service) {
  return workerdBinding({ wrapped: { moduleName, innerBindings: [{ name, service }] } });
}

/**
 * A service of the system Worker, as workerd.capnp's `ServiceDesignator`.
 *
 * @param {string} entrypoint
 * @param {object} props what it finds in `ctx.props`
 */
export function systemEntrypoint(entrypoint, props) {
  return { name: `core:user:${SYSTEM_WORKER}`, entrypoint, props: { json: JSON.stringify(props) } };
}

/** The Worker of a trial run itself, as workerd.capnp's `ServiceDesignator`. */
export const TRIAL_SERVICE = { name: `core:user:${TRIAL_WORKER}` };
