/**
 * Routes requests by host name: every Worker's port accepts the names of all Workers, so that one port is enough. A host name is NAME.localhost for a
 * Worker, VERSION-NAME.localhost or ALIAS-NAME.localhost for the preview of a version, a custom domain, or one that a route matches.
 */

import { serviceName, targets } from './desired_state.js';

/**
 * @import { DesiredState, Target, Worker } from './desired_state.js'
 *
 * @typedef {{host: RegExp, path: RegExp, specificity: number[], targets: Target[] | null}} Route
 *   `path` is for path and query; `targets` is null where no Worker shall run
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
      .sort(mostSpecificFirst);
  }

  /**
   * Returns who answers a request; undefined: nobody has this host name, so that the port decides.
   *
   * @param {string} host
   * @param {string} url path and query
   * @returns {Target[] | undefined}
   */
  find(host, url) {
    const route = this.#routes.find((candidate) => candidate.host.test(host) && candidate.path.test(url));
    if (route?.targets) return route.targets;
    return this.#named.get(host) ?? (route || this.#isRouted(host) ? [] : undefined);
  }

  /**
   * Whether a host name is this computer's or a Worker's.
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
 * Returns the host name in a Host header, without its port.
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
 * Parses the pattern of a route: `*` is at the beginning of the host name or at the end of the path. The path is matched with its query; the scheme
 * is ignored, because there is no TLS here (https://developers.cloudflare.com/workers/configuration/routing/routes/#matching-behavior).
 *
 * @param {string} pattern
 */
function parsePattern(pattern) {
  const [, scheme = '', host = '', path = ''] = /^(https?:\/\/)?([^/]*)(\/.*)?$/i.exec(pattern) ?? [];
  return {
    host: wildcards(host.toLowerCase()),
    path: wildcards(path || '/'),
    specificity: [...specificity(host), ...specificity(path || '/'), scheme.length],
  };
}

/** @param {string} part a part of a pattern: one without a wildcard sorts before one with it, and a longer one before a shorter one */
function specificity(part) {
  return [Number(!part.includes('*')), part.length];
}

/**
 * The host name counts first, then the path.
 *
 * @param {Route} one
 * @param {Route} other
 */
function mostSpecificFirst(one, other) {
  const at = one.specificity.findIndex((value, index) => value !== other.specificity[index]);
  return (other.specificity[at] ?? 0) - (one.specificity[at] ?? 0);
}

/** @param {string} pattern */
function wildcards(pattern) {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}
