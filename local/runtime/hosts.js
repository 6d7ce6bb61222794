/**
 * Who answers by name: every Worker's port takes the names of all of them, so that one port is enough. A name is
 * NAME.localhost for a Worker, VERSION-NAME.localhost or ALIAS-NAME.localhost for the preview of a version, a custom
 * domain, or one that a route matches.
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
   * Who answers a request; undefined: nobody by this name, so that the port decides.
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
 * A pattern of a route: `*` stands at the begin of the name or at the end of the path. The query is part of what the path
 * is matched with; the scheme is not looked at, for there is no TLS here
 * (https://developers.cloudflare.com/workers/configuration/routing/routes/#matching-behavior).
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

/** @param {string} part of a pattern: one without a wildcard before one with it, and the longer first */
function specificity(part) {
  return [Number(!part.includes('*')), part.length];
}

/**
 * The name counts first, then the path.
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
