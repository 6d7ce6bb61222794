/**
 * Pauses in a table of SQLite. A claim checks them in its own statement: if there are none, that reads no rows. Tasks of a paused handler stay
 * unchanged, and their messages are acknowledged. Once the handler is resumed the sweeper finds the tasks and sends new messages.
 */

/** Stands for all handlers. */
export const ALL_HANDLERS = '*';

/** @param {string} task */
export const IS_PAUSED = (task) => `EXISTS (SELECT 1 FROM pauses WHERE pauses.handler IN ('${ALL_HANDLERS}', ${task}.handler))`;

export const PAUSES = 'SELECT handler, paused_at AS paused_ms FROM pauses ORDER BY handler';

const PAUSE = 'INSERT INTO pauses (handler, paused_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING';
const RESUME = 'DELETE FROM pauses WHERE handler = ?1';

/**
 * @param {string} handler
 * @param {number | null} paused_ms null: it is resumed
 * @returns {{sql: string, parameters: (string | number)[]}}
 */
export function changeOfPause(handler, paused_ms) {
  return paused_ms === null ? { sql: RESUME, parameters: [handler] } : { sql: PAUSE, parameters: [handler, paused_ms] };
}
