/**
 * What a binding leads to in the store, as it travels with each request and call.
 *
 * @typedef {{entrypoint: string, props: object}} Bound an entrypoint of the store's Worker, and what that finds in its props
 * @typedef {{message: string, properties: object}} Thrown an exception, as the answer to a request
 */

/** In a request: a Bound. */
export const BOUND_HEADER = 'local-bound';
/** In an answer: a Thrown. */
export const THROWN_HEADER = 'local-thrown';

/** @param {object} value */
export function toHeader(value) {
  return encodeURIComponent(JSON.stringify(value));
}

/**
 * @param {string | null} header
 * @returns {any} null for none
 */
export function fromHeader(header) {
  return header && JSON.parse(decodeURIComponent(header));
}
