/** Workflows in the Node process: Miniflare's engines, behind our own objects. */

import { join } from 'node:path';

import { HOST_WORKER, TRIAL_SERVICE, storeCalls, workerdBinding, wrappedBinding } from '../../../runtime/bindings.js';
import { serviceName } from '../../../runtime/desired_state.js';
import { WORKFLOWS_FOLDER, WORKFLOW_WRAPPER, engineClass, instancesNamespace } from '../../../runtime/system/miniflare_internals.js';

/**
 * @import { DesiredState, Workflow } from '../../../runtime/desired_state.js'
 * @import { Guest } from '../../../runtime/products.js'
 */

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    workflow: {
      live: ({ workflow_name }) => workflowBinding(storeCalls('WorkflowBinding', { workflowName: workflow_name })),
      trial: () => workflowBinding(TRIAL_SERVICE),
    },
  },
  // It awaits the end of each instance.
  classes: { WorkflowObject: { binding: 'WORKFLOWS', uniqueKey: 'local-workflows', preventEviction: true } },
  standing: { workflows: { settings: workflowSettings, leaves: true } },
  guests: ({ workflows }) => workflows.map(engine),
  sweep,
  remove: { workflows: (files, id) => files.removeFolder(join(WORKFLOWS_FOLDER, instancesNamespace(id))) },
};

/**
 * Returns the configuration of each workflow's Durable Object, by its id.
 *
 * @param {DesiredState} state
 */
function workflowSettings({ workflows }) {
  return Object.fromEntries(
    workflows.map(({ id, name, version_id, worker_version_id, concurrency, retention }) => (
      [id, { id, name, version_id, active: worker_version_id !== null, concurrency, retention }]
    )),
  );
}

/**
 * Returns Miniflare's engine of a workflow, which comes with a binding, and the engine's objects. A workflow without code has an engine too, so that
 * its instances can be read.
 *
 * @param {Workflow} workflow
 * @returns {Guest}
 */
function engine({ id, script_name, class_name, worker_version_id, step_limit }) {
  const hasCode = worker_version_id !== null;
  const code = hasCode
    ? { worker: serviceName(script_name, worker_version_id), exportName: class_name }
    : { worker: HOST_WORKER, exportName: 'StoreCalls' }; // never run
  const limits = step_limit === null ? {} : { unsafeConfig: { limits: { steps: step_limit } } };
  return {
    kind: 'workflows',
    id,
    worker: hasCode ? script_name : null,
    folder: join(WORKFLOWS_FOLDER, instancesNamespace(id)),
    environment: {
      [`WORKFLOW ${id}`]: { type: 'workflow', name: id, ...code, ...limits },
      [`ENGINES ${id}`]: workerdBinding({ durableObjectNamespace: engineClass(id) }),
    },
  };
}

/**
 * Returns a workflow's binding, which Miniflare wraps around a service.
 *
 * @param {object} service
 */
function workflowBinding(service) {
  return wrappedBinding(WORKFLOW_WRAPPER, 'binding', service);
}

/**
 * Deletes instances whose retention is over, with their files.
 *
 * @type {NonNullable<import('../../../runtime/products.js').NodeProduct['sweep']>}
 */
async function sweep({ workflows }, call, files) {
  for (const { id } of workflows) {
    const { ids } = await call('workflows', id, 'sweep', {});
    const namespace = instancesNamespace(id);
    for (const instance of ids) files.removeNamed(join(WORKFLOWS_FOLDER, namespace), namespace, instance);
    if (ids.length > 0) await call('workflows', id, 'forget', { ids });
  }
}
