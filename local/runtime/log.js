/** The log: JSON lines on stdout. */

/** @typedef {'debug' | 'log' | 'info' | 'warn' | 'error'} Level */

/** @param {object} event */
function print(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** @param {number} port of the internal API */
export function announceReady(port) {
  print({ event: 'ready', port });
}

/**
 * A line of the data plane itself.
 *
 * @param {Level} level
 * @param {string} message
 */
export function log(level, message) {
  print({ event: 'log', time: new Date().toISOString(), source: 'data-plane', level, message });
}

/**
 * An invocation of a user's Worker that somebody listens to.
 *
 * @param {string} worker
 * @param {object} tailEvent
 */
export function reportEvent(worker, tailEvent) {
  print({ event: 'tail', worker, tail_event: tailEvent });
}

/**
 * A line of a user's Worker.
 *
 * @param {string} worker
 * @param {{time: number, level: string, message: string}} line
 */
export function logWorkerLine(worker, { time, level, message }) {
  print({ event: 'log', time: new Date(time).toISOString(), source: 'worker', worker, level, message });
}
