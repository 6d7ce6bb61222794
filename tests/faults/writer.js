/** A Worker whose object counts, and whose workflow takes a step. */

import { DurableObject, WorkflowEntrypoint } from 'cloudflare:workers';

export class Counter extends DurableObject {
  /** @param {number} by */
  async add(by) {
    /** @type {number | undefined} */
    const before = await this.ctx.storage.get('count');
    const count = (before ?? 0) + by;
    await this.ctx.storage.put('count', count);
    return count;
  }
}

export class Flow extends WorkflowEntrypoint {
  /**
   * @override
   * @param {unknown} _event
   * @param {import('cloudflare:workers').WorkflowStep} step
   */
  async run(_event, step) {
    return step.do('step', async () => 'done');
  }
}

export default {
  /**
   * POST counts one more and answers the count, GET answers it.
   *
   * @param {Request} request
   * @param {{COUNTER: any}} env a namespace of {@link Counter}
   */
  async fetch(request, env) {
    return Response.json(await env.COUNTER.getByName('one').add(request.method === 'POST' ? 1 : 0));
  },
};
