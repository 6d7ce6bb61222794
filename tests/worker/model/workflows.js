/** Workflows in a {@link Cloud}: instances whose finished steps are kept, and which are begun anew when their isolate dies. */

import { outlasting, within } from './clock.js';
import { Isolate } from './cloud.js';

/** @import { Cloud } from './cloud.js' */

/** How long Cloudflare takes to begin an instance anew whose isolate has died, of our choice. */
const REVIVE_MS = 1_000;

/**
 * @typedef {object} Instance
 * @property {any} params
 * @property {'running' | 'waiting' | 'complete' | 'errored'} status
 * @property {Map<string, {value?: unknown, error?: Error}>} done finished steps, by name
 * @property {Map<string, number>} attempts of steps
 * @property {Map<string, number>} due until when a wait lasts, Unix time
 * @property {string[]} events that nobody has waited for yet
 * @property {((type: string) => void) | null} hear
 * @property {Isolate | null} isolate
 */

export class Workflows {
  /** @type {Map<string, Instance>} */
  instances = new Map();

  /**
   * @param {Cloud} cloud
   * @param {(isolate: Isolate) => {run(event: any, step: any): Promise<unknown>}} entrypointOf an instance's code in an isolate
   */
  constructor(cloud, entrypointOf) {
    this.cloud = cloud;
    this.entrypointOf = entrypointOf;
  }

  /**
   * @param {Isolate} isolate
   * @returns {any} as `Workflow`
   */
  bind(isolate) {
    const call = (/** @type {() => any} */ work) => this.cloud.call(isolate, 'queue', '', work);
    const find = (/** @type {string} */ id) => {
      const found = this.instances.get(id);
      if (!found) throw new Error('(instance.not_found) Provided instance id does not exist');
      return found;
    };
    return {
      createBatch: (/** @type {{id: string, params: any}[]} */ batch) => call(() => {
        for (const { id, params } of batch) if (!this.instances.has(id)) this.#create(id, structuredClone(params));
      }),
      get: (/** @type {string} */ id) => call(() => {
        find(id);
        return {
          status: () => call(() => ({ status: find(id).status })),
          sendEvent: (/** @type {{type: string}} */ { type }) => call(() => { this.#send(find(id), type); }),
          restart: () => call(() => { this.#create(id, find(id).params); }),
        };
      }),
    };
  }

  /** @param {Isolate} isolate that has died */
  restart(isolate) {
    for (const instance of this.instances.values()) {
      if (instance.isolate !== isolate) continue;
      instance.hear = null;
      outlasting(() => setTimeout(() => this.#run(instance), REVIVE_MS));
    }
  }

  /** @param {string} id @param {any} params */
  #create(id, params) {
    /** @type {Instance} */
    const instance = { params, status: 'running', done: new Map(), attempts: new Map(), due: new Map(), events: [], hear: null, isolate: null };
    this.instances.set(id, instance);
    outlasting(() => setTimeout(() => this.#run(instance), 1));
  }

  /** @param {Instance} instance @param {string} type */
  #send(instance, type) {
    if (instance.hear) instance.hear(type);
    else instance.events.push(type);
  }

  /** @param {Instance} instance */
  #run(instance) {
    const isolate = new Isolate();
    instance.isolate = isolate;
    instance.status = 'running';
    const end = (/** @type {'complete' | 'errored'} */ status) => { if (instance.isolate === isolate) Object.assign(instance, { status, isolate: null }); };
    within(isolate, () => this.entrypointOf(isolate).run({ payload: instance.params }, this.#stepsOf(instance, isolate))).then(() => end('complete'), () => end('errored'));
  }

  /**
   * @param {Instance} instance
   * @param {Isolate} isolate
   */
  #stepsOf(instance, isolate) {
    /** @param {string} name @param {{value?: unknown, error?: Error}} outcome */
    const keep = async (name, outcome) => {
      for (;;) {
        try {
          return await this.cloud.call(isolate, 'queue', '', () => { instance.done.set(name, outcome); });
        } catch { /* that the platform cannot keep it is the platform's to mend */ }
      }
    };
    const settled = (/** @type {string} */ name) => {
      const { value, error } = instance.done.get(name) ?? {};
      if (error) throw error;
      return value;
    };
    const wait = (/** @type {number} */ wait_ms) => new Promise((resolve) => { setTimeout(resolve, wait_ms); });
    return {
      /** @param {string} name @param {{retries: {delay: () => number}}} options @param {(context: {attempt: number}) => Promise<unknown>} work */
      do: async (name, { retries }, work) => {
        while (!instance.done.has(name)) {
          const attempt = (instance.attempts.get(name) ?? 0) + 1;
          instance.attempts.set(name, attempt);
          try {
            await keep(name, { value: structuredClone(await work({ attempt })) });
          } catch (error) {
            if (/** @type {Error} */ (error).constructor.name === 'NonRetryableError') await keep(name, { error: /** @type {Error} */ (error) });
            else await wait(retries.delay());
          }
        }
        return settled(name);
      },
      /** @param {string} name @param {number} wait_ms */
      sleep: async (name, wait_ms) => {
        if (instance.done.has(name)) return;
        if (!instance.due.has(name)) instance.due.set(name, Date.now() + wait_ms);
        await wait(Number(instance.due.get(name)) - Date.now());
        await keep(name, {});
      },
      /** @param {string} name @param {{type: string, timeout: number}} options */
      waitForEvent: async (name, { type, timeout }) => {
        if (instance.done.has(name)) return settled(name);
        if (!instance.due.has(name)) instance.due.set(name, Date.now() + timeout);
        const outcome = await this.#heard(instance, type, Number(instance.due.get(name)) - Date.now());
        await keep(name, outcome);
        return settled(name);
      },
    };
  }

  /**
   * @param {Instance} instance
   * @param {string} type
   * @param {number} wait_ms
   * @returns {Promise<{value?: unknown, error?: Error}>}
   */
  async #heard(instance, type, wait_ms) {
    const known = instance.events.indexOf(type);
    if (known >= 0) return { value: instance.events.splice(known, 1)[0] };
    instance.status = 'waiting';
    /** @type {{value?: unknown, error?: Error}} */
    const outcome = await new Promise((resolve) => {
      setTimeout(() => resolve({ error: new Error('timed out') }), wait_ms);
      instance.hear = () => resolve({ value: type });
    });
    Object.assign(instance, { status: 'running', hear: null });
    return outcome;
  }
}
