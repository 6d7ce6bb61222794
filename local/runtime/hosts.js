/**
 * Who answers by name: every Worker's port takes the names of all of them, so that one port is enough. A name is
 * NAME.localhost for a Worker, VERSION-NAME.localhost or ALIAS-NAME.localhost for the preview of a version, a custom
 * domain, or one that a route matches.
 */

import { serviceName, targets } from './desired_state.js';

/**
 * @import { DesiredState, Target, Worker } from './desired_state.js'
 *
 * @typedef {{host: RegExp, path: RegExp, hostIsExact: boolean, length: number, targets: Target[] | null}} Route
 *   `targets` is null where no Worker shall run
 */

const LOCAL_NAME = /(^|\.)localhost$/;
const LOOPBACK = /^127\.\d+\.\d+\.\d+$/;

export class Hosts {
  /** @type {Map<string, Target[]>} */
  #named = new Map();
  /** @type {Route[]} the most specific first */
  #routes = [];

  /** @param {Pick<DesiredState, 'workers' | 'domains' | 'routes'>} state */
  set({ workers, domains = [], routes = [] }) {
    const byName = new Map(workers.map((worker) => [worker.name, worker]));
    this.#named = new Map([
      ...workers.flatMap(ownNames),
      ...domains.map(({ hostname, worker }) => /** @type {const} */ ([hostname, targets(byName.get(worker))])),
    ]);
    this.#routes = routes
      .map(({ pattern, worker }) => ({ ...parsePattern(pattern), targets: worker === null ? null : targets(byName.get(worker)) }))
      .sort((one, other) => Number(other.hostIsExact) - Number(one.hostIsExact) || other.length - one.length);
  }

  /**
   * Who answers a request; undefined: nobody by this name, so that the port decides.
   *
   * @param {string} host
   * @param {string} url path and query
   * @returns {Target[] | undefined}
   */
  find(host, url) {
    const path = url.split('?', 1)[0] ?? '/';
    const route = this.#routes.find((candidate) => candidate.host.test(host) && candidate.path.test(path));
    if (route?.targets) return route.targets;
    return this.#named.get(host) ?? (route || this.#isRouted(host) ? [] : undefined);
  }

  /**
   * Whether a name is one of this machine's or of a Worker's.
   *
   * @param {string} host
   */
  knows(host) {
    return isLocal(host) || this.#named.has(host) || this.#isRouted(host);
  }

  /** @param {string} host */
  #isRouted(host) {
    return this.#routes.some((route) => route.host.test(host));
  }
}

/**
 * The name in a Host header, without its port.
 *
 * @param {string | undefined} header
 */
export function hostName(header) {
  const found = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec((header ?? '').trim().toLowerCase());
  return (found?.[1] ?? '').replace(/\.$/, '');
}

/** @param {string} host */
function isLocal(host) {
  return LOCAL_NAME.test(host) || LOOPBACK.test(host) || host === '[::1]';
}

/**
 * @param {Worker} worker
 * @returns {[string, Target[]][]}
 */
function ownNames(worker) {
  const previews = Object.entries(worker.preview_hosts ?? {});
  return [
    [`${worker.name}.localhost`, targets(worker)],
    ...previews.map(([host, id]) => /** @type {[string, Target[]]} */ ([host, [{ service: serviceName(worker.name, id), percentage: 100 }]])),
  ];
}

/**
 * A pattern of a route: `*` stands at the begin of the name or at the end of the path
 * (https://developers.cloudflare.com/workers/configuration/routing/routes/#matching-behavior).
 *
 * @param {string} pattern
 */
function parsePattern(pattern) {
  const [, host = '', path = ''] = /^(?:https?:\/\/)?([^/]*)(\/.*)?$/.exec(pattern) ?? [];
  return {
    host: wildcards(host.toLowerCase()),
    path: wildcards(path || '/'),
    hostIsExact: !host.includes('*'),
    length: pattern.length,
  };
}

/** @param {string} pattern */
function wildcards(pattern) {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}
