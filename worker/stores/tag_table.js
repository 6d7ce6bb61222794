/** Tags in a table of tasks. Those that have some are in an index, in which the list of a tag looks for it. */

/** @import { Tags } from '../tags.js' */

/**
 * The tags of a row of which is known whether it has some (`isTagged`), read from the index: in a task's row they come after its payload,
 * which would be read first. Of a task without tags no further row is read.
 *
 * @param {string} task
 */
export const TAGS_OF = (task) => `CASE WHEN ${task}.isTagged THEN (
  SELECT tagged.tags FROM tasks AS tagged INDEXED BY tasks_tagged WHERE tagged.tags IS NOT NULL AND tagged.taskId = ${task}.taskId) END`;

/** The ids and tags that a list of a tag looks at, newest first: those before ?1, and not before ?4, at most ?3. */
export const TAGGED_WINDOW = `
  SELECT taskId, tags AS ownTags FROM tasks INDEXED BY tasks_tagged WHERE tags IS NOT NULL AND taskId < ?1 AND taskId >= ?4
  ORDER BY taskId DESC LIMIT ?3`;

/**
 * Of rows with their tags those that have all that are asked for. Keys and values have nothing that JSON writes in another way, so that a
 * tag is a part of the text.
 *
 * @param {number} count how many are asked for
 * @param {number} first which parameter has the first one
 */
export function hasAllTags(count, first) {
  return Array.from({ length: count }, (_, index) => `instr(ownTags, ?${first + index})`).join(' AND ');
}

/**
 * @param {Tags} tags
 * @returns {string[]} each as it stands in the JSON of a task's tags
 */
export function tagTexts(tags) {
  return Object.entries(tags).map(([key, value]) => `"${key}":"${value}"`);
}
