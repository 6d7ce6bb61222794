/** The data plane's output: lines of the log, which it writes itself, and events on stdout for the control plane. */

import { LogFile } from './log_file.js';

/** @typedef {'debug' | 'log' | 'info' | 'warn' | 'error'} Level */

/** How many bytes of Workers' events may wait for a control plane that does not read; further events are dropped. */
const LONGEST_BACKLOG_BYTES = 16_000_000;

/** @type {LogFile | null} */
let file = null;

/** @param {string} path the path of the log */
export function openLog(path) {
  file = new LogFile(path);
}

/** @param {number} port the port of the internal API */
export function announceReady(port) {
  emit({ event: 'ready', port });
}

/**
 * Logs a line of the data plane itself.
 *
 * @param {Level} level
 * @param {string} message
 */
export function log(level, message) {
  file?.append([{ time: new Date().toISOString(), source: 'data-plane', level, message }]);
}

/**
 * Reports invocations of a user's Worker that somebody listens to.
 *
 * @param {string} worker
 * @param {object[]} tailEvents
 */
export function reportEvents(worker, tailEvents) {
  if (process.stdout.writableLength > LONGEST_BACKLOG_BYTES) return;
  for (const tail_event of tailEvents) emit({ event: 'tail', worker, tail_event });
}

/**
 * Logs lines of a user's Worker.
 *
 * @param {string} worker
 * @param {{time: number, level: string, message: string}[]} lines
 */
export function logWorkerLines(worker, lines) {
  const entries = lines.map(({ time, level, message }) => {
    return { time: new Date(time).toISOString(), source: 'worker', worker, level, message };
  });
  if (entries.length > 0) file?.append(entries);
}

/** @param {object} event */
function emit(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
