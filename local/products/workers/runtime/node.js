/** Bindings of texts and of other Workers, in the Node process. */

import { TRIAL_WORKER } from '../../../runtime/bindings.js';
import { serviceName } from '../../../runtime/desired_state.js';

/** @param {{text: string}} binding */
const text = ({ text: value }) => ({ type: 'text', value });

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    plain_text: { live: text },
    secret_text: { live: text },
    json: { live: ({ json }) => ({ type: 'json', value: json }) },
    service: {
      live: ({ worker, version_id, entrypoint = 'default', props }) => ({
        type: 'worker',
        worker: serviceName(worker, version_id),
        ...(entrypoint !== 'default' && { exportName: entrypoint }),
        ...(props && { props }),
      }),
      trial: () => ({ type: 'worker', worker: TRIAL_WORKER }),
    },
  },
};
