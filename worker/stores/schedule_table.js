/** Schedules in a table of SQLite. */

export const SCHEDULES = 'SELECT name, schedule FROM schedules ORDER BY name';

const INSERT = 'INSERT INTO schedules (name, schedule) VALUES (?1, ?2) ON CONFLICT DO NOTHING RETURNING name';
const UPDATE = 'UPDATE schedules SET schedule = ?3 WHERE name = ?1 AND schedule = ?2 RETURNING name';
const DELETE = 'DELETE FROM schedules WHERE name = ?1 AND schedule = ?2 RETURNING name';

/**
 * @param {string} name
 * @param {string | null} before
 * @param {string | null} after
 * @returns {{sql: string, parameters: (string | null)[]}}
 */
export function changeOfSchedule(name, before, after) {
  if (before === null) return { sql: INSERT, parameters: [name, after] };
  return after === null ? { sql: DELETE, parameters: [name, before] } : { sql: UPDATE, parameters: [name, before, after] };
}
