/** D1 in the Node process. */

import { join } from 'node:path';

import { TRIAL_SERVICE, storeCalls, storeService, wrappedBinding } from '../../../runtime/bindings.js';
import { D1_WRAPPER, OBJECTS_FOLDER } from '../../../runtime/system/miniflare_internals.js';

/** The name that Miniflare's own objects had: these objects continue with their files, and an object's id is derived from the name. */
const NAMESPACE = 'miniflare-D1DatabaseObject';
const FOLDER = join(OBJECTS_FOLDER, NAMESPACE);
/** With this flag workerd's client uses RPC. */
const RPC_FLAG = 'd1_binding_jsrpc';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    d1: {
      live: ({ id }, { compatibility_flags }) => {
        const leadTo = compatibility_flags.includes(RPC_FLAG) ? storeCalls : storeService;
        return wrappedBinding(D1_WRAPPER, 'fetcher', leadTo('D1Binding', { databaseId: id }));
      },
      trial: () => wrappedBinding(D1_WRAPPER, 'fetcher', TRIAL_SERVICE),
    },
  },
  classes: { D1Object: { binding: 'D1_DATABASES', uniqueKey: NAMESPACE } },
  movedFolders: { [join('d1', NAMESPACE)]: FOLDER },
  remove: { d1: (files, id) => files.removeNamed(FOLDER, NAMESPACE, id) },
};
