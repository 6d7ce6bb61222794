/** Cloudflare's REST API of one dead-letter queue, over real HTTP, which fails when a test says so. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

export const ACCOUNT_ID = '0123456789abcdef0123456789abcdef';
export const QUEUE_ID = 'fedcba9876543210fedcba9876543210';
export const TOKEN = 'a-token-of-cloudflare-which-opens-no-account';

/** @typedef {{id: string, body: string, content_type: string, attempts: number, lease_id: string | null, sent_ms: number}} FakeLetter `body` as the API tells it */

/** What becomes of requests from one on, counted from 0: `lost`: that one is not heard; `away`: nothing is heard from there on; `cut`: that one is done, its answer is
 * lost, and nothing is heard after it; or each gets a status. @typedef {{from: number, kind: 'lost' | 'away' | 'cut' | number}} Fault */

export class FakeDeadLetterApi {
  /** @type {FakeLetter[]} the oldest first */
  letters = [];
  /** Method and path of each request since `forget`. @type {string[]} */
  requests = [];
  /** @type {Fault | null} */
  fault = null;
  max_retries = 100;
  /** Most letters that a look shows. */
  shown = 100;
  /** How many pulls are answered with nothing, though there are letters. */
  emptyPulls = 0;
  /** Whether pulls give the newest first: a queue promises no order. */
  isReversed = false;
  #ids = 0;
  #leases = 0;
  #server = createServer((request, response) => void this.#answer(request, response));
  url = '';

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#server.unref();
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    this.url = `http://127.0.0.1:${port}/client/v4`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Begins anew, with no letters. */
  reset() {
    Object.assign(this, { letters: [], requests: [], fault: null, max_retries: 100, shown: 100, emptyPulls: 0, isReversed: false });
  }

  /**
   * @param {unknown} body a text is a message of text; else its JSON is one
   * @param {Partial<FakeLetter>} [more]
   * @returns {string} its id
   */
  bury(body, more = {}) {
    const id = `letter-${this.#ids++}`;
    const content = typeof body === 'string' ? { body, content_type: 'text' } : { body: btoa(JSON.stringify(body)), content_type: 'json' };
    this.letters.push({ id, attempts: 0, lease_id: null, sent_ms: Date.parse('2026-11-30T09:00:00Z'), ...content, ...more });
    return id;
  }

  /** Lets all leases end. What has spent its attempts is dropped then. */
  endLeases() {
    this.#retry(this.letters.filter(({ lease_id }) => lease_id !== null));
  }

  /** @param {FakeLetter[]} leased */
  #retry(leased) {
    for (const letter of leased) letter.lease_id = null;
    this.letters = this.letters.filter((letter) => !leased.includes(letter) || letter.attempts <= this.max_retries);
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async #answer(request, response) {
    const body = JSON.parse(await text(request) || 'null');
    const path = String(request.url).replace(/^.*\/queues\/[^/]+/, '');
    if (path.endsWith('/send')) { // the Worker's binding, which is no request of the API
      for (const { contentType, body: content } of body) this.bury('', { body: content, content_type: contentType });
      return response.end('{}');
    }
    const number = this.requests.push(`${request.method} ${path}`) - 1;
    const { from = Infinity, kind = 'lost' } = this.fault ?? {};
    const isFaulty = kind === 'lost' ? number === from : number >= from;
    const isCut = kind === 'cut' && number === from;
    if (isFaulty && typeof kind === 'string' && !isCut) return request.socket.destroy();
    if (isFaulty && typeof kind === 'number') return say(response, kind, null, [[10_000, 'Authentication error']], { 'Retry-After': '7' });
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return say(response, 401, null, [[10_000, 'Authentication error']]);
    if (!String(request.url).includes(`/accounts/${ACCOUNT_ID}/queues/${QUEUE_ID}/`)) return say(response, 404, null, [[10_104, 'Queue does not exist']]);
    const result = this.#route(`${request.method} ${path}`, body);
    if (isCut) return request.socket.destroy();
    return result === undefined ? say(response, 404, null, [[7_000, 'No route for that URI']]) : say(response, 200, result, []);
  }

  /** @param {string} operation @param {any} body */
  #route(operation, body) {
    switch (operation) {
      case 'GET /metrics': return { backlog_count: this.letters.length };
      case 'GET /consumers': return [{ type: 'http_pull', settings: { max_retries: this.max_retries } }];
      case 'POST /messages/peek': return { messages: this.letters.slice(0, Math.min(this.shown, body.batch_size)).map(told) };
      case 'POST /messages/pull': return { messages: this.#pull(body.batch_size).map((letter) => ({ ...told(letter), lease_id: letter.lease_id })) };
      case 'POST /messages/ack': {
        const named = (/** @type {{lease_id: string}[]} */ leases) => this.letters.filter(({ lease_id }) => leases.some((lease) => lease.lease_id === lease_id));
        const acked = named(body.acks);
        this.letters = this.letters.filter((letter) => !acked.includes(letter));
        this.#retry(named(body.retries));
        return { ackCount: acked.length, retryCount: body.retries.length };
      }
      case 'POST /purge':
        this.letters = [];
        return {};
      default: return undefined;
    }
  }

  /** @param {number} limit */
  #pull(limit) {
    if (this.emptyPulls-- > 0) return [];
    const free = this.letters.filter(({ lease_id }) => lease_id === null);
    const pulled = (this.isReversed ? free.reverse() : free).slice(0, limit);
    for (const letter of pulled) Object.assign(letter, { attempts: letter.attempts + 1, lease_id: `lease-${this.#leases++}` });
    return pulled;
  }
}

/** @param {FakeLetter} letter */
function told({ id, body, content_type, attempts, sent_ms }) {
  return { id, body, attempts, timestamp_ms: sent_ms, metadata: { 'CF-Content-Type': content_type } };
}

/**
 * @param {import('node:http').ServerResponse} response
 * @param {number} status
 * @param {unknown} result
 * @param {[number, string][]} errors
 * @param {Record<string, string>} [headers]
 */
function say(response, status, result, errors, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify({ success: status === 200, result, errors: errors.map(([code, message]) => ({ code, message })), messages: [] }));
}
