/** Tags in a table of tasks. Tagged tasks are in a partial index, which the list by tag searches. */

/** @import { Tags } from '../tags.js' */

/**
 * The tags of a row, given whether it has any (`isTagged`), read from the index: in the table's row they come after the payload, which would be read
 * first. For a task without tags no further row is read.
 *
 * @param {string} task
 */
export const TAGS_OF = (task) => `CASE WHEN ${task}.isTagged THEN (
  SELECT tagged.tags FROM tasks AS tagged INDEXED BY tasks_tagged WHERE tagged.tags IS NOT NULL AND tagged.taskId = ${task}.taskId) END`;

/** The ids and tags that a list by tag examines, newest first: those before ?1, and not before ?4, at most ?3. */
export const TAGGED_WINDOW = `
  SELECT taskId, tags AS ownTags FROM tasks INDEXED BY tasks_tagged WHERE tags IS NOT NULL AND taskId < ?1 AND taskId >= ?4
  ORDER BY taskId DESC LIMIT ?3`;

/**
 * Selects the rows that have all requested tags. Keys and values contain nothing that JSON escapes, so that a tag is a substring of the JSON.
 *
 * @param {number} count the number of requested tags
 * @param {number} first the number of the first one's parameter
 */
export function hasAllTags(count, first) {
  return Array.from({ length: count }, (_, index) => `instr(ownTags, ?${first + index})`).join(' AND ');
}

/**
 * @param {Tags} tags
 * @returns {string[]} each tag as it is written in the JSON of a task's tags
 */
export function tagTexts(tags) {
  return Object.entries(tags).map(([key, value]) => `"${key}":"${value}"`);
}
