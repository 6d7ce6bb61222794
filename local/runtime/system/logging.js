/**
 * Messages of our own Workers to the Node process: printed lines with a mark, which are written to the log, and reports of the tail.
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
