/** Signs requests as in Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). */

/** @import { Payload } from './task.js' */

/** The prefix of a secret; base64 follows. */
const SECRET_PREFIX = 'whsec_';

/**
 * @param {string} secretsJson a JSON list of secrets. The first one signs, and so do the others while receivers change to the first
 * @param {{id: string, timestamp: number, payload: Payload}} message the timestamp is a Unix time in seconds
 * @returns {Promise<Record<string, string>>} the headers of the request; without a secret it is not signed
 */
export async function webhookHeaders(secretsJson, { id, timestamp, payload }) {
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const signed = await new Blob([head, body]).arrayBuffer();
  /** @type {string[]} */
  const secrets = JSON.parse(secretsJson);
  const signatures = await Promise.all(secrets.map(async (secret) => `v1,${await hmac(secret, signed)}`));
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    ...(signatures.length > 0 && { 'webhook-signature': signatures.join(' ') }),
  };
}

/**
 * @param {string} secret
 * @param {ArrayBuffer} content
 * @returns {Promise<string>} the signature in base64
 */
async function hmac(secret, content) {
  const bytes = Uint8Array.from(atob(secret.slice(SECRET_PREFIX.length)), (character) => character.charCodeAt(0));
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign('HMAC', key, content))));
}
