/** The binding to a Worker's own assets, in the Node process. */

import { TRIAL_WORKER } from '../../../runtime/bindings.js';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: { assets: { live: () => ({ type: 'assets' }), trial: () => ({ type: 'worker', worker: TRIAL_WORKER }) } },
};
