/** The hosts that a handler may send requests to: those of the setting `http_allowed_hosts`, and no others. */

const DEFAULT_PORTS = /** @type {Record<string, string>} */ ({ 'http:': '80', 'https:': '443' });

/**
 * @param {URL} url
 * @param {string | undefined} hosts separated by spaces: `host` on its scheme's default port, `host:port`, and
 *   `*.example.com` for what ends so, which `example.com` itself does not
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
