/**
 * The tail of the user's Workers: it gets each invocation, writes console output and uncaught exceptions to the log, and sends all of it to
 * listeners.
 */

import { WorkerEntrypoint } from 'cloudflare:workers';

/**
 * @import { Line, TailReport } from '../../../runtime/system/logging.js'
 *
 * @typedef {{LOG: Fetcher}} Env
 * @typedef {{worker: string, version: string}} Props
 */

/**
 * The names of the Workers with listeners. An isolate has one such set for all its entrypoints.
 *
 * @type {Set<string>}
 */
let listened = new Set();

/** How many invocations have ended, their `waitUntil` included. */
let ended = 0;

export function endedInvocations() {
  return ended;
}

/** @param {string[]} workers */
export function listenTo(workers) {
  listened = new Set(workers);
}

/** @extends {WorkerEntrypoint<Env, Props>} */
export class Tail extends WorkerEntrypoint {
  /**
   * @override
   * @param {TraceItem[]} traces
   */
  async tail(traces) {
    const { worker, version } = this.ctx.props;
    ended += traces.length;
    const lines = traces.flatMap((trace) => [...trace.logs.map(fromConsole), ...trace.exceptions.map(fromException)]);
    const events = listened.has(worker) ? traces.map((trace) => tailEvent(trace, worker, version)) : [];
    if (lines.length === 0 && events.length === 0) return;
    /** @type {TailReport} */
    const report = { worker, lines, events };
    await this.env.LOG.fetch('http://log/', { method: 'POST', body: JSON.stringify(report) });
  }
}

/**
 * Returns an invocation as a tail event; workerd knows the Worker by another name.
 *
 * @param {TraceItem} trace
 * @param {string} worker
 * @param {string} version
 */
function tailEvent(trace, worker, version) {
  return { ...JSON.parse(JSON.stringify(trace)), scriptName: worker, scriptVersion: { id: version } };
}

/**
 * @param {TraceLog} log
 * @returns {Line}
 */
function fromConsole({ timestamp, level, message }) {
  const parts = Array.isArray(message) ? message : [message];
  return { time: timestamp, level, message: parts.map(asText).join(' ') };
}

/**
 * @param {TraceException} exception
 * @returns {Line}
 */
function fromException({ timestamp, name, message, stack }) {
  const trace = stack ? `\n${stack}` : '';
  return { time: timestamp, level: 'error', message: `Uncaught ${name}: ${message}${trace}` };
}

/** @param {unknown} part */
function asText(part) {
  return typeof part === 'string' ? part : JSON.stringify(part);
}
