/**
 * The target of a Worker's workflow binding, found by name, because the workflow may be created after the Worker's version. Miniflare's wrapper
 * inside the Worker calls these methods by RPC.
 */

import { RpcTarget, WorkerEntrypoint } from 'cloudflare:workers';

import { withFaults } from '../../faults/runtime/rules.js';
import { MAX_BATCH, reasonOf, refusal } from './limits.js';
import { workflowId } from './names.js';

/**
 * @import { Creation, NewInstance, WorkflowObject } from './object.js'
 *
 * @typedef {{WORKFLOWS: DurableObjectNamespace<WorkflowObject>}} Env
 * @typedef {{workflowName: string}} Props
 * @typedef {DurableObjectStub<WorkflowObject>} Workflow
 */

/** The API's codes. */
const CODES = /** @type {Record<string, number>} */ ({
  'instance.not_found': 10400,
  'instance.already_exists': 10405,
  'instance.duplicate_in_batch': 10415,
});
const INTERNAL = 10001;

/** @extends {WorkerEntrypoint<Env, Props>} */
export class WorkflowBinding extends WorkerEntrypoint {
  /**
   * @param {NewInstance} [options]
   * @returns {Promise<{id: string}>}
   */
  async create(options = {}) {
    const { created } = await this.#create('create', [options]);
    if (created[0]) return created[0];
    throw refusal('instance.already_exists', 'Instance already exists');
  }

  /**
   * @param {NewInstance[] | {instances: NewInstance[]} | {count: number, params?: unknown}} options the older form, an array, returns only the
   *   created instances
   */
  async createBatch(options) {
    const batch = Array.isArray(options) ? options : wantedBy(options);
    if (batch.length === 0 || batch.length > MAX_BATCH) {
      throw refusal('body', `A batch holds 1 to ${MAX_BATCH} instances, received ${batch.length}`);
    }
    const { created, errors } = await this.#create('createBatch', batch);
    return Array.isArray(options) ? created : { created, errors: errors.map(({ reason, ...error }) => ({ ...error, ...apiError(reason) })) };
  }

  /**
   * @param {string} method
   * @param {NewInstance[]} instances
   * @returns {Promise<Creation>}
   */
  async #create(method, instances) {
    const resource = await this.#workflowId();
    const call = { product: /** @type {const} */ ('workflows'), resource, method, weight: instances.length };
    return withFaults(call, async () => this.env.WORKFLOWS.getByName(resource).create(instances, 'binding'));
  }

  /** @param {string} id */
  async get(id) {
    const instance = new Instance(await this.#workflow(), id);
    await instance.status(); // throws if it does not exist
    return instance;
  }

  /** @param {string} id */
  async deleteInstance(id) {
    await (await this.#workflow()).deleteInstance(id);
  }

  /** @param {{instances: string[]}} options */
  async deleteBatch({ instances }) {
    if (instances.length === 0 || instances.length > MAX_BATCH) {
      throw refusal('body', `A batch holds 1 to ${MAX_BATCH} instances, received ${instances.length}`);
    }
    const ids = [...new Set(instances)];
    const workflow = await this.#workflow();
    const deletions = await Promise.allSettled(ids.map((id) => workflow.deleteInstance(id)));
    const errors = ids.flatMap((id, index) => {
      const deletion = deletions[index];
      return deletion?.status === 'rejected' ? [{ id, ...apiError(reasonOf(deletion.reason)) }] : [];
    });
    const failed = new Set(errors.map(({ id }) => id));
    return { deleted: instances.filter((id) => !failed.has(id)).map((id) => ({ id })), errors };
  }

  /** @returns {Promise<Workflow>} */
  async #workflow() {
    return this.env.WORKFLOWS.getByName(await this.#workflowId());
  }

  async #workflowId() {
    const id = await workflowId(this.ctx.props.workflowName);
    if (id === undefined) throw refusal('workflow.not_found', `There is no workflow ${this.ctx.props.workflowName}`);
    return id;
  }
}

/** The handle of one instance. */
class Instance extends RpcTarget {
  #workflow;
  #id;

  /**
   * @param {Workflow} workflow
   * @param {string} id
   */
  constructor(workflow, id) {
    super();
    this.#workflow = workflow;
    this.#id = id;
  }

  async status() {
    const { status, output, error } = await this.#workflow.describe(this.#id);
    return { status, output, ...(error === null ? {} : { error }) };
  }

  async pause() {
    await this.#workflow.command(this.#id, 'pause');
  }

  async resume() {
    await this.#workflow.command(this.#id, 'resume');
  }

  /** @param {{rollback?: boolean}} [options] */
  async terminate(options) {
    await this.#workflow.command(this.#id, 'terminate', options);
  }

  /** @param {{from?: object}} [options] */
  async restart(options) {
    await this.#workflow.command(this.#id, 'restart', options);
  }

  /** @param {{type: string, payload: unknown}} event */
  async sendEvent({ type, payload }) {
    await this.#workflow.sendEvent(this.#id, type, payload);
  }

  /** @param {unknown} options */
  subscribe(options) {
    return this.#workflow.subscribe(this.#id, options);
  }
}

/**
 * @param {{instances: NewInstance[]} | {count: number, params?: unknown}} options
 * @returns {NewInstance[]}
 */
function wantedBy(options) {
  if ('instances' in options) return options.instances;
  return Array.from({ length: options.count }, () => ({ params: options.params }));
}

/** @param {string | null} reason */
function apiError(reason) {
  const code = CODES[reason ?? ''] ?? INTERNAL;
  return { code, message: `workflows.api.error.${code === INTERNAL ? 'internal_server' : reason}` };
}
