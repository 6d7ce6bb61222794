/** Queues by id, for the Node process. */

import { CallError } from '../../../runtime/system/call_error.js';
import { checkMessages } from './limits.js';

/**
 * @import { QueueSettings } from '../../../runtime/desired_state.js'
 * @import { QueueObject, ReadMessage } from './object.js'
 * @import { QueueMetrics } from './store.js'
 *
 * @typedef {{QUEUES: DurableObjectNamespace<QueueObject>}} Env
 */

export default { queues: { configure, retire, destroy, push, pull, peek, acknowledge, purge, metrics } };

/** @type {(env: Env, id: string, settings: QueueSettings) => Promise<object>} */
async function configure(env, id, settings) {
  await env.QUEUES.getByName(id).configure(settings);
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function retire(env, id) {
  await env.QUEUES.getByName(id).retire();
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function destroy(env, id) {
  await env.QUEUES.getByName(id).destroy();
  return {};
}

/**
 * @typedef {{body_base64: string, content_type: string, delay_seconds?: number | null}} PushedMessage
 * @type {(env: Env, id: string, body: {messages: PushedMessage[]}) => Promise<object>}
 */
async function push(env, id, { messages }) {
  const incoming = messages.map((message) => ({
    body: Uint8Array.fromBase64(message.body_base64),
    contentType: message.content_type,
    delaySeconds: message.delay_seconds ?? null,
  }));
  checkMessages(incoming);
  return metricsReply(await env.QUEUES.getByName(id).push(incoming));
}

/**
 * @typedef {{batch_size: number, visibility_timeout_ms?: number | null}} Pull
 * @type {(env: Env, id: string, body: Pull) => Promise<object>}
 */
async function pull(env, id, { batch_size, visibility_timeout_ms = null }) {
  const pulled = await env.QUEUES.getByName(id).pull(batch_size, visibility_timeout_ms);
  return {
    message_backlog_count: pulled.backlogCount,
    messages: pulled.messages.map((message) => ({ ...messageReply(message), lease_id: message.leaseId })),
  };
}

/** @type {(env: Env, id: string, body: {batch_size: number}) => Promise<object>} */
async function peek(env, id, { batch_size }) {
  const seen = await env.QUEUES.getByName(id).peek(batch_size);
  return { message_backlog_count: seen.backlogCount, messages: seen.messages.map(messageReply) };
}

/**
 * @typedef {{lease_id: string}} Ack
 * @typedef {{lease_id: string, delay_seconds?: number}} Retry
 * @type {(env: Env, id: string, body: {acks?: Ack[], retries?: Retry[]}) => Promise<object>}
 */
async function acknowledge(env, id, { acks = [], retries = [] }) {
  const { ackCount, retryCount, warnings } = await env.QUEUES.getByName(id).acknowledge(acks, retries);
  return { ack_count: ackCount, retry_count: retryCount, warnings };
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function purge(env, id) {
  await env.QUEUES.getByName(id).purge();
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function metrics(env, id) {
  return metricsReply(await env.QUEUES.getByName(id).metrics());
}

/** @param {QueueMetrics | null} measured */
function metricsReply(measured) {
  if (measured === null) throw new CallError('not_found', 'queue not found');
  return {
    backlog_count: measured.backlogCount,
    backlog_bytes: measured.backlogBytes,
    oldest_message_timestamp_ms: measured.oldestMessageTimestamp,
  };
}

/** @param {ReadMessage} message */
function messageReply({ id, attempts, contentType, timestamp, body }) {
  return {
    id,
    attempts,
    body_base64: new Uint8Array(body).toBase64(),
    content_type: contentType,
    timestamp_ms: timestamp,
  };
}
