/**
 * What a binding refers to in the store, in the form in which it is sent with each request and call.
 *
 * @typedef {{entrypoint: string, props: object}} Bound an entrypoint of the store's Worker, and what that finds in its props
 * @typedef {{message: string, properties: object}} Thrown an exception, as the answer to a request
 */

/** The header of a request with a Bound. */
export const BOUND_HEADER = 'local-bound';
/** The header of an answer with a Thrown. */
export const THROWN_HEADER = 'local-thrown';

/** @param {object} value */
export function toHeader(value) {
  return encodeURIComponent(JSON.stringify(value));
}

/**
 * @param {string | null} header
 * @returns {any} null if there is no header
 */
export function fromHeader(header) {
  return header && JSON.parse(decodeURIComponent(header));
}
