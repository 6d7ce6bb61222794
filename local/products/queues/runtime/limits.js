/**
 * The limits of Cloudflare Queues, with its messages (developers.cloudflare.com/queues/platform/limits/). Messages from a Worker's binding and from
 * the REST API are both checked here.
 */

/** @import { IncomingMessage } from './store.js' */

const MAX_MESSAGE_BYTES = 128_000;
const MAX_BATCH_MESSAGES = 100;
const MAX_BATCH_BYTES = 256_000;
const MAX_DELAY_SECONDS = 86_400;
const CONTENT_TYPES = new Set(['json', 'text', 'bytes', 'v8']);

/** The error codes of queues, by their names in https://developers.cloudflare.com/queues/reference/error-codes/. */
export const CODES = Object.freeze({
  QueueNotFound: 10104,
  MessageMetadataInvalid: 10203,
  MessageSizeOutOfBounds: 10204,
  BatchSizeOutOfBounds: 10205,
  BatchCountOutOfBounds: 10206,
  QueueOverloaded: 10250,
  QueueStorageLimitExceeded: 10251,
  UnknownInternalError: 15000,
});

/** A message that a queue refuses. `status` is Cloudflare's HTTP status, `code` its error code. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {keyof typeof CODES} name
   * @param {string} message
   */
  constructor(status, name, message) {
    super(message);
    this.status = status;
    this.code = CODES[name];
    this.kind = 'bad_request'; // for the control plane
  }
}

/**
 * Throws a Refusal if one message, or all of them together, exceed a limit.
 *
 * @param {IncomingMessage[]} messages
 */
export function checkMessages(messages) {
  const sizes = messages.map((message) => message.body.byteLength);
  if (messages.length === 1) checkSize(sizes[0] ?? 0);
  else checkBatch(sizes);
  for (const message of messages) {
    checkContentType(message);
    checkDelay(message.delaySeconds);
  }
}

/** @param {number} bytes */
function checkSize(bytes) {
  if (bytes > MAX_MESSAGE_BYTES) {
    throw new Refusal(413, 'MessageSizeOutOfBounds', `message length of ${bytes} bytes exceeds limit of ${MAX_MESSAGE_BYTES}`);
  }
}

/** @param {number[]} sizes sizes in bytes */
function checkBatch(sizes) {
  if (sizes.length > MAX_BATCH_MESSAGES) {
    throw new Refusal(413, 'BatchCountOutOfBounds', `batch message count of ${sizes.length} exceeds limit of ${MAX_BATCH_MESSAGES}`);
  }
  const largest = Math.max(0, ...sizes);
  if (largest > MAX_MESSAGE_BYTES) {
    const limit = `single message size limit of ${MAX_MESSAGE_BYTES}`;
    throw new Refusal(413, 'MessageSizeOutOfBounds', `message in batch has length ${largest} bytes which exceeds ${limit}`);
  }
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > MAX_BATCH_BYTES) {
    throw new Refusal(413, 'BatchSizeOutOfBounds', `batch size of ${total} bytes exceeds limit of ${MAX_BATCH_BYTES}`);
  }
}

/** @param {IncomingMessage} message */
function checkContentType({ contentType, body }) {
  if (!CONTENT_TYPES.has(contentType)) {
    const known = "if specified, must be one of 'text', 'json', 'bytes', or 'v8'";
    throw new Refusal(400, 'MessageMetadataInvalid', `message content type ${contentType} is invalid; ${known}`);
  }
  if (contentType === 'json') {
    try {
      JSON.parse(new TextDecoder().decode(body));
    } catch {
      throw new Refusal(400, 'MessageMetadataInvalid', 'message content type is json, but the body is not valid JSON');
    }
  }
}

/** @param {number | null} seconds */
function checkDelay(seconds) {
  if (seconds === null) return;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > MAX_DELAY_SECONDS) {
    throw new Refusal(400, 'MessageMetadataInvalid', `message delay ${seconds} is invalid; must be an integer from 0 to ${MAX_DELAY_SECONDS}`);
  }
}
