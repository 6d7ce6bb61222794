/**
 * How a process of Workers reaches the store's process: through a socket of the store, in the folder where both run. workerd's own bindings use HTTP
 * or RPC on it; a header that workerd adds to outgoing requests says which binding a request is for.
 */

import { BOUND_HEADER, toHeader } from './system/bound.js';

/** @import { Bound } from './system/bound.js' */

/** Any name; workerd uses it as the host when it begins RPC. */
const RPC_HOST = 'local-rpc';
const NAME_PREFIX = 'local:door:';

/** The socket's path, relative to the folder where workerd runs. */
export const DOOR_PATH = 'store/door.sock';

/**
 * The socket, as workerd.capnp's `Socket`.
 *
 * @param {string} service a service of the store's Worker
 */
export function doorSocket(service) {
  return {
    name: 'local:door',
    address: `unix:${DOOR_PATH}`,
    service: { name: service, entrypoint: 'Door' },
    http: { capnpConnectHost: RPC_HOST },
  };
}

/**
 * Returns the name of the service that leads to something in the store's process.
 *
 * @param {Bound | null} bound what is bound; null: each request says itself what it is for
 */
export function doorName(bound) {
  return NAME_PREFIX + (bound === null ? '' : toHeader(bound));
}

/**
 * Returns all services that lead to the store's process and are named in a binding, as `Service`s of workerd.capnp.
 *
 * @param {unknown} binding
 * @returns {object[]}
 */
export function doorServices(binding) {
  if (typeof binding !== 'object' || binding === null) return [];
  return Object.entries(binding).flatMap(([key, value]) => {
    const isDoor = key === 'name' && typeof value === 'string' && value.startsWith(NAME_PREFIX);
    return isDoor ? [doorService(value)] : doorServices(value);
  });
}

/** @param {string} name */
function doorService(name) {
  const value = name.slice(NAME_PREFIX.length);
  const injectRequestHeaders = value === '' ? [] : [{ name: BOUND_HEADER, value }];
  return { name, external: { address: `unix:${DOOR_PATH}`, http: { capnpConnectHost: RPC_HOST, injectRequestHeaders } } };
}
