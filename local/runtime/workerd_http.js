/** HTTP to workerd's sockets, which are gone for a moment whenever workerd restarts. */

import { once } from 'node:events';
import { Agent, request } from 'node:http';

import { PlatformError } from './errors.js';

/** @import { ClientRequest, RequestOptions } from 'node:http' */

/**
 * The most bytes of headers in a request or an answer: Cloudflare accepts 128 KB of headers each way, and a URL of 16 KB
 * (https://developers.cloudflare.com/workers/platform/limits/#request-and-response-limits). Node counts both.
 */
export const MAX_HEADER_BYTES = (128 + 16) * 1024;

/** workerd closes an idle connection after 5 s; ours are closed earlier, so that none is used while workerd closes it. */
const IDLE_CONNECTION_MS = 2_000;
/** How long to wait for a workerd that is starting, and how often to check. */
const PATIENCE_MS = 10_000;
const POLL_MS = 50;

/**
 * workerd closes a connection when a Worker has answered without reading a long request. The answer is valid all the same, so a failed write is not
 * an error here; if the connection breaks without an answer, the reader gets an error.
 */
class ForgivingAgent extends Agent {
  /**
   * @override
   * @param {import('node:http').ClientRequestArgs} options
   * @param {(error: Error | null, stream: import('node:stream').Duplex) => void} [done]
   */
  createConnection(options, done) {
    const socket = /** @type {import('node:stream').Duplex} */ (super.createConnection(options, done));
    const { _write: write, _writev: writev } = socket;
    socket._write = (chunk, encoding, written) => write.call(socket, chunk, encoding, () => written());
    socket._writev = writev && ((chunks, written) => writev.call(socket, chunks, () => written()));
    return socket;
  }
}

const agent = new ForgivingAgent({ keepAlive: true, timeout: IDLE_CONNECTION_MS });

/**
 * Begins a request as soon as the socket is open. The caller listens to its events and ends it. Throws an `internal` error if workerd does not come
 * back.
 *
 * @param {() => Promise<URL>} locate returns the socket's present address
 * @param {RequestOptions} options
 * @returns {Promise<ClientRequest>}
 */
export async function beginRequest(locate, options) {
  const deadline = Date.now() + PATIENCE_MS;
  do {
    const { hostname, port } = await locate();
    const sent = request({ agent, maxHeaderSize: MAX_HEADER_BYTES, ...options, hostname, port });
    sent.on('error', () => {}); // a refused connection is handled below
    if (await isConnected(sent)) return sent;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  } while (Date.now() < deadline);
  throw new PlatformError('internal', `the Workers runtime did not start again within ${PATIENCE_MS} ms`);
}

/** @param {ClientRequest} sent */
async function isConnected(sent) {
  try {
    const [socket] = await once(sent, 'socket');
    if (socket.connecting) await once(socket, 'connect');
    return true;
  } catch {
    return false;
  }
}
