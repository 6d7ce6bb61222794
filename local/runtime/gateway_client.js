/** A client of the gateway in a process: the store's, or the host Worker's in a process of Workers. */

import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';

import { PlatformError } from './errors.js';
import { beginRequest } from './workerd_http.js';

/**
 * @import { IncomingMessage, ServerResponse } from 'node:http'
 * @import { ErrorKind } from './errors.js'
 */

export class GatewayClient {
  #token;
  #locate;

  /**
   * @param {string} token
   * @param {() => Promise<URL>} locate returns the gateway's present address
   */
  constructor(token, locate) {
    this.#token = token;
    this.#locate = locate;
  }

  /**
   * @param {string} path
   * @param {object} body
   * @returns {Promise<any>}
   */
  async call(path, body) {
    const text = JSON.stringify(body);
    const headers = {
      Authorization: `Bearer ${this.#token}`,
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
    };
    const sent = await beginRequest(this.#locate, { method: 'POST', path, headers });
    sent.end(text);
    const [response] = /** @type {[IncomingMessage]} */ (await once(sent, 'response'));
    if (response.statusCode !== 200) throw await refusal(response);
    return json(response);
  }

  /**
   * Passes a request and its answer on unchanged, as bytes of any length.
   *
   * @param {string} path
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   */
  async pass(path, request, response) {
    const headers = { ...request.headers, authorization: `Bearer ${this.#token}` };
    const sent = await beginRequest(this.#locate, { method: request.method, path, headers });
    const [[answer]] = await Promise.all([
      /** @type {Promise<[IncomingMessage]>} */ (once(sent, 'response')),
      pipeline(request, sent),
    ]);
    if (answer.statusCode !== 200) throw await refusal(answer);
    response.writeHead(answer.statusCode, answer.headers);
    await pipeline(answer, response);
  }
}

/** @param {IncomingMessage} response */
async function json(response) {
  return JSON.parse(Buffer.concat(await response.toArray()).toString());
}

/** @param {IncomingMessage} response */
async function refusal(response) {
  /** @type {{error: {kind: ErrorKind, message: string}}} */
  const { error } = await json(response);
  return new PlatformError(error.kind, error.message);
}

/** @param {string[]} names kind, id and method */
export function objectPath(...names) {
  return `/objects/${names.map(encodeURIComponent).join('/')}`;
}
