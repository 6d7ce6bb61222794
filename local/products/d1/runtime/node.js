/** D1, as the Node process sees it: Miniflare's databases. */

import { join } from 'node:path';

import { TRIAL_WORKER, systemEntrypoint, workerdBinding, wrappedBinding } from '../../../runtime/bindings.js';

/** Miniflare starts its D1 service only when some Worker binds a database; this one is never opened. */
const UNUSED_DATABASE = '00000000-0000-0000-0000-000000000000';
const NAMESPACE = 'miniflare-D1DatabaseObject';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  // The module is workerd's.
  bindings: { d1: { live: ({ id }) => wrappedBinding('cloudflare-internal:d1-api', 'fetcher', systemEntrypoint('D1Binding', { databaseId: id })), trial: () => ({ type: 'd1', id: TRIAL_WORKER }) } },
  environment: () => ({
    UNUSED_DATABASE: { type: 'd1', id: UNUSED_DATABASE },
    D1_DATABASES: workerdBinding({ durableObjectNamespace: { className: 'D1DatabaseObject', serviceName: 'd1:db' } }),
  }),
  remove: { d1: (files, id) => files.removeNamed(join('d1', NAMESPACE), NAMESPACE, id) },
};
