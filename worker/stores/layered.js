/**
 * The store of a deployment that has changed its `state_store`: new tasks go to the present store; those in a former one
 * are read and finished there, until their time to live is over.
 */

/** @import { ClaimedTask, Outcome, Payload, TaskError } from '../task.js' */
/** @import { Delivery, Store } from './store.js' */

/** @typedef {new (env: any) => Store} StoreClass */

/**
 * @param {StoreClass} Present
 * @param {Record<string, StoreClass>} formers by the name that they have in the binding `FORMER_UNTIL`, which says until
 *   when each is used: JSON, ISO 8601 times by name
 * @returns {StoreClass}
 */
export function layered(Present, formers) {
  return class LayeredStore {
    /** @param {{FORMER_UNTIL: string}} env */
    constructor(env) {
      /** @type {Record<string, string>} */
      const until = JSON.parse(env.FORMER_UNTIL);
      const inUse = Object.keys(formers).filter((name) => Date.now() < Date.parse(until[name] ?? ''));
      this.present = new Present(env);
      /** @type {Store[]} */
      this.stores = [this.present, ...inUse.map((name) => new /** @type {StoreClass} */ (formers[name])(env))];
      this.settling_seconds = Math.max(...this.stores.map(({ settling_seconds }) => settling_seconds));
    }

    /**
     * @param {string} taskId
     * @param {Payload} payload
     */
    insert(taskId, payload) {
      return this.present.insert(taskId, payload);
    }

    /** @param {string} taskId */
    async find(taskId) {
      for (const store of this.stores) {
        const found = await store.find(taskId);
        if (found) return found;
      }
      return null;
    }

    /** @param {Delivery[]} deliveries */
    async claim(deliveries) {
      /** @type {ClaimedTask[]} */
      const claimed = [];
      for (const store of this.stores) {
        const taken = new Set(claimed.map(({ taskId }) => taskId));
        const left = deliveries.filter(({ taskId }) => !taken.has(taskId));
        if (left.length > 0) claimed.push(...await store.claim(left));
      }
      return claimed;
    }

    /** @param {string[]} taskIds */
    async existing(taskIds) {
      const found = await Promise.all(this.stores.map((store) => store.existing(taskIds)));
      return new Set(found.flatMap((each) => [...each]));
    }

    /** @param {Outcome[]} outcomes */
    async settle(outcomes) {
      await Promise.all(this.stores.map((store) => store.settle(outcomes)));
    }

    /**
     * @param {string[]} taskIds
     * @param {TaskError} error
     */
    async abandon(taskIds, error) {
      await Promise.all(this.stores.map((store) => store.abandon(taskIds, error)));
    }

    /** @param {string[]} taskIds */
    async markSent(taskIds) {
      await Promise.all(this.stores.map((store) => store.markSent(taskIds)));
    }

    /** @param {number} before_ms */
    async sweep(before_ms) {
      return (await Promise.all(this.stores.map((store) => store.sweep(before_ms)))).flat();
    }

    async expire() {
      const counts = await Promise.all(this.stores.map((store) => store.expire()));
      return counts.reduce((sum, count) => sum + count, 0);
    }
  };
}
