/**
 * The dead-letter queue. A Worker can write to it by its binding. Only Cloudflare's REST API can read letters and take them from it
 * (https://developers.cloudflare.com/queues/configuration/pull-consumers/), with the token of the stack's setting `dead_letter_api_token`.
 */

import { textOf } from './dead_letter.js';

/** @import { Letter } from './dead_letter.js' */

/** The most messages of a peek, a pull, an acknowledgement or a `sendBatch`, and the most bytes of a `sendBatch`
 * (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_LETTERS = 100;
const SEND_BATCH_BYTES = 256_000;

/** How long a pulled letter is hidden from other consumers: longer than a call takes. `ops/dead_letter_queue.py` has the same. */
export const LEASE_MS = 5 * 60_000;

/** How long one request to the API may take. */
const REQUEST_MS = 10_000;

/** When to retry a request that Cloudflare refuses for now, if it does not say when. */
const RETRY_AFTER_SECONDS = 5;

const CLOUDFLARE_API_URL = 'https://api.cloudflare.com/client/v4';

/** Cloudflare's codes for a token that is invalid or not allowed to do this; they come with statuses from 400 on. */
const TOKEN_CODES = new Set([1000, 6003, 9103, 9106, 9109, 10000]);

/** The bindings that the setting creates.
 *
 * @typedef {{DEAD_LETTER_API_TOKEN?: string, DEAD_LETTER_API_URL?: string, DEAD_LETTER_ACCOUNT_ID?: string, DEAD_LETTER_QUEUE_ID?: string, TASK_DLQ?: Queue<unknown>}} DeadLetterEnvironment
 */

/** Cloudflare refused a request. `token`: the token is invalid, or does not allow it; `away`: for now; `refused`: for good. */
export class DeadLetterQueueError extends Error {
  /** @override */
  name = 'DeadLetterQueueError';

  /**
   * @param {'token' | 'away' | 'refused'} kind
   * @param {string} message Cloudflare's message, which contains no secret
   * @param {number} [retry_after_seconds]
   */
  constructor(kind, message, retry_after_seconds = RETRY_AFTER_SECONDS) {
    super(message);
    this.kind = kind;
    this.retry_after_seconds = retry_after_seconds;
  }
}

/** @param {DeadLetterEnvironment} env @returns {DeadLetterQueue | null} null: the stack does not have the setting */
export function deadLetterQueueOf(env) {
  const { DEAD_LETTER_API_TOKEN: token, DEAD_LETTER_API_URL: apiUrl, DEAD_LETTER_ACCOUNT_ID: accountId, DEAD_LETTER_QUEUE_ID: queueId, TASK_DLQ: binding } = env;
  if (!token || !accountId || !queueId || !binding) return null;
  return new DeadLetterQueue(`${(apiUrl || CLOUDFLARE_API_URL).replace(/\/+$/, '')}/accounts/${accountId}/queues/${queueId}`, token, binding);
}

/** Each method throws {@link DeadLetterQueueError}. */
export class DeadLetterQueue {
  #url;
  #token;
  #binding;
  /** @type {Promise<number> | null} */
  #max_retries = null;

  /**
   * @param {string} url the URL of the queue in the API
   * @param {string} token
   * @param {Queue<unknown>} binding the binding by which letters are written
   */
  constructor(url, token, binding) {
    this.#url = url;
    this.#token = token;
    this.#binding = binding;
  }

  /** @returns {Promise<number>} how many letters there are, pulled ones included; it may be a moment old */
  async count() {
    return Number((await this.#ask('GET', '/metrics')).backlog_count ?? 0);
  }

  /**
   * Reads the oldest letters without using up a delivery.
   *
   * @param {number} limit 1 to {@link MAX_LETTERS}
   */
  async peek(limit) {
    return letters(await this.#ask('POST', '/messages/peek', { batch_size: limit }));
  }

  /**
   * Pulls letters, with a lease of {@link LEASE_MS}. That uses up one of the deliveries of each, which has `dlq_max_retries` of them.
   *
   * @param {number} limit 1 to {@link MAX_LETTERS}
   */
  async pull(limit) {
    return letters(await this.#ask('POST', '/messages/pull', { batch_size: limit, visibility_timeout_ms: LEASE_MS }));
  }

  /**
   * Deletes pulled letters for good.
   *
   * @param {Letter[]} pulled at most {@link MAX_LETTERS}
   */
  async acknowledge(pulled) {
    await this.#settle(pulled, []);
  }

  /**
   * Ends the leases of letters. Cloudflare would drop a letter with no deliveries left, so a new copy with all deliveries replaces it. The copy is
   * written first, so that the letter is in the queue at each moment.
   *
   * @param {Letter[]} pulled at most {@link MAX_LETTERS}
   */
  async putBack(pulled) {
    if (pulled.length === 0) return;
    const max_retries = await this.#maxRetries();
    const copies = pulled.flatMap((letter) => {
      const copy = letter.attempts >= max_retries ? copyOf(letter) : null;
      return copy ? [{ letter, copy }] : [];
    });
    for (const batch of batchesOf(copies)) await this.#binding.sendBatch(batch.map(({ copy }) => copy));
    const copied = new Set(copies.map(({ letter }) => letter));
    await this.#settle([...copied], pulled.filter((letter) => !copied.has(letter)));
  }

  /** Deletes every letter for good. */
  async deleteAll() {
    await this.#ask('POST', '/purge', { delete_messages_permanently: true });
  }

  /** @returns {Promise<number>} how often a letter can be pulled */
  #maxRetries() {
    this.#max_retries ??= this.#ask('GET', '/consumers').then((consumers) => (
      Math.min(Infinity, ...[consumers].flat().flatMap(({ settings }) => (settings ? [Number(settings.max_retries ?? 0)] : [])))
    ));
    return this.#max_retries;
  }

  /**
   * @param {Letter[]} acks
   * @param {Letter[]} retries
   */
  async #settle(acks, retries) {
    if (acks.length + retries.length === 0) return;
    const named = (/** @type {Letter[]} */ settled) => settled.map(({ lease_id }) => ({ lease_id }));
    await this.#ask('POST', '/messages/ack', { acks: named(acks), retries: named(retries) });
  }

  /**
   * @param {'GET' | 'POST'} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>} the result of the reply
   */
  async #ask(method, path, body) {
    let reply;
    let told;
    try {
      reply = await fetch(this.#url + path, {
        method, redirect: 'manual', signal: AbortSignal.timeout(REQUEST_MS),
        headers: { 'Authorization': `Bearer ${this.#token}`, 'Content-Type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      });
      told = await reply.text();
    } catch (error) {
      throw new DeadLetterQueueError('away', `it does not answer (${/** @type {Error} */ (error).name})`);
    }
    const { success, result, errors } = envelopeOf(told);
    if (reply.ok && success === true) return result ?? {};
    throw refusalOf(reply, errors);
  }
}

/**
 * @param {string} told
 * @returns {{success?: boolean, result?: any, errors: {code: number, message: string}[]}}
 */
function envelopeOf(told) {
  try {
    const { success, result, errors } = JSON.parse(told);
    return { success, result, errors: Array.isArray(errors) ? errors : [] };
  } catch {
    return { errors: [] };
  }
}

/**
 * @param {Response} reply
 * @param {{code: number, message: string}[]} errors
 */
function refusalOf({ status, headers }, errors) {
  const what = [`status ${status}`, ...errors.map(({ code, message }) => `${message} [code: ${code}]`)].join(', ');
  if (status === 429 || status >= 500) {
    return new DeadLetterQueueError('away', what, Number(headers.get('Retry-After')) || RETRY_AFTER_SECONDS);
  }
  const isToken = status === 401 || status === 403 || errors.some(({ code }) => TOKEN_CODES.has(code));
  return new DeadLetterQueueError(isToken ? 'token' : 'refused', what);
}

/** @param {any} result @returns {Letter[]} */
function letters({ messages = [] }) {
  return messages.map((/** @type {any} */ { id, body, attempts, timestamp_ms, metadata, lease_id = null }) => {
    const content_type = metadata?.['CF-Content-Type'] ?? 'json';
    return { id, body: decoded(body ?? '', content_type), content_type, attempts: Number(attempts ?? 0), sent_ms: Number(timestamp_ms ?? 0), lease_id };
  });
}

/**
 * Text is not encoded, everything else is in base64 (https://developers.cloudflare.com/queues/configuration/pull-consumers/).
 *
 * @param {string} body
 * @param {string} content_type
 */
function decoded(body, content_type) {
  if (content_type !== 'text') {
    try {
      return Uint8Array.fromBase64(body);
    } catch {
      // It is shown undecoded.
    }
  }
  return new TextEncoder().encode(body);
}

/** A message in the form of `sendBatch`. @typedef {{body: unknown, contentType: QueueContentType}} Copy */

/**
 * @param {Letter} letter
 * @returns {Copy | null} the copy; null if only the Worker that sent the message can send one like it
 */
function copyOf(letter) {
  try {
    switch (letter.content_type) {
      case 'text': return { body: textOf(letter), contentType: 'text' };
      case 'json': return { body: JSON.parse(textOf(letter)), contentType: 'json' };
      case 'bytes': return { body: letter.body, contentType: 'bytes' };
      default: return null;
    }
  } catch {
    return null;
  }
}

/**
 * @template {{letter: Letter}} Item
 * @param {Item[]} items at most {@link MAX_LETTERS}
 * @returns {Item[][]} batches as large as they may be
 */
function batchesOf(items) {
  /** @type {Item[][]} */
  const batches = [];
  let bytes = Infinity;
  for (const item of items) {
    bytes += item.letter.body.byteLength;
    if (bytes > SEND_BATCH_BYTES) {
      batches.push([]);
      bytes = item.letter.body.byteLength;
    }
    batches.at(-1)?.push(item);
  }
  return batches;
}
