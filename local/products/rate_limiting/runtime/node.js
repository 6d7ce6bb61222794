/** Rate limiting in the Node process: Miniflare's counters, in the store's process, so that they survive a new version. */

import { storeService, workerdBinding, wrappedBinding } from '../../../runtime/bindings.js';
import { RATE_LIMIT_OBJECTS } from '../../../runtime/system/miniflare_internals.js';
import { RATE_LIMIT_WRAPPER } from '../../../runtime/workerd_plugin.js';

/** Miniflare starts its service of counters only if some Worker binds one; this one is never used. */
const UNUSED_LIMIT = { type: /** @type {const} */ ('rate-limit'), namespace: 'unused', simple: { limit: 1, period: /** @type {const} */ (60) } };

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    ratelimit: {
      live: ({ namespace_id, simple }) =>
        wrappedBinding(RATE_LIMIT_WRAPPER, 'fetcher', storeService('ObjectBinding', { namespace: 'RATE_LIMITS', name: namespace_id }), simple),
      trial: ({ namespace_id, simple }) => ({ type: 'rate-limit', namespace: namespace_id, simple }),
    },
  },
  environment: { UNUSED_LIMIT, RATE_LIMITS: workerdBinding({ durableObjectNamespace: RATE_LIMIT_OBJECTS.binding }) },
};
