/**
 * A Miniflare plugin for bindings in workerd's own configuration language (workerd.capnp), where Miniflare has no
 * option: `{type: 'unsafe:workerd', dev: {plugin: {name: 'workerd', package: <this file>}, options: {<kind>: {...}}}}`.
 */

import { readFileSync } from 'node:fs';

export const PLUGIN_NAME = 'workerd';

/** A wrapped binding that is nothing but the service in it: Miniflare takes no notice of that, and changes nothing. */
const SERVICE_MODULE = {
  name: 'local:service',
  esModule: 'export default ({ service }) => service;',
  internal: true,
};

/** A wrapped binding to a namespace of Durable Objects whose calls can be made to fail. */
const OBJECT_NAMESPACE_MODULE = {
  name: 'local:object-namespace',
  esModule: readFileSync(new URL('../products/durable_objects/runtime/namespace_binding.js', import.meta.url), 'utf8'),
  internal: true,
};

/**
 * @param {{className: string, serviceName: string}} durableObjectNamespace as workerd names them
 * @param {object} draws the service that is asked for faults, as workerd.capnp's `ServiceDesignator`
 */
export function objectNamespaceBinding(durableObjectNamespace, draws) {
  const innerBindings = [
    { name: 'namespace', durableObjectNamespace },
    { name: 'draws', service: draws },
  ];
  return { wrapped: { moduleName: OBJECT_NAMESPACE_MODULE.name, innerBindings } };
}

/**
 * A binding to a Worker's own code, past the router that Miniflare puts before one with assets.
 *
 * @param {string} service as workerd names it
 */
export function codeBinding(service) {
  return { wrapped: { moduleName: SERVICE_MODULE.name, innerBindings: [{ name: 'service', service: { name: service } }] } };
}

export const plugins = {
  [PLUGIN_NAME]: {
    /** @param {{config: {env?: Record<string, any>}}} worker */
    getBindings({ config }) {
      return Object.entries(config.env ?? {})
        .filter(([, binding]) => binding.dev?.plugin?.name === PLUGIN_NAME)
        .map(([name, binding]) => ({ name, ...binding.dev.options }));
    },
    getNodeBindings: () => ({}),
    getServices: () => [],
    getExtensions: () => [{ modules: [SERVICE_MODULE, OBJECT_NAMESPACE_MODULE] }],
  },
};
