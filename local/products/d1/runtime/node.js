/** D1, as the Node process sees it: Miniflare's databases. */

import { TRIAL_WORKER, storeCalls, storeService, workerdBinding, wrappedBinding } from '../../../runtime/bindings.js';
import { D1_OBJECTS, D1_WRAPPER } from '../../../runtime/system/miniflare_internals.js';

/** Miniflare starts its D1 service only when some Worker binds a database; this one is never opened. */
const UNUSED_DATABASE = '00000000-0000-0000-0000-000000000000';
/** With it, workerd's client speaks RPC. */
const RPC_FLAG = 'd1_binding_jsrpc';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    d1: {
      live: ({ id }, { compatibility_flags }) => {
        const leadTo = compatibility_flags.includes(RPC_FLAG) ? storeCalls : storeService;
        return wrappedBinding(D1_WRAPPER, 'fetcher', leadTo('D1Binding', { databaseId: id }));
      },
      trial: () => ({ type: 'd1', id: TRIAL_WORKER }),
    },
  },
  environment: {
    UNUSED_DATABASE: { type: 'd1', id: UNUSED_DATABASE },
    D1_DATABASES: workerdBinding({ durableObjectNamespace: D1_OBJECTS.binding }),
  },
  remove: { d1: (files, id) => files.removeNamed(D1_OBJECTS.folder, D1_OBJECTS.namespace, id) },
};
