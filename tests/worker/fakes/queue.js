/** Queues that refuse what Cloudflare's refuse. */

/** https://developers.cloudflare.com/queues/platform/limits/, where 1 KB is 1,000 bytes. */
const MESSAGE_BYTES = 128_000;
const BATCH_BYTES = 256_000;
const BATCH_MESSAGES = 100;
const DELAY_SECONDS = 86_400;

/** A message as a queue takes it. @typedef {{body: any, delaySeconds?: number}} Sent */

/**
 * A producer's binding.
 *
 * @param {(messages: Sent[]) => unknown} take is given what the queue takes; may refuse by throwing
 * @param {() => {count: number, oldest_ms: number | null}} [backlog]
 * @returns {any} as `Queue`
 */
export function fakeQueue(take, backlog = () => ({ count: 0, oldest_ms: null })) {
  return {
    /** @param {unknown} body @param {{delaySeconds?: number}} [options] */
    async send(body, options = {}) {
      requireDelay('send', options.delaySeconds);
      const [message] = copies('send', [{ body, ...options }]);
      await take([/** @type {Sent} */ (message)]);
    },
    /** @param {Iterable<Sent>} messages @param {{delaySeconds?: number}} [options] */
    async sendBatch(messages, options = {}) {
      const all = [...messages].map((message) => ({ ...options, ...message }));
      if (all.length === 0) throw new TypeError("Failed to execute 'sendBatch' on 'Queue': sendBatch() requires at least one message.");
      if (all.length > BATCH_MESSAGES) refuse('sendBatch', `batch message count of ${all.length} exceeds limit of ${BATCH_MESSAGES}`);
      for (const { delaySeconds } of all) requireDelay('sendBatch', delaySeconds);
      await take(copies('sendBatch', all));
    },
    async metrics() {
      const { count, oldest_ms } = backlog();
      return { backlogCount: count, backlogBytes: count * 100, oldestMessageTimestamp: oldest_ms === null ? undefined : new Date(oldest_ms) };
    },
  };
}

/**
 * A message as a consumer gets it. What it was told first counts.
 *
 * @param {{id: string, timestamp?: Date, body: any, attempts: number}} message
 * @param {(verdict: 'ack' | 'retry', options?: {delaySeconds?: number}) => void} tell
 * @returns {any} as `Message`
 */
export function fakeMessage({ id, timestamp = new Date(), body, attempts }, tell) {
  return {
    id, timestamp, body, attempts,
    ack: () => tell('ack'),
    /** @param {{delaySeconds?: number}} [options] */
    retry: (options) => {
      requireDelay('retry', options?.delaySeconds);
      tell('retry', options);
    },
  };
}

/**
 * @param {string} method
 * @param {Sent[]} messages
 * @returns {Sent[]} what a consumer will see of them: JSON
 */
function copies(method, messages) {
  const texts = messages.map(({ body }) => JSON.stringify(body));
  const sizes = texts.map((text) => new TextEncoder().encode(text).byteLength);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  for (const size of sizes) if (size > MESSAGE_BYTES) refuse(method, `message length of ${size} bytes exceeds limit of ${MESSAGE_BYTES}`);
  if (total > BATCH_BYTES) refuse(method, `batch size of ${total} bytes exceeds limit of ${BATCH_BYTES}`);
  return messages.map((message, index) => ({ ...message, body: JSON.parse(texts[index] ?? '') }));
}

/**
 * @param {string} method
 * @param {number | undefined} delaySeconds
 */
function requireDelay(method, delaySeconds) {
  if (delaySeconds === undefined) return;
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > DELAY_SECONDS) {
    refuse(method, `delay of ${delaySeconds} seconds is not a whole number from 0 to ${DELAY_SECONDS}`);
  }
}

/**
 * @param {string} method
 * @param {string} why
 * @returns {never}
 */
function refuse(method, why) {
  throw new Error(`Queue ${method} failed: ${why}`);
}
