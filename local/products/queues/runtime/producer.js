/** The target of a Worker's queue binding: workerd's own protocol for `send`, `sendBatch` and `metrics`. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { withFaults } from '../../faults/runtime/rules.js';
import { CODES, Refusal, checkMessages } from './limits.js';

/**
 * @import { Fault } from '../../faults/runtime/rules.js'
 * @import { QueueObject } from './object.js'
 * @import { IncomingMessage } from './store.js'
 *
 * @typedef {{QUEUES: DurableObjectNamespace<QueueObject>}} Env
 * @typedef {{queueId: string, deliveryDelay: number | null}} Props the binding's own delay, in seconds
 */

const DELAY_HEADER = 'X-Msg-Delay-Secs';
const FORMAT_HEADER = 'X-Msg-Fmt';
const DEFAULT_FORMAT = 'v8';

/** @extends {WorkerEntrypoint<Env, Props>} */
export class QueueProducer extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    const { queueId } = this.ctx.props;
    const queue = this.env.QUEUES.getByName(queueId);
    if (request.method === 'GET') return answer(await queue.metrics());
    try {
      const messages = await this.#messages(request);
      checkMessages(messages);
      const method = isSingle(request) ? 'send' : 'sendBatch';
      const push = async () => {
        const metrics = await queue.push(messages);
        return metrics === null ? answer(null) : answer({ metadata: { metrics } });
      };
      return await withFaults({ product: 'queues', resource: queueId, method, weight: messages.length }, push, refusalOf);
    } catch (error) {
      if (error instanceof Refusal) return refusal(error.status, error.code, error.message);
      throw error;
    }
  }

  /**
   * @param {Request} request
   * @returns {Promise<IncomingMessage[]>}
   */
  async #messages(request) {
    const delayHeader = request.headers.get(DELAY_HEADER);
    const delaySeconds = delayHeader ? Number(delayHeader) : this.ctx.props.deliveryDelay;
    if (isSingle(request)) {
      const contentType = request.headers.get(FORMAT_HEADER) ?? DEFAULT_FORMAT;
      return [{ contentType, body: new Uint8Array(await request.arrayBuffer()), delaySeconds }];
    }
    /** @type {{messages: {contentType?: string, body: string, delaySecs?: number}[]}} */
    const batch = await request.json();
    return batch.messages.map((message) => ({
      contentType: message.contentType ?? DEFAULT_FORMAT,
      body: Uint8Array.fromBase64(message.body),
      delaySeconds: message.delaySecs ?? delaySeconds,
    }));
  }
}

/** @param {Request} request */
function isSingle({ url }) {
  return new URL(url).pathname === '/message';
}

/** @param {Fault} fault */
function refusalOf({ status, message }) {
  return refusal(status ?? 500, CODE_OF_STATUS[status ?? 500] ?? CODES.UnknownInternalError, message);
}

/** The error codes of injected faults that are answers. @type {Record<number, number>} */
const CODE_OF_STATUS = { 403: CODES.QueueStorageLimitExceeded, 429: CODES.QueueOverloaded };

/** @param {unknown} body null: the queue does not exist, or does not exist any more */
function answer(body) {
  return body === null ? refusal(404, CODES.QueueNotFound, 'queue not found') : Response.json(body);
}

/**
 * workerd shows the sender cause and code; with an earlier compatibility date it shows the status text.
 *
 * @param {number} status
 * @param {number} code
 * @param {string} message
 */
function refusal(status, code, message) {
  const headers = { 'CF-Queues-Error-Code': String(code), 'CF-Queues-Error-Cause': message };
  return new Response(message, { status, statusText: message, headers });
}
