/** The ids of workflows, by name: each registers its own when it is configured. An isolate has one such list. */

import { awake } from '../../../runtime/system/processes.js';

/** @type {Map<string, string>} */
const ids = new Map();

/**
 * @param {string} name
 * @param {string} id
 */
export function nameWorkflow(name, id) {
  forgetWorkflow(id); // it may have had another name
  ids.set(name, id);
}

/** @param {string} id */
export function forgetWorkflow(id) {
  for (const [name, named] of ids) if (named === id) ids.delete(name);
}

/**
 * Returns the id of a workflow; undefined: there is none of this name.
 *
 * @param {string} name
 */
export async function workflowId(name) {
  if (!ids.has(name)) await awake();
  return ids.get(name);
}
