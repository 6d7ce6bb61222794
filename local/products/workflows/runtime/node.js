/** Workflows, as the Node process sees them: Miniflare's engines, behind objects of ours. */

import { join } from 'node:path';

import { SYSTEM_WORKER, TRIAL_SERVICE, systemEntrypoint, workerdBinding, wrappedBinding } from '../../../runtime/bindings.js';
import { serviceName } from '../../../runtime/desired_state.js';

/**
 * @import { DesiredState, Workflow } from '../../../runtime/desired_state.js'
 * @import { Env } from '../../../runtime/bindings.js'
 */

/** Where Miniflare keeps the instances of workflows: each workflow's in a folder of its own. */
const INSTANCES_FOLDER = 'workflows';
const INSTANCES_PREFIX = 'miniflare-workflows-';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    workflow: {
      live: ({ workflow_name }) => workflowBinding(systemEntrypoint('WorkflowBinding', { workflowName: workflow_name })),
      trial: () => workflowBinding(TRIAL_SERVICE),
    },
  },
  // It awaits the end of each instance.
  classes: { WorkflowObject: { binding: 'WORKFLOWS', uniqueKey: 'local-workflows', preventEviction: true } },
  environment: ({ workflows }) => ({
    ...Object.fromEntries(workflows.flatMap(workflowBindings)),
    WORKFLOW_IDS: { type: 'json', value: Object.fromEntries(workflows.map(({ id, name }) => [name, id])) },
  }),
  standing: { workflows: { settings: workflowSettings, leaves: true } },
  restarts: ({ workflows }) => workflows.map(({ version_id: _version, retention: _retention, concurrency: _concurrency, ...workflow }) => workflow),
  sweep,
  remove: { workflows: (files, id) => files.removeFolder(join(INSTANCES_FOLDER, INSTANCES_PREFIX + id)) },
};

/**
 * What each workflow's Durable Object is told, by its id.
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
 * What the system Worker needs of a workflow: Miniflare's engine, which comes with a binding, and the engine's objects.
 * A workflow without code has an engine as well, so that its instances can be read.
 *
 * @param {Workflow} workflow
 * @returns {[string, Env][]}
 */
function workflowBindings({ id, script_name, class_name, worker_version_id, step_limit }) {
  const code =
    worker_version_id === null
      ? { worker: SYSTEM_WORKER, exportName: 'WorkflowBinding' } // never run
      : { worker: serviceName(script_name, worker_version_id), exportName: class_name };
  const limits = step_limit === null ? {} : { unsafeConfig: { limits: { steps: step_limit } } };
  return [
    [`WORKFLOW ${id}`, { type: 'workflow', name: id, ...code, ...limits }],
    [`ENGINES ${id}`, workerdBinding({ durableObjectNamespace: { className: 'Engine', serviceName: `workflows:${id}` } })],
  ];
}

/**
 * A workflow's binding, which Miniflare wraps around a service.
 *
 * @param {object} service
 */
function workflowBinding(service) {
  return wrappedBinding('workflows:local-wrapped-binding', 'binding', service); // the module is Miniflare's
}

/**
 * Deletes instances that were kept for long enough, with their files.
 *
 * @type {NonNullable<import('../../../runtime/products.js').NodeProduct['sweep']>}
 */
async function sweep({ workflows }, call, files) {
  for (const { id } of workflows) {
    const { ids } = await call('workflows', id, 'sweep', {});
    const namespace = INSTANCES_PREFIX + id;
    for (const instance of ids) files.removeNamed(join(INSTANCES_FOLDER, namespace), namespace, instance);
    if (ids.length > 0) await call('workflows', id, 'forget', { ids });
  }
}
