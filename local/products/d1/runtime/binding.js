/** The target of a Worker's D1 binding: workerd's own client sends it statements, as HTTP requests or by RPC. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { runRpcQuery } from './calls.js';
import { D1_BOOKMARK_HEADER } from '../../../runtime/system/miniflare_internals.js';
import { hasFaults, withFaults } from '../../faults/runtime/rules.js';

/**
 * @import { Env, Query, RpcAnswer } from './calls.js'
 * @import { FaultableCall } from '../../faults/runtime/rules.js'
 *
 * @typedef {{databaseId: string}} Props
 */

/** Words with which a writing statement begins. A batch is a write if one of its statements is. */
const WRITES = /\b(?:insert|update|delete|replace|create|alter|drop|vacuum|reindex)\b/i;

const PATHS = ['/query', '/execute'];

/** @extends {WorkerEntrypoint<Env, Props>} */
export class D1Binding extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    const body = await request.text();
    const send = () => this.#answer(request, body);
    if (!hasFaults('d1')) return send();
    return withFaults(this.#call(body), send, ({ message }) => refusal(message));
  }

  /**
   * @param {Request} request
   * @param {string} body
   */
  async #answer({ url, headers }, body) {
    const { pathname, searchParams } = new URL(url);
    if (!PATHS.includes(pathname)) return new Response(null, { status: 404 });
    const format = searchParams.get('resultsFormat') === 'ROWS_AND_COLUMNS' ? 'arrays' : 'objects';
    const wantsBookmark = Boolean(headers.get(D1_BOOKMARK_HEADER)?.trim());
    const answer = await this.env.D1_DATABASES.getByName(this.#id).run(body, format, wantsBookmark);
    if ('error' in answer) return refusal(answer.error);
    const { json, bookmark } = answer;
    return new Response(json, {
      headers: { 'Content-Type': 'application/json', ...(bookmark !== null && { [D1_BOOKMARK_HEADER]: bookmark }) },
    });
  }

  /**
   * For the compatibility flag d1_binding_jsrpc.
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
   * @param {string} sql the statement, also within a longer text
   * @returns {FaultableCall}
   */
  #call(sql) {
    return { product: 'd1', resource: this.#id, method: WRITES.test(sql) ? 'write' : 'read' };
  }

  get #id() {
    return this.ctx.props.databaseId;
  }
}

/** @param {string} error */
function refusal(error) {
  return Response.json({ success: false, error });
}
