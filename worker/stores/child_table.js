/** The children of a task in a table of tasks: the tasks that its handler submitted, and its callbacks. They are in an index. */

import { TAGS_OF } from './tag_table.js';

const PARENT = 'coalesce(submitted_by, parent)';

/**
 * The ids and tags that a list of children examines, newest first: those before ?1, and not before ?4, at most ?3.
 *
 * @param {number} place the number of the parameter with the parent's id
 */
export function childrenWindow(place) {
  return `
    SELECT taskId, ${TAGS_OF('child')} AS ownTags FROM (
      SELECT taskId, 1 AS isTagged FROM tasks INDEXED BY tasks_children WHERE ${PARENT} IS NOT NULL AND ${PARENT} = ?${place} AND taskId < ?1 AND taskId >= ?4
      ORDER BY taskId DESC LIMIT ?3) AS child`;
}
