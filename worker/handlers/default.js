/** The handler of a task that names none: it returns a fingerprint of its payload. */

/** @import { Payload } from '../task.js' */

const ENCODER = new TextEncoder();

/**
 * @param {Payload} payload
 * @returns {Promise<{bytes: number, sha256: string}>} the payload's length and its SHA-256 in hexadecimal
 */
export default async function fingerprint(payload) {
  const bytes = typeof payload === 'string' ? ENCODER.encode(payload) : payload;
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return { bytes: bytes.byteLength, sha256: new Uint8Array(digest).toHex() };
}
