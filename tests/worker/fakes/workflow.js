/** A Workflow's binding that refuses what Cloudflare's refuses (https://developers.cloudflare.com/workflows/reference/limits/). */

const BATCH_INSTANCES = 100;
const INSTANCES_A_SECOND = 100;
const PARAMS_BYTES = 1024 * 1024;
const INSTANCE_ID = /^[a-zA-Z0-9_][a-zA-Z0-9-_]{0,99}$/;

/** @typedef {{id: string, params?: any}} Creation */

export class FakeWorkflow {
  /** @type {{id: string, params: any, status: string}[]} */
  instances = [];
  /** @type {string[]} */
  restarted = [];
  #second = { at_ms: -Infinity, created: 0 };

  /** @param {Record<string, string>} [statuses] of the instances that there are */
  constructor(statuses = {}) {
    for (const [id, status] of Object.entries(statuses)) this.instances.push({ id, params: null, status });
  }

  /** @param {string} id */
  async get(id) {
    const found = this.instances.find((each) => each.id === id);
    if (!found) throw new Error('(instance.not_found) Provided instance id does not exist');
    return { id, status: async () => ({ status: found.status }), restart: async () => { this.restarted.push(id); } };
  }

  /** @param {Creation[]} batch those whose ids are taken are left out, as Cloudflare does */
  async createBatch(batch) {
    if (batch.length === 0) throw new Error('WorkflowError: batch cannot be empty');
    if (batch.length > BATCH_INSTANCES) throw new Error(`WorkflowError: batch cannot have more than ${BATCH_INSTANCES} instances`);
    for (const { id, params } of batch) {
      if (!INSTANCE_ID.test(id)) throw new Error('(instance.invalid_id) Instance ID is invalid');
      if (new TextEncoder().encode(JSON.stringify(params ?? null)).byteLength > PARAMS_BYTES) throw new Error('(instance.payload_too_large) Payload is too large');
    }
    const fresh = batch.filter(({ id }) => !this.instances.some((each) => each.id === id));
    const now_ms = Date.now();
    if (now_ms - this.#second.at_ms >= 1_000) this.#second = { at_ms: now_ms, created: 0 };
    if (this.#second.created + fresh.length > INSTANCES_A_SECOND) throw new Error('(rate_limited) Too many instances created, please slow down');
    this.#second.created += fresh.length;
    for (const { id, params } of fresh) this.instances.push({ id, params: structuredClone(params ?? null), status: 'queued' });
  }
}
