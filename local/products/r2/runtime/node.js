/** R2 in the Node process: Miniflare's buckets. */

import { join } from 'node:path';

import { TRIAL_SERVICE, storeService, workerdBinding } from '../../../runtime/bindings.js';
import { R2_BLOBS_FOLDER, R2_OBJECTS } from '../../../runtime/system/miniflare_internals.js';

/** Miniflare starts its R2 service only if some Worker binds a bucket; this one is never used. */
const UNUSED_BUCKET = 'unused';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    r2_bucket: {
      live: ({ bucket_id }) => workerdBinding({ r2Bucket: storeService('ObjectBinding', { namespace: 'R2_BUCKETS', name: bucket_id }) }),
      trial: () => workerdBinding({ r2Bucket: TRIAL_SERVICE }),
    },
  },
  environment: {
    UNUSED_BUCKET: { type: 'r2', name: UNUSED_BUCKET },
    R2_BUCKETS: workerdBinding({ durableObjectNamespace: R2_OBJECTS.binding }),
  },
  remove: {
    // No other bucket will have this id: a process that has the files open may use them for a while.
    r2(files, id) {
      files.removeNamed(R2_OBJECTS.folder, R2_OBJECTS.namespace, id);
      files.removeFolder(join(R2_BLOBS_FOLDER, id));
    },
  },
};
