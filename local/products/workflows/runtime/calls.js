/** Workflows by id, for the Node side: the routes of the gateway. */

/**
 * @import { WorkflowSettings } from '../../../runtime/desired_state.js'
 * @import { Command, NewInstance, Query, WorkflowObject } from './object.js'
 * @import { WantedStep } from './report.js'
 *
 * @typedef {{WORKFLOWS: DurableObjectNamespace<WorkflowObject>}} Env
 */

/** @type {Record<string, (env: Env, body: any) => Promise<object>>} */
export const WORKFLOW_ROUTES = {
  '/workflows/configure': configure,
  '/workflows/retire': retire,
  '/workflows/destroy': destroy,
  '/workflows/drain': drain,
  '/workflows/create': create,
  '/workflows/list': list,
  '/workflows/describe': describe,
  '/workflows/step': step,
  '/workflows/delete': deleteInstance,
  '/workflows/summary': summary,
  '/workflows/command': command,
  '/workflows/event': sendEvent,
};

/** @type {(env: Env, body: {workflows: WorkflowSettings[]}) => Promise<object>} */
async function configure(env, { workflows }) {
  await Promise.all(workflows.map((settings) => env.WORKFLOWS.getByName(settings.id).configure(settings)));
  return {};
}

/** @type {(env: Env, body: {ids: string[]}) => Promise<object>} */
async function retire(env, { ids }) {
  await Promise.all(ids.map((id) => env.WORKFLOWS.getByName(id).retire()));
  return {};
}

/** @type {(env: Env, body: {id: string}) => Promise<object>} */
async function destroy(env, { id }) {
  await env.WORKFLOWS.getByName(id).destroy();
  return {};
}

/** @type {(env: Env, body: {ids: string[], milliseconds: number}) => Promise<object>} */
async function drain(env, { ids, milliseconds }) {
  await Promise.all(ids.map((id) => env.WORKFLOWS.getByName(id).drain(milliseconds)));
  return {};
}

/** @type {(env: Env, body: {id: string, instances: NewInstance[]}) => Promise<object>} */
async function create(env, { id, instances }) {
  return env.WORKFLOWS.getByName(id).create(instances, 'api');
}

/** @type {(env: Env, body: {id: string, query: Query}) => Promise<object>} */
async function list(env, { id, query }) {
  return env.WORKFLOWS.getByName(id).list(query);
}

/** @type {(env: Env, body: {id: string, instance_id: string}) => Promise<object>} */
async function describe(env, { id, instance_id }) {
  return env.WORKFLOWS.getByName(id).describe(instance_id);
}

/** @type {(env: Env, body: {id: string, instance_id: string} & WantedStep) => Promise<object>} */
async function step(env, { id, instance_id, ...wanted }) {
  return env.WORKFLOWS.getByName(id).step(instance_id, wanted);
}

/** @type {(env: Env, body: {id: string, instance_id: string}) => Promise<object>} */
async function deleteInstance(env, { id, instance_id }) {
  await env.WORKFLOWS.getByName(id).deleteInstance(instance_id);
  return {};
}

/** @type {(env: Env, body: {id: string}) => Promise<object>} */
async function summary(env, { id }) {
  return env.WORKFLOWS.getByName(id).summary();
}

/** @type {(env: Env, body: {id: string, instance_id: string, command: Command, options?: object}) => Promise<object>} */
async function command(env, { id, instance_id, command: wanted, options = {} }) {
  return { status: await env.WORKFLOWS.getByName(id).command(instance_id, wanted, options) };
}

/** @type {(env: Env, body: {id: string, instance_id: string, type: string, payload: unknown}) => Promise<object>} */
async function sendEvent(env, { id, instance_id, type, payload }) {
  await env.WORKFLOWS.getByName(id).sendEvent(instance_id, type, payload);
  return {};
}
