/** KV in the Node process. */

import { join } from 'node:path';

import { TRIAL_SERVICE, storeCalls, workerdBinding } from '../../../runtime/bindings.js';
import { OBJECTS_FOLDER } from '../../../runtime/system/miniflare_internals.js';

const NAMESPACE = 'local-kv';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    kv_namespace: {
      live: ({ namespace_id }) => workerdBinding({ kvNamespace: storeCalls('KvBinding', { namespaceId: namespace_id }) }),
      trial: () => workerdBinding({ kvNamespace: TRIAL_SERVICE }),
    },
  },
  classes: { KvObject: { binding: 'KV_NAMESPACES', uniqueKey: NAMESPACE } },
  remove: { kv: (files, id) => files.removeNamed(join(OBJECTS_FOLDER, NAMESPACE), NAMESPACE, id) },
};
