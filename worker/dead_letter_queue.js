/**
 * The dead-letter queue. A Worker can write to it by its binding; to look at it, and to take letters from it, is Cloudflare's REST API alone
 * (https://developers.cloudflare.com/queues/configuration/pull-consumers/), with a token that the stack's setting `dead_letter_api_token` gives.
 */

/** @import { Letter } from './dead_letter.js' */

/** Most messages that a look, a pull or an acknowledgement takes, and a `sendBatch`, with so many bytes
 * (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_LETTERS = 100;
const SEND_BATCH_BYTES = 256_000;

/** How long a pulled letter is hidden from others: longer than a call takes, as `ops/dead_letter_queue.py` has it. */
export const LEASE_MS = 5 * 60_000;

/** How long one request to the API may take. */
const REQUEST_MS = 10_000;

/** When to try again what Cloudflare refuses for now without saying when. */
const RETRY_AFTER_SECONDS = 5;

const CLOUDFLARE_API_URL = 'https://api.cloudflare.com/client/v4';

/** Cloudflare's codes for a token that is none or may not do this, which come with statuses of 400 and up. */
const TOKEN_CODES = new Set([1000, 6003, 9103, 9106, 9109, 10000]);

/** The bindings that the setting makes.
 *
 * @typedef {{DEAD_LETTER_API_TOKEN?: string, DEAD_LETTER_API_URL?: string, DEAD_LETTER_ACCOUNT_ID?: string, DEAD_LETTER_QUEUE_ID?: string, TASK_DLQ?: Queue<unknown>}} DeadLetterEnvironment
 */

/** Cloudflare did not do what it was asked. `token`: it does not take the token, or the token does not allow it; `away`: for now;
 * `refused`: for good. */
export class DeadLetterQueueError extends Error {
  /** @override */
  name = 'DeadLetterQueueError';

  /**
   * @param {'token' | 'away' | 'refused'} kind
   * @param {string} message what Cloudflare said; there is no secret in it
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
   * @param {string} url of the queue, in the API
   * @param {string} token
   * @param {Queue<unknown>} binding by which letters are written
   */
  constructor(url, token, binding) {
    this.#url = url;
    this.#token = token;
    this.#binding = binding;
  }

  /** @returns {Promise<number>} how many letters there are, pulled ones included; a moment old */
  async count() {
    return Number((await this.#ask('GET', '/metrics')).backlog_count ?? 0);
  }

  /**
   * Looks at the oldest letters, which uses nothing up.
   *
   * @param {number} limit 1 to {@link MAX_LETTERS}
   */
  async peek(limit) {
    return letters(await this.#ask('POST', '/messages/peek', { batch_size: limit }));
  }

  /**
   * Takes letters for {@link LEASE_MS}. That counts as one of the attempts of each, of which it has `dlq_max_retries`.
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
   * Lets others pull letters again. One that has spent its attempts would be dropped: a copy takes its place, which has them all before it.
   * The copy is written first, so that the letter is in the queue at each moment.
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
   * @returns {Promise<any>} the result
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
 * Text comes as it is, all else in base64 (https://developers.cloudflare.com/queues/configuration/pull-consumers/).
 *
 * @param {string} body
 * @param {string} content_type
 */
function decoded(body, content_type) {
  if (content_type !== 'text') {
    try {
      return Uint8Array.fromBase64(body);
    } catch {
      // It is shown as it came.
    }
  }
  return new TextEncoder().encode(body);
}

/** A message as `sendBatch` takes it. @typedef {{body: unknown, contentType: QueueContentType}} Copy */

/**
 * @param {Letter} letter
 * @returns {Copy | null} null: only the Worker that has sent it can make its like
 */
function copyOf({ body, content_type }) {
  const text = () => new TextDecoder().decode(body);
  try {
    switch (content_type) {
      case 'text': return { body: text(), contentType: 'text' };
      case 'json': return { body: JSON.parse(text()), contentType: 'json' };
      case 'bytes': return { body, contentType: 'bytes' };
      default: return null;
    }
  } catch {
    return null;
  }
}

/**
 * @template {{letter: Letter}} Item
 * @param {Item[]} items at most {@link MAX_LETTERS}
 * @returns {Item[][]} as large as a batch may be
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
