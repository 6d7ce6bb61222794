/** What the API's routes share: replies, and reading a body under a limit. */

/** A body longer than its limit. */
export class BodyTooLargeError extends Error {
  /** @override */
  name = 'BodyTooLargeError';
}

/**
 * @param {number} status
 * @param {string} error a short sentence for the caller
 * @param {HeadersInit} [headers]
 */
export function errorReply(status, error, headers) {
  return Response.json({ error }, { status, ...(headers && { headers }) });
}

/**
 * @param {Request} request
 * @param {number} limit_bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the whole body
 * @throws {BodyTooLargeError} as soon as more has come than the limit allows
 */
export async function readBody(request, limit_bytes) {
  if (Number(request.headers.get('Content-Length')) > limit_bytes) throw new BodyTooLargeError();
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > limit_bytes) throw new BodyTooLargeError();
    chunks.push(chunk);
  }
  return concatenate(chunks, length);
}

/**
 * @param {Uint8Array[]} chunks
 * @param {number} length their total
 */
function concatenate(chunks, length) {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
