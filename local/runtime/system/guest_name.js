/**
 * The name by which Node and the store speak of a guest of a Worker's process.
 *
 * @param {string} kind
 * @param {string} id
 */
export function guestName(kind, id) {
  return `${kind}/${id}`;
}
