/** A server on this machine that the `http` handler delivers to. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** @typedef {{method: string, url: string, headers: import('node:http').IncomingHttpHeaders, body: string, closed: Promise<void>}} Received */

export async function startTarget() {
  /** @type {Received[]} */
  const received = [];
  const server = createServer(async (request, response) => {
    const closed = once(response, 'close').then(() => {});
    const body = (await buffer(request)).toString('latin1');
    received.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body, closed });
    answer(request.url ?? '', response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref(); // the tests end even where a suite could not start, and so does not stop it
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    host: `127.0.0.1:${port}`,
    received,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * @param {string} url `/status/503` answers so, `/later/503/120` with that Retry-After
 * @param {import('node:http').ServerResponse} response
 */
function answer(url, response) {
  const [, what = '', detail, ...rest] = url.split('/');
  switch (what) {
    case 'status':
      response.writeHead(Number(detail), { 'Content-Type': 'text/plain', Location: '/elsewhere' });
      return response.end(`it is ${detail} `.repeat(100));
    case 'later':
      response.writeHead(Number(detail), { 'Retry-After': decodeURIComponent(rest.join('/')) });
      return response.end();
    case 'silent':
      return undefined;
    case 'drip':
      response.writeHead(200);
      return response.write('beginning');
    case 'endless':
      response.writeHead(200, { 'Content-Type': 'text/plain' });
      return fill(response);
    case 'bytes':
      response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
      return response.end(Buffer.alloc(64 * 1024, Number(detail)));
    case 'cut':
      return response.end('€'.repeat(30_000));
    case 'empty':
      response.writeHead(204);
      return response.end();
    default:
      response.writeHead(200, { 'Content-Type': 'application/json' });
      return response.end('{"taken":true}');
  }
}

/** @param {import('node:http').ServerResponse} response */
function fill(response) {
  while (!response.destroyed && response.write('x'.repeat(65_536)));
  if (!response.destroyed) response.once('drain', () => fill(response));
}
