/**
 * A Miniflare plugin for bindings in workerd's own configuration language (workerd.capnp), where Miniflare has no
 * option: `{type: 'unsafe:workerd', dev: {plugin: {name: 'workerd', package: <this file>}, options: {<kind>: {...}}}}`.
 */

export const PLUGIN_NAME = 'workerd';

/** A wrapped binding that is nothing but the service in it: Miniflare takes no notice of that, and changes nothing. */
const SERVICE_MODULE = {
  name: 'local:service',
  esModule: 'export default ({ service }) => service;',
  internal: true,
};

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
    getExtensions: () => [{ modules: [SERVICE_MODULE] }],
  },
};
