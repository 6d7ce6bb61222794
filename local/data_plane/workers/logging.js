/** Lines that the system Worker prints; the Node side recognises them by their mark and lets them into the log. */

export const MARK = 'data-plane: ';

/**
 * @param {string} what
 * @param {unknown} error
 */
export function describe(what, error) {
  return `${MARK}${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
}
