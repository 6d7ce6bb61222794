/**
 * A Miniflare plugin for features without a Miniflare option, in workerd's own configuration language (workerd.capnp): `{type: 'unsafe:workerd', dev:
 * {plugin: {name: 'workerd', package: <this file>}, options: {binding, services, sockets}}}` in a Worker's environment. Services that lead to the
 * store's process come with the bindings that name them.
 */

import { readFileSync } from 'node:fs';

import { doorServices } from './doors.js';
import { RATE_LIMIT_WRAPPER_FILE } from './system/miniflare_internals.js';

/** @typedef {{binding: object, services: object[], sockets: object[]}} WorkerdOptions a binding, and more of the whole process */

export const PLUGIN_NAME = 'workerd';

/** Miniflare's module that makes a rate limit from a service. */
const RATE_LIMIT_MODULE = {
  name: 'local:rate-limit',
  esModule: readFileSync(new URL(RATE_LIMIT_WRAPPER_FILE, packageFolder('miniflare')), 'utf8'),
  internal: true,
};
export const RATE_LIMIT_WRAPPER = RATE_LIMIT_MODULE.name;

/** A wrapped binding that returns the service in it: Miniflare does not recognise it, and changes nothing. */
const SERVICE_MODULE = {
  name: 'local:service',
  esModule: 'export default ({ service }) => service;',
  internal: true,
};

/** A wrapped binding to a Durable Object namespace whose calls can be made to fail. */
const OBJECT_NAMESPACE_MODULE = {
  name: 'local:object-namespace',
  esModule: readFileSync(new URL('../products/durable_objects/runtime/namespace_binding.js', import.meta.url), 'utf8'),
  internal: true,
};

/**
 * @param {{className: string, serviceName: string}} durableObjectNamespace in workerd's form
 * @param {object} draws the service that decides about faults, as a `ServiceDesignator` of workerd.capnp
 */
export function objectNamespaceBinding(durableObjectNamespace, draws) {
  const innerBindings = [
    { name: 'namespace', durableObjectNamespace },
    { name: 'draws', service: draws },
  ];
  return { wrapped: { moduleName: OBJECT_NAMESPACE_MODULE.name, innerBindings } };
}

/**
 * Returns a binding to a Worker's own code, past the router that Miniflare adds to a Worker with assets.
 *
 * @param {string} service in workerd's form
 */
export function codeBinding(service) {
  return { wrapped: { moduleName: SERVICE_MODULE.name, innerBindings: [{ name: 'service', service: { name: service } }] } };
}

/**
 * @param {{config: {env?: Record<string, any>}}} worker
 * @returns {[string, WorkerdOptions][]}
 */
function wanted({ config }) {
  return Object.entries(config.env ?? {})
    .filter(([, binding]) => binding.dev?.plugin?.name === PLUGIN_NAME)
    .map(([name, binding]) => [name, binding.dev.options]);
}

export const plugins = {
  [PLUGIN_NAME]: {
    /** @param {Parameters<typeof wanted>[0]} worker */
    getBindings: (worker) => wanted(worker).map(([name, { binding }]) => ({ name, ...binding })),
    getNodeBindings: () => ({}),
    /** @param {{options: Parameters<typeof wanted>[0]}} worker */
    getServices: ({ options }) => ({
      services: wanted(options).flatMap(([, { binding, services }]) => [...services, ...doorServices(binding)]),
      sockets: wanted(options).flatMap(([, { sockets }]) => sockets),
      extensions: [],
    }),
    getExtensions: () => [{ modules: [SERVICE_MODULE, OBJECT_NAMESPACE_MODULE, RATE_LIMIT_MODULE] }],
  },
};

/** @param {string} name the name of an installed package */
function packageFolder(name) {
  const entry = import.meta.resolve(name);
  return entry.slice(0, entry.lastIndexOf(`/${name}/`) + name.length + 2);
}
