/**
 * What our own Workers tell the Node side: lines that it prints, which are recognised by their mark and let into the
 * log, and reports of its tail.
 *
 * @typedef {{time: number, level: string, message: string}} Line
 * @typedef {{worker: string, lines: Line[], events: object[]}} TailReport `events` are whole invocations
 */

export const MARK = 'data-plane: ';

/**
 * @param {string} what
 * @param {unknown} error
 */
export function describe(what, error) {
  return `${MARK}${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
}
