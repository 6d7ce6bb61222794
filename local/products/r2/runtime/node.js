/** R2, as the Node process sees it: Miniflare's buckets. */

import { join } from 'node:path';

import { TRIAL_SERVICE, workerdBinding } from '../../../runtime/bindings.js';

/** Miniflare starts its R2 service only when some Worker binds a bucket; this one is never opened. */
const UNUSED_BUCKET = 'unused';
/** Where Miniflare keeps buckets: what each has in the objects' folder, and its blobs in a folder of its own. */
const FOLDER = 'r2';
const NAMESPACE = 'miniflare-R2BucketObject';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    r2_bucket: { live: ({ bucket_id }) => ({ type: 'r2', name: bucket_id }), trial: () => workerdBinding({ r2Bucket: TRIAL_SERVICE }) },
  },
  environment: () => ({
    UNUSED_BUCKET: { type: 'r2', name: UNUSED_BUCKET },
    R2_BUCKETS: workerdBinding({ durableObjectNamespace: { className: 'R2BucketObject', serviceName: 'r2:bucket' } }),
  }),
  remove: {
    // No other bucket will have this id: what has the files open may go on for a while.
    r2(files, id) {
      files.removeNamed(join(FOLDER, NAMESPACE), NAMESPACE, id);
      files.removeFolder(join(FOLDER, id));
    },
  },
};
