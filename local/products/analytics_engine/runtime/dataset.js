/** Where a Worker's Analytics Engine binding writes to: workerd has checked the point, and here it ends. */

import { WorkerEntrypoint } from 'cloudflare:workers';

export class AnalyticsDataset extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch(request) {
    await request.arrayBuffer(); // workerd waits until it is read
    return new Response();
  }
}
