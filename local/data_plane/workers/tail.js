/** Console output and uncaught exceptions of the user's Workers, on their way to the log, with the Worker's name. */

import { WorkerEntrypoint } from 'cloudflare:workers';

/**
 * @typedef {{LOG: Fetcher}} Env
 * @typedef {{worker: string}} Props
 * @typedef {{time: number, level: string, message: string}} Line
 */

/** @extends {WorkerEntrypoint<Env, Props>} */
export class Tail extends WorkerEntrypoint {
  /**
   * @override
   * @param {TraceItem[]} events
   */
  async tail(events) {
    const lines = events.flatMap((event) => [...event.logs.map(fromConsole), ...event.exceptions.map(fromException)]);
    if (lines.length === 0) return;
    const { worker } = this.ctx.props;
    await this.env.LOG.fetch('http://log/', { method: 'POST', body: JSON.stringify({ worker, lines }) });
  }
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
