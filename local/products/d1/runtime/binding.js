/** What a Worker's D1 binding speaks to: workerd's own client sends it statements, as HTTP requests or by RPC. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { runRpcQuery } from './calls.js';
import { ask } from './queries.js';
import { hasFaults, withFaults } from '../../faults/runtime/rules.js';

/**
 * @import { Query, RpcAnswer } from './calls.js'
 * @import { FaultableCall } from '../../faults/runtime/rules.js'
 *
 * @typedef {{D1_DATABASES: DurableObjectNamespace}} Env
 * @typedef {{databaseId: string}} Props
 */

/** Words that begin what changes a database. A batch is a write when one of its statements is. */
const WRITES = /\b(?:insert|update|delete|replace|create|alter|drop|vacuum|reindex)\b/i;

/** @extends {WorkerEntrypoint<Env, Props>} */
export class D1Binding extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const body = await request.text();
    const send = () => ask(this.env, this.#id, pathname + search, request.headers, body);
    if (!hasFaults('d1')) return send();
    return withFaults(this.#call(body), send, ({ message }) => Response.json({ success: false, error: message }));
  }

  /**
   * With the compatibility flag d1_binding_jsrpc.
   *
   * @param {{queries: Query[], bookmark?: string}} request
   * @returns {Promise<RpcAnswer>}
   */
  async query({ queries, bookmark }) {
    const sql = queries.map((query) => query.sql).join('\n');
    return withFaults(this.#call(sql), () => runRpcQuery(this.env, this.#id, queries, bookmark), ({ message }) => {
      throw Object.assign(new Error(message), { name: 'D1_ERROR' });
    });
  }

  /**
   * @param {string} sql with or without something around it
   * @returns {FaultableCall}
   */
  #call(sql) {
    return { product: 'd1', resource: this.#id, method: WRITES.test(sql) ? 'write' : 'read' };
  }

  get #id() {
    return this.ctx.props.databaseId;
  }
}
