/** Replies. */

/** A task changes, so no cache may keep what was said of it. */
export const UNCACHED = Object.freeze({ 'Cache-Control': 'no-store' });

/** @param {string} json */
export function jsonTextReply(json) {
  return new Response(json, { headers: { 'Content-Type': 'application/json', ...UNCACHED } });
}

/**
 * @param {unknown} body
 * @param {{status?: number, headers?: Record<string, string>}} [init]
 */
export function jsonReply(body, { status = 200, headers } = {}) {
  return Response.json(body, { status, headers: { ...UNCACHED, ...headers } });
}
