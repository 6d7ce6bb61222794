/**
 * How a Worker's process reaches the store's process: by a socket of the store, in the folder where both run. workerd's own
 * bindings speak HTTP or RPC to it; a header that workerd adds on the way out says what a request is for.
 */

import { BOUND_HEADER, toHeader } from './system/bound.js';

/** @import { Bound } from './system/bound.js' */

/** Any name; workerd asks for a host by it to begin RPC. */
const RPC_HOST = 'local-rpc';
const NAME_PREFIX = 'local:door:';

/** The socket's path, in the folder where workerd runs. */
export const DOOR_PATH = 'store/door.sock';

/**
 * The socket, as workerd.capnp's `Socket`.
 *
 * @param {string} service of the store's Worker
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
 * The name of the service that leads to something in the store's process.
 *
 * @param {Bound | null} bound null: each request says itself what it is for
 */
export function doorName(bound) {
  return NAME_PREFIX + (bound === null ? '' : toHeader(bound));
}

/**
 * All services that lead to the store's process and are named in a binding, as workerd.capnp's `Service`.
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
