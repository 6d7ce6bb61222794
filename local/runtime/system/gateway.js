/**
 * How the Node side reaches what lives in workerd: D1 databases, KV namespaces, R2 buckets, queues and the Workers'
 * handlers. JSON over HTTP; objects of R2 as they are.
 */

import { exportDatabase, importStatements, queryDatabase } from '../../products/d1/runtime/calls.js';
import { deleteValues, getValues, listKeys, putValues } from '../../products/kv/runtime/calls.js';
import { KvRefusal } from '../../products/kv/runtime/limits.js';
import { Refusal, checkMessages } from '../../products/queues/runtime/limits.js';
import { deleteObject, listObjects, measureBucket, passObject } from '../../products/r2/runtime/calls.js';
import { pickService } from './services.js';
import { listenTo } from '../../products/tails/runtime/tail.js';
import { reasonOf } from '../../products/workflows/runtime/limits.js';
import { WORKFLOW_ROUTES } from '../../products/workflows/runtime/calls.js';

/**
 * @import { QueueSettings, Target } from '../desired_state.js'
 * @import { KvObject } from '../../products/kv/runtime/object.js'
 * @import { QueueObject, ReadMessage } from '../../products/queues/runtime/object.js'
 * @import { QueueMetrics } from '../../products/queues/runtime/store.js'
 * @import { Services } from './services.js'
 * @import { WorkflowObject } from '../../products/workflows/runtime/object.js'
 *
 * @typedef {Services & {
 *   QUEUES: DurableObjectNamespace<QueueObject>,
 *   D1_DATABASES: DurableObjectNamespace,
 *   KV_NAMESPACES: DurableObjectNamespace<KvObject>,
 *   R2_BUCKETS: DurableObjectNamespace,
 *   WORKFLOWS: DurableObjectNamespace<WorkflowObject>,
 *   GATEWAY_TOKEN: string,
 * }} Env
 */

const OBJECT_PATH = '/r2/object';

/** @type {Record<string, (env: Env, body: any) => Promise<object>>} */
const ROUTES = {
  '/ping': async () => ({}),
  '/d1/query': queryDatabase,
  '/d1/import': importStatements,
  '/d1/export': exportDatabase,
  '/kv/get': getValues,
  '/kv/put': putValues,
  '/kv/delete': deleteValues,
  '/kv/list': listKeys,
  '/r2/delete': deleteObject,
  '/r2/list': listObjects,
  '/r2/measure': measureBucket,
  '/queues/configure': configureQueues,
  '/queues/retire': retireQueues,
  '/queues/destroy': destroyQueue,
  '/queues/drain': drainQueues,
  '/queues/messages': pushMessages,
  '/queues/pull': pullMessages,
  '/queues/peek': peekMessages,
  '/queues/ack': acknowledgeMessages,
  '/queues/purge': purgeQueue,
  '/queues/metrics': queueMetrics,
  '/scheduled': runScheduled,
  '/tails/configure': configureTails,
  ...WORKFLOW_ROUTES,
};

export default {
  /**
   * @param {Request} request
   * @param {Env} env
   */
  async fetch(request, env) {
    // The socket is open to every program on this machine, the user's Workers included.
    if (request.headers.get('Authorization') !== `Bearer ${env.GATEWAY_TOKEN}`) return failure(401, 'unauthorized', '');
    const path = new URL(request.url).pathname;
    try {
      if (path === OBJECT_PATH) return await passObject(env, request);
      const route = ROUTES[path];
      if (!route) return failure(404, 'not_found', 'no such route');
      return Response.json(await route(env, await request.json()));
    } catch (error) {
      if (error instanceof Refusal || error instanceof KvRefusal) return failure(error.status, 'bad_request', error.message);
      if (error instanceof Error && error.name === 'SqlError') return failure(400, 'sql', error.message);
      if (error instanceof Error && error.name === 'NotFound') return failure(404, 'not_found', error.message);
      const reason = reasonOf(error);
      if (reason !== null) return failure(400, 'workflow', reason);
      return failure(500, 'internal', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  },
};

/**
 * @param {number} status
 * @param {string} kind
 * @param {string} message
 */
function failure(status, kind, message) {
  return Response.json({ error: { kind, message } }, { status });
}

/** @type {(env: Env, body: {queues: Record<string, QueueSettings>}) => Promise<object>} */
async function configureQueues(env, { queues }) {
  await Promise.all(Object.entries(queues).map(([id, settings]) => env.QUEUES.getByName(id).configure(settings)));
  return {};
}

/** @type {(env: Env, body: {ids: string[]}) => Promise<object>} */
async function retireQueues(env, { ids }) {
  await Promise.all(ids.map((id) => env.QUEUES.getByName(id).retire()));
  return {};
}

/** @type {(env: Env, body: {id: string}) => Promise<object>} */
async function destroyQueue(env, { id }) {
  await env.QUEUES.getByName(id).destroy();
  return {};
}

/** @type {(env: Env, body: {ids: string[], milliseconds: number}) => Promise<object>} */
async function drainQueues(env, { ids, milliseconds }) {
  await Promise.all(ids.map((id) => env.QUEUES.getByName(id).drain(milliseconds)));
  return {};
}

/**
 * @typedef {{body_base64: string, content_type: string, delay_seconds?: number | null}} PushedMessage
 * @type {(env: Env, body: {id: string, messages: PushedMessage[]}) => Promise<object>}
 */
async function pushMessages(env, { id, messages }) {
  const incoming = messages.map((message) => ({
    body: Uint8Array.fromBase64(message.body_base64),
    contentType: message.content_type,
    delaySeconds: message.delay_seconds ?? null,
  }));
  checkMessages(incoming);
  return { metrics: metricsReply(await env.QUEUES.getByName(id).push(incoming)) };
}

/**
 * @typedef {{id: string, batch_size: number, visibility_timeout_ms?: number | null}} Pull
 * @type {(env: Env, body: Pull) => Promise<object>}
 */
async function pullMessages(env, { id, batch_size, visibility_timeout_ms = null }) {
  const pulled = await env.QUEUES.getByName(id).pull(batch_size, visibility_timeout_ms);
  return {
    message_backlog_count: pulled.backlogCount,
    messages: pulled.messages.map((message) => ({ ...messageReply(message), lease_id: message.leaseId })),
  };
}

/** @type {(env: Env, body: {id: string, batch_size: number}) => Promise<object>} */
async function peekMessages(env, { id, batch_size }) {
  const seen = await env.QUEUES.getByName(id).peek(batch_size);
  return { message_backlog_count: seen.backlogCount, messages: seen.messages.map(messageReply) };
}

/**
 * @typedef {{lease_id: string}} Ack
 * @typedef {{lease_id: string, delay_seconds?: number}} Retry
 * @type {(env: Env, body: {id: string, acks?: Ack[], retries?: Retry[]}) => Promise<object>}
 */
async function acknowledgeMessages(env, { id, acks = [], retries = [] }) {
  const { ackCount, retryCount, warnings } = await env.QUEUES.getByName(id).acknowledge(acks, retries);
  return { ack_count: ackCount, retry_count: retryCount, warnings };
}

/** @type {(env: Env, body: {id: string}) => Promise<object>} */
async function purgeQueue(env, { id }) {
  await env.QUEUES.getByName(id).purge();
  return {};
}

/** @type {(env: Env, body: {id: string}) => Promise<object>} */
async function queueMetrics(env, { id }) {
  return metricsReply(await env.QUEUES.getByName(id).metrics());
}

/** @type {(env: Env, body: {targets: Target[], cron: string, scheduledTime: number}) => Promise<object>} */
async function runScheduled(env, { targets, cron, scheduledTime }) {
  const service = pickService(env, targets);
  return (await service?.scheduled({ cron, scheduledTime: new Date(scheduledTime) })) ?? {};
}

/** @type {(env: Env, body: {workers: string[]}) => Promise<object>} */
async function configureTails(_env, { workers }) {
  listenTo(workers);
  return {};
}

/** @param {QueueMetrics | null} metrics */
function metricsReply(metrics) {
  if (metrics === null) throw Object.assign(new Error('queue not found'), { name: 'NotFound' });
  return {
    backlog_count: metrics.backlogCount,
    backlog_bytes: metrics.backlogBytes,
    oldest_message_timestamp_ms: metrics.oldestMessageTimestamp,
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
