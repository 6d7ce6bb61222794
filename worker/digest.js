/** SHA-256, used for values that must not be stored or compared directly. */

/**
 * @param {string | ArrayBuffer} value
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function sha256(value) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', typeof value === 'string' ? new TextEncoder().encode(value) : value));
}

/**
 * @param {string | ArrayBuffer} value
 * @returns {Promise<string>} the digest in hexadecimal
 */
export async function sha256Hex(value) {
  return (await sha256(value)).toHex();
}
