/** Analytics Engine in the Node process. */

import { TRIAL_SERVICE, storeService, workerdBinding } from '../../../runtime/bindings.js';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    analytics_engine: {
      live: () => workerdBinding({ analyticsEngine: storeService('AnalyticsDataset', {}) }),
      trial: () => workerdBinding({ analyticsEngine: TRIAL_SERVICE }),
    },
  },
};
