/** Durable Objects of the user's Workers, in the Node process. */

import { join } from 'node:path';

import { TRIAL_CLASS, TRIAL_WORKER, storeCalls, workerdBinding } from '../../../runtime/bindings.js';
import { serviceName } from '../../../runtime/desired_state.js';
import { OBJECTS_FOLDER, SERVICE_PREFIX } from '../../../runtime/system/miniflare_internals.js';
import { objectNamespaceBinding } from '../../../runtime/workerd_plugin.js';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    durable_object_namespace: {
      live: ({ worker, version_id, class_name, namespace_id }) =>
        workerdBinding(
          objectNamespaceBinding(
            { className: class_name, serviceName: SERVICE_PREFIX + serviceName(worker, version_id) },
            storeCalls('FaultDraws', { product: 'durable-objects', resource: namespace_id }),
          ),
        ),
      trial: () => ({ type: 'durable-object', worker: TRIAL_WORKER, exportName: TRIAL_CLASS }),
    },
  },
  answers: { durable_objects: { list: (files, namespaceId) => ({ ids: files.ids(join(OBJECTS_FOLDER, namespaceId)) }) } },
  remove: { durable_objects: (files, namespaceId) => files.removeFolder(join(OBJECTS_FOLDER, namespaceId)) },
};
