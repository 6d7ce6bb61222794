/** Notes in a table of SQLite. */

export const NOTE = 'SELECT note FROM notes WHERE name = ?1';

const INSERT = 'INSERT INTO notes (name, note) VALUES (?1, ?2) ON CONFLICT DO NOTHING RETURNING name';
const UPDATE = 'UPDATE notes SET note = ?3 WHERE name = ?1 AND note = ?2 RETURNING name';
const DELETE = 'DELETE FROM notes WHERE name = ?1 AND note = ?2 RETURNING name';

/**
 * @param {string} name
 * @param {string | null} before
 * @param {string | null} after
 * @returns {{sql: string, parameters: (string | null)[]}}
 */
export function changeOfNote(name, before, after) {
  if (before === null) return { sql: INSERT, parameters: [name, after] };
  return after === null ? { sql: DELETE, parameters: [name, before] } : { sql: UPDATE, parameters: [name, before, after] };
}
