/** The target of a Worker's Analytics Engine binding: workerd has validated the data point, and here it is dropped. */

import { WorkerEntrypoint } from 'cloudflare:workers';

export class AnalyticsDataset extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    await request.arrayBuffer(); // workerd waits until the body is read
    return new Response();
  }
}
