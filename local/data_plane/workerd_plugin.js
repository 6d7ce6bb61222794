/**
 * A Miniflare plugin for bindings in workerd's own configuration language (workerd.capnp), where Miniflare has no
 * option: `{type: 'unsafe:workerd', dev: {plugin: {name: 'workerd', package: <this file>}, options: {<kind>: {...}}}}`.
 */

export const PLUGIN_NAME = 'workerd';

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
  },
};
