/** Workflows by id, for the Node process. */

import { CallError } from '../../../runtime/system/call_error.js';
import { reasonOf } from './limits.js';

/**
 * @import { WorkflowSettings } from '../../../runtime/desired_state.js'
 * @import { Command, NewInstance, Query, WorkflowObject } from './object.js'
 * @import { WantedStep } from './report.js'
 *
 * @typedef {{WORKFLOWS: DurableObjectNamespace<WorkflowObject>}} Env
 */

export default {
  workflows: Object.fromEntries(
    Object.entries({ configure, retire, destroy, drain, create, list, describe, step, deleteInstance, summary, command, sendEvent, sweep, forget })
      .map(([name, method]) => [name, explained(method)]),
  ),
};

/**
 * Converts errors of workflows to those that the control plane distinguishes.
 *
 * @param {(env: Env, id: string, body: any) => Promise<object>} method
 * @returns {(env: Env, id: string, body: any) => Promise<object>}
 */
function explained(method) {
  return async (env, id, body) => {
    try {
      return await method(env, id, body);
    } catch (error) {
      const reason = reasonOf(error);
      throw reason === null ? error : new CallError('workflow', reason);
    }
  };
}

/** @type {(env: Env, id: string, settings: WorkflowSettings) => Promise<object>} */
async function configure(env, id, settings) {
  await env.WORKFLOWS.getByName(id).configure(settings);
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function retire(env, id) {
  await env.WORKFLOWS.getByName(id).retire();
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function destroy(env, id) {
  await env.WORKFLOWS.getByName(id).destroy();
  return {};
}

/** @type {(env: Env, id: string, body: {milliseconds: number}) => Promise<object>} */
async function drain(env, id, { milliseconds }) {
  await env.WORKFLOWS.getByName(id).drain(milliseconds);
  return {};
}

/** @type {(env: Env, id: string, body: {instances: NewInstance[]}) => Promise<object>} */
async function create(env, id, { instances }) {
  return env.WORKFLOWS.getByName(id).create(instances, 'api');
}

/** @type {(env: Env, id: string, body: {query: Query}) => Promise<object>} */
async function list(env, id, { query }) {
  return env.WORKFLOWS.getByName(id).list(query);
}

/** @type {(env: Env, id: string, body: {instance_id: string}) => Promise<object>} */
async function describe(env, id, { instance_id }) {
  return env.WORKFLOWS.getByName(id).describe(instance_id);
}

/** @type {(env: Env, id: string, body: {instance_id: string} & WantedStep) => Promise<object>} */
async function step(env, id, { instance_id, ...wanted }) {
  return env.WORKFLOWS.getByName(id).step(instance_id, wanted);
}

/** @type {(env: Env, id: string, body: {instance_id: string}) => Promise<object>} */
async function deleteInstance(env, id, { instance_id }) {
  await env.WORKFLOWS.getByName(id).deleteInstance(instance_id);
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function summary(env, id) {
  return env.WORKFLOWS.getByName(id).summary();
}

/** @type {(env: Env, id: string, body: {instance_id: string, command: Command, options?: object}) => Promise<object>} */
async function command(env, id, { instance_id, command: wanted, options = {} }) {
  return { status: await env.WORKFLOWS.getByName(id).command(instance_id, wanted, options) };
}

/** @type {(env: Env, id: string, body: {instance_id: string, type: string, payload: unknown}) => Promise<object>} */
async function sendEvent(env, id, { instance_id, type, payload }) {
  await env.WORKFLOWS.getByName(id).sendEvent(instance_id, type, payload);
  return {};
}

/** @type {(env: Env, id: string) => Promise<object>} */
async function sweep(env, id) {
  return { ids: await env.WORKFLOWS.getByName(id).sweep() };
}

/** @type {(env: Env, id: string, body: {ids: string[]}) => Promise<object>} */
async function forget(env, id, { ids }) {
  await env.WORKFLOWS.getByName(id).forget(ids);
  return {};
}
