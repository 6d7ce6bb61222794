/** The request that the handler `http` is to send, read from its parameters. */

import { MAX_TIMEOUT_SECONDS, PermanentError } from '../handler.js';
import { isAllowed } from './_allowed_hosts.js';

/** @import { Parameters } from '../task.js' */

/**
 * @typedef {object} Delivery
 * @property {URL} url
 * @property {string} method
 * @property {Headers} headers
 * @property {string[]} expected statuses such as `200`, and classes of statuses such as `2xx`
 * @property {number} timeout_seconds
 */

/** Methods that send the payload, and those whose requests have no content (https://www.rfc-editor.org/rfc/rfc9110#section-9.3). */
const METHODS_WITH_BODY = ['POST', 'PUT', 'PATCH'];
const METHODS_WITHOUT_BODY = ['GET', 'HEAD', 'DELETE'];

const DEFAULT_TIMEOUT_SECONDS = 30;

/** The longest parameter, in characters: shorter than a request's URL may be (16 KB,
 * https://developers.cloudflare.com/workers/platform/limits/#request-and-response-limits). */
const MAX_PARAMETER_LENGTH = 8_192;

/** How much of a value an error repeats. */
const QUOTED_LENGTH = 50;

/** A header's name and value (https://www.rfc-editor.org/rfc/rfc9110#section-5). */
const HEADER = /^([!#$%&'*+.^_`|~0-9a-z-]+):[ \t]*([\t\x20-\x7e]*)$/i;

/** Headers that are set by the connection, by Cloudflare or by this handler. */
const RESERVED_HEADER = new RegExp(`^(?:${[
  'connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-.*',
  'cdn-loop', 'cf-.*', 'forwarded', 'true-client-ip', 'via', 'x-forwarded-.*', 'x-real-ip',
  'idempotency-key', 'task-attempt', 'task-id',
].join('|')})$`, 'i');

const STATUS = /^[2-5](?:\d\d|xx)$/;

/**
 * @param {Parameters} parameters
 * @param {Readonly<Record<string, any>>} bindings
 * @returns {Delivery}
 * @throws {PermanentError} a parameter is invalid; the message says what was expected
 */
export function readDelivery({ url, method = 'POST', header = '', expected_status = '2xx', timeout_seconds }, bindings) {
  return {
    url: readUrl(url, bindings['HTTP_ALLOWED_HOSTS']),
    method: readMethod(method),
    headers: readHeaders(header),
    expected: readStatuses(expected_status),
    timeout_seconds: timeout_seconds === undefined ? DEFAULT_TIMEOUT_SECONDS : readTimeout(timeout_seconds),
  };
}

/** @param {string} method */
export function hasBody(method) {
  return METHODS_WITH_BODY.includes(method);
}

/**
 * @param {string | undefined} text the URL. It may contain secrets: errors only repeat its host
 * @param {string | undefined} allowedHosts
 * @param {string} [name] the name of the parameter
 * @throws {PermanentError}
 */
export function readUrl(text, allowedHosts, name = 'url') {
  if (!text) throw new PermanentError(`expected ${name}, where to deliver to, got none`);
  requireLength(name, text);
  const url = URL.parse(text);
  if (!url) throw new PermanentError(`expected ${name} to be a URL such as https://api.example/orders, got another text`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new PermanentError(`expected ${name} to be http or https, got ${quoted(url.protocol)}`);
  if (url.username || url.password) throw new PermanentError(`expected ${name} without a user and a password, got one with them: ${name === 'url' ? 'send a header' : 'callbacks are signed'}`);
  if (!isAllowed(url, allowedHosts)) {
    throw new PermanentError(`expected ${name} to name a host that may be delivered to, got ${quoted(url.host)}: the setting http_allowed_hosts says which may`);
  }
  return url;
}

/** @param {string} text */
function readMethod(text) {
  const method = text.toUpperCase();
  const known = [...METHODS_WITH_BODY, ...METHODS_WITHOUT_BODY];
  if (!known.includes(method)) throw new PermanentError(`expected method to be one of ${known.join(', ')}, got ${quoted(text)}`);
  return method;
}

/** @param {string} text one header on each line; errors repeat no values */
function readHeaders(text) {
  requireLength('header', text);
  const headers = new Headers();
  for (const line of text.split(/\r?\n/).filter(Boolean)) {
    const [, name, value = ''] = HEADER.exec(line) ?? [];
    if (!name) throw new PermanentError('expected header to be lines of the form `Name: value` in ASCII, got another one');
    if (RESERVED_HEADER.test(name)) throw new PermanentError(`expected header to be one that may be chosen, got ${quoted(name)}`);
    if (headers.has(name)) throw new PermanentError(`expected each header once, got ${quoted(name)} again`);
    headers.set(name, value);
  }
  return headers;
}

/** @param {string} text */
function readStatuses(text) {
  const statuses = text.toLowerCase().split(',').map((status) => status.trim());
  if (statuses.every((status) => STATUS.test(status))) return statuses;
  throw new PermanentError(`expected expected_status to be statuses such as 200,202,3xx, got ${quoted(text)}`);
}

/** @param {string} text */
function readTimeout(text) {
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (seconds >= 1 && seconds <= MAX_TIMEOUT_SECONDS) return seconds;
  throw new PermanentError(`expected timeout_seconds to be a whole number from 1 to ${MAX_TIMEOUT_SECONDS}, got ${quoted(text)}`);
}

/**
 * @param {string} name
 * @param {string} text
 */
function requireLength(name, text) {
  if (text.length > MAX_PARAMETER_LENGTH) {
    throw new PermanentError(`expected ${name} to have at most ${MAX_PARAMETER_LENGTH} characters, got ${text.length}`);
  }
}

/** @param {string} text */
function quoted(text) {
  return JSON.stringify(text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text);
}
