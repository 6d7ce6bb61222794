/**
 * Returns the name by which Node and the store refer to a guest: an object of ours in a process of Workers.
 *
 * @param {string} kind
 * @param {string} id
 */
export function guestName(kind, id) {
  return `${kind}/${id}`;
}
