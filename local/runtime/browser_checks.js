/**
 * Refuses what a page on another site could do with a browser on this computer: make its own host name lead to a Worker's port (DNS rebinding), or
 * send writing requests. A Worker under development often has no access control of its own.
 */

import { hostName } from './hosts.js';

/** @import { IncomingMessage } from 'node:http' */

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);
const HOW_TO_ALLOW = 'Start the local Cloudflare with --no-browser-checks to allow it.\n';

/**
 * Returns why a request is refused; null: it is not.
 *
 * @param {IncomingMessage} request
 * @param {(host: string) => boolean} isKnown whether a host is this computer, or a domain of a Worker
 * @returns {string | null}
 */
export function browserRefusal({ headers, method = '' }, isKnown) {
  const host = hostName(headers.host);
  if (host !== '' && !isKnown(host)) {
    return `Host ${host} is neither a name of this machine nor a domain or route of a Worker. ${HOW_TO_ALLOW}`;
  }
  const writes = !READS.has(method) || headers.upgrade !== undefined;
  // A browser never adds Authorization by itself: whoever did knows a secret.
  if (!writes || headers.authorization !== undefined || !isCrossSite(headers, isKnown)) return null;
  return `A page on another site (${headers.origin ?? 'unknown'}) must not write here. ${HOW_TO_ALLOW}`;
}

/**
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {(host: string) => boolean} isKnown
 */
function isCrossSite({ 'sec-fetch-site': site, origin }, isKnown) {
  if (origin !== undefined && origin !== 'null' && isKnown(originHost(origin))) return false;
  if (site !== undefined) return site === 'cross-site';
  return origin !== undefined;
}

/** @param {string} origin */
function originHost(origin) {
  return URL.canParse(origin) ? hostName(new URL(origin).host) : '';
}
