/** The binding to a Worker's own assets, as the Node process sees it. */

import { TRIAL_WORKER } from '../../../runtime/bindings.js';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: { assets: { live: () => ({ type: 'assets' }), trial: () => ({ type: 'worker', worker: TRIAL_WORKER }) } },
};
