/** The ports of the Workers: one HTTP server each, which passes requests on to the right version. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { ServerResponse, createServer } from 'node:http';

import { browserRefusal } from './browser_checks.js';
import { serviceName, targets } from './desired_state.js';
import { PlatformError } from './errors.js';
import { Hosts, hostName } from './hosts.js';
import { CF_HEADER } from './system/miniflare_internals.js';
import { MAX_HEADER_BYTES, beginRequest } from './workerd_http.js';
import { pickTarget } from './system/percentages.js';

/**
 * @import { IncomingMessage, Server } from 'node:http'
 * @import { Duplex } from 'node:stream'
 * @import { DesiredState, Target, Worker } from './desired_state.js'
 * @import { Visit } from './traffic.js'
 * @import { WorkerdProcess } from './workerd_process.js'
 *
 * @typedef {{server: Server, targets: Target[], webSockets: Set<Duplex>}} Door
 * @typedef {{service: string, process: WorkerdProcess, visit: Visit}} Admission
 */

const HOST = '127.0.0.1';
/** Longer than clients keep idle connections, so that none is closed while a request is on its way. */
const KEEP_ALIVE_MS = 75_000;
const NOTHING_DEPLOYED = 'There is nothing here yet\n';
const RUNTIME_STOPPED = 'The Workers runtime stopped while it handled this request\n';
const PLAIN_TEXT = { 'Content-Type': 'text/plain; charset=utf-8' };
/** Headers about a connection, not about the request: Node writes its own. */
const CONNECTION_HEADERS = ['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'http2-settings'];
/** Headers that name the version for a request, or a key; all requests with the same key go to the same version. */
const OVERRIDES_HEADER = 'cloudflare-workers-version-overrides';
const KEY_HEADER = 'cloudflare-workers-version-key';
/** A member of a dictionary (RFC 8941) whose value is a string. */
const OVERRIDE = /(?:^|,)[ \t]*([^\s,;="]+)="([^"]*)"/g;
/** Headers that only Cloudflare may set; the first one is Miniflare's way to set `request.cf`. */
const RESERVED_HEADERS = [CF_HEADER, 'cf-connecting-ip'];
const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export class FrontDoor {
  /** @type {Map<number, Door>} by port */
  #doors = new Map();
  #hosts = new Hosts();
  #checksBrowsers = true;
  #admit;

  /** @param {(pick: () => Target | null) => Promise<Admission | null>} admit waits for the process of a chosen version */
  constructor(admit) {
    this.#admit = admit;
  }

  /**
   * Listens on the Workers' ports that are not open yet: on all of them or, with an error of kind `port_in_use`, on none.
   *
   * @param {Worker[]} workers
   * @returns {Promise<number[]>} the new ports
   */
  async open(workers) {
    /** @type {number[]} */
    const opened = [];
    try {
      for (const { name, port } of workers) {
        if (this.#doors.has(port)) continue;
        this.#doors.set(port, await this.#listen(port, name));
        opened.push(port);
      }
    } catch (error) {
      this.close(opened);
      throw error;
    }
    return opened;
  }

  /** @param {number[]} ports */
  close(ports) {
    for (const port of ports) {
      const door = this.#doors.get(port);
      door?.server.close();
      door?.server.closeAllConnections();
      door?.webSockets.forEach((socket) => socket.destroy());
      this.#doors.delete(port);
    }
  }

  /**
   * Routes each open port's requests to its Worker's present process, and closes ports that no Worker has any more.
   *
   * @param {DesiredState} state
   */
  route(state) {
    const { workers } = state;
    this.#hosts.set(state);
    this.#checksBrowsers = state.browser_checks ?? true;
    const byPort = new Map(workers.map((worker) => [worker.port, worker]));
    this.close([...this.#doors.keys()].filter((port) => !byPort.has(port)));
    for (const [port, door] of this.#doors) door.targets = targets(byPort.get(port));
  }

  /**
   * @param {number} port
   * @param {string} worker its name
   * @returns {Promise<Door>}
   */
  async #listen(port, worker) {
    // Offers to upgrade to another protocol, such as h2c, which Java's client makes in each request, are declined by an answer in HTTP/1.1.
    const server = createServer({
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    /** @type {Door} */
    const door = { server, targets: [], webSockets: new Set() };
    server.on('request', (request, response) => this.#pass(door, request, response));
    server.on('upgrade', (request, socket, head) => this.#passUpgrade(door, request, socket, head));
    // A Worker may take any time for a request.
    server.requestTimeout = 0;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.listen(port, HOST);
    try {
      await once(server, 'listening');
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EADDRINUSE') throw error;
      throw new PlatformError('port_in_use', `port ${port}, where Worker ${worker} answers, is in use by another program`);
    }
    return door;
  }

  /**
   * @param {Door} door
   * @param {IncomingMessage} incoming
   * @param {ServerResponse} outgoing
   */
  async #pass(door, incoming, outgoing) {
    const refusal = this.#refusal(incoming);
    if (refusal) return answerPlainly(outgoing, 403, refusal);
    const admission = await this.#admit(() => targetOf(incoming, this.#targets(door, incoming)));
    if (admission === null) return answerPlainly(outgoing, 404, NOTHING_DEPLOYED);
    const { answered, leave } = admission.visit;
    if (outgoing.closed) return leave(); // the client has disconnected
    outgoing.on('close', leave);
    try {
      const sent = await begin(admission, incoming, passedOn(incoming, CONNECTION_HEADERS));
      outgoing.on('close', () => sent.destroy());
      sent.on('error', () => answerPlainly(outgoing, 502, RUNTIME_STOPPED));
      sent.on('response', (answer) => {
        answered(); // a stream may never end
        passBack(answer, outgoing);
        // The part of the request that the Worker did not read must not delay the client's next request.
        answer.on('end', () => incoming.unpipe(sent).resume());
      });
      incoming.pipe(sent);
    } catch {
      answerPlainly(outgoing, 502, RUNTIME_STOPPED);
    }
  }

  /**
   * @param {Door} door
   * @param {IncomingMessage} incoming
   * @param {Duplex} client
   * @param {Buffer} head
   */
  async #passUpgrade(door, incoming, client, head) {
    client.on('error', () => client.destroy());
    const refusal = this.#refusal(incoming);
    if (refusal) return answerPlainly(responseOn(client, incoming), 403, refusal);
    const admission = await this.#admit(() => targetOf(incoming, this.#targets(door, incoming)));
    if (admission === null) return answerPlainly(responseOn(client, incoming), 404, NOTHING_DEPLOYED);
    const { answered, leave } = admission.visit;
    if (client.destroyed) return leave();
    client.on('close', leave);
    try {
      const sent = await begin(admission, incoming, passedOn(incoming, []), false);
      sent.on('error', () => client.destroy());
      sent.on('response', (answer) => passBack(answer, responseOn(client, incoming)));
      sent.on('upgrade', (answer, socket, answerHead) => {
        answered(); // an open WebSocket may never end
        door.webSockets.add(client);
        client.on('close', () => door.webSockets.delete(client));
        client.write(responseHead(answer));
        join(client, socket, head, answerHead);
      });
      sent.end();
    } catch {
      answerPlainly(responseOn(client, incoming), 502, RUNTIME_STOPPED);
    }
  }

  /** @param {IncomingMessage} incoming */
  #refusal(incoming) {
    return this.#checksBrowsers ? browserRefusal(incoming, (host) => this.#hosts.knows(host)) : null;
  }

  /**
   * Returns who answers a request: the Worker that the request names, or else the Worker of the port.
   *
   * @param {Door} door
   * @param {IncomingMessage} incoming
   */
  #targets(door, { headers, url = '/' }) {
    return this.#hosts.find(hostName(headers.host), url) ?? door.targets;
  }
}

/**
 * @param {Admission} admission
 * @param {IncomingMessage} incoming
 * @param {string[]} headers
 * @param {false} [agent] for a connection that is not shared
 */
function begin({ service, process }, incoming, headers, agent) {
  const { method, url: path } = incoming;
  return beginRequest(() => process.url(service), { method, path, headers, ...(agent === false && { agent }) });
}

/**
 * Returns the version for a request. An override counts only for a deployed version, even one with 0 % of the traffic.
 *
 * @param {IncomingMessage} request
 * @param {Target[]} deployed
 */
function targetOf({ headers }, deployed) {
  for (const [, worker = '', version = ''] of String(headers[OVERRIDES_HEADER] ?? '').matchAll(OVERRIDE)) {
    const wanted = deployed.find(({ service }) => service === serviceName(worker, version));
    if (wanted) return wanted;
  }
  const key = headers[KEY_HEADER];
  return key === undefined ? pickTarget(deployed) : pickTarget(deployed, chanceOf(String(key)));
}

/** @param {string} key the same key gives the same number, from 0 to 1 */
function chanceOf(key) {
  return createHash('sha256').update(key).digest().readUInt32BE() / 2 ** 32;
}

/**
 * Returns a message's headers unchanged and in order, without some, and with those that Cloudflare adds to a request.
 *
 * @param {IncomingMessage} message
 * @param {string[]} without
 */
function passedOn(message, without) {
  const isRequest = message.method !== undefined && message.method !== null;
  const dropped = new Set(isRequest ? [...without, ...RESERVED_HEADERS] : without);
  const headers = [];
  for (let i = 0; i < message.rawHeaders.length; i += 2) {
    const name = message.rawHeaders[i] ?? '';
    if (!dropped.has(name.toLowerCase())) headers.push(name, message.rawHeaders[i + 1] ?? '');
  }
  if (isRequest) {
    headers.push('CF-Connecting-IP', message.socket.remoteAddress ?? HOST, CF_HEADER, JSON.stringify(cf(message)));
  }
  return headers;
}

/**
 * @param {IncomingMessage} answer
 * @param {ServerResponse} outgoing
 */
function passBack(answer, outgoing) {
  outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, passedOn(answer, CONNECTION_HEADERS));
  answer.on('error', () => outgoing.destroy()).pipe(outgoing);
}

/**
 * Returns the answer to a failed WebSocket request; it is the last one on its connection.
 *
 * @param {Duplex} client
 * @param {IncomingMessage} incoming
 */
function responseOn(client, incoming) {
  const response = new ServerResponse(incoming);
  response.shouldKeepAlive = false;
  response.assignSocket(/** @type {import('node:net').Socket} */ (client));
  response.on('finish', () => client.end());
  return response;
}

/**
 * Returns `request.cf`: of Cloudflare's fields, those that are true on this computer.
 *
 * @param {IncomingMessage} request
 */
function cf({ headers, httpVersion }) {
  return { httpProtocol: `HTTP/${httpVersion}`, clientAcceptEncoding: String(headers['accept-encoding'] ?? ''), timezone: TIME_ZONE };
}

/** @param {IncomingMessage} answer */
function responseHead(answer) {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/**
 * @param {ServerResponse} outgoing
 * @param {number} status
 * @param {string} text
 */
function answerPlainly(outgoing, status, text) {
  if (outgoing.headersSent) outgoing.destroy();
  else outgoing.writeHead(status, PLAIN_TEXT).end(text);
}

/**
 * @param {Duplex} a
 * @param {Duplex} b
 * @param {Buffer} fromA what was already read from it
 * @param {Buffer} fromB
 */
function join(a, b, fromA, fromB) {
  a.write(fromB);
  b.write(fromA);
  a.pipe(b).pipe(a);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ]) {
    one?.on('error', () => other?.destroy()).on('close', () => other?.destroy());
  }
}
