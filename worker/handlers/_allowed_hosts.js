/** The hosts to which a handler may send requests: only those of the setting `http_allowed_hosts`. */

const DEFAULT_PORTS = /** @type {Record<string, string>} */ ({ 'http:': '80', 'https:': '443' });

/**
 * @param {URL} url
 * @param {string | undefined} hosts separated by spaces: `host` on its scheme's default port, `host:port`, and `*.example.com` for its subdomains,
 *   but not for `example.com` itself
 */
export function isAllowed(url, hosts = '') {
  return hosts.toLowerCase().split(' ').filter(Boolean).some((host) => matches(url, host));
}

/**
 * @param {URL} url
 * @param {string} allowed
 */
function matches({ protocol, hostname, port }, allowed) {
  const [, name = '', allowedPort = DEFAULT_PORTS[protocol]] = /^(.*?)(?::(\d+))?$/.exec(allowed) ?? [];
  const isNamed = name.startsWith('*.') ? hostname.endsWith(name.slice(1)) : hostname === name;
  return isNamed && (port || DEFAULT_PORTS[protocol]) === allowedPort;
}
