/**
 * The store of a deployment that has changed its `state_store`: new tasks go to the present store; those in the former
 * ones are read and finished there, for as long as `former_state_stores` lists them.
 */

import { mergePages, mergeRecent, sumCounts, union } from './merge.js';

/** @import { AttemptName, ClaimedTask, NewTask, Outcome, Progress, TaskError } from '../task.js' */
/** @import { Delivery, Query, Recent, Store, SweepCounts } from './store.js' */

/** @typedef {new (env: any) => Store} StoreClass */

/**
 * @param {StoreClass} Present
 * @param {Record<string, StoreClass>} formers by their names in `former_state_stores`
 * @returns {StoreClass}
 */
export function layered(Present, formers) {
  return class LayeredStore {
    /** @param {any} env */
    constructor(env) {
      this.present = new Present(env);
      this.formers = Object.entries(formers).map(([name, Former]) => ({ name, store: new Former(env) }));
      /** @type {Store[]} */
      this.stores = [this.present, ...this.formers.map(({ store }) => store)];
      this.settling_seconds = Math.max(...this.stores.map(({ settling_seconds }) => settling_seconds));
    }

    /**
     * An idempotency key is known to the store that its task is in.
     *
     * @param {NewTask[]} tasks
     */
    insert(tasks) {
      return this.present.insert(tasks);
    }

    /** @param {string} taskId */
    find(taskId) {
      return this.#first((store) => store.find(taskId), null);
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

    /** @param {Delivery[]} deliveries */
    async existing(deliveries) {
      return union(await this.#all((store) => store.existing(deliveries)));
    }

    /** @param {Outcome[]} outcomes */
    async settle(outcomes) {
      return union(await this.#all((store) => store.settle(outcomes)));
    }

    /** @param {(AttemptName & {progress: Progress | null})[]} reports */
    async report(reports) {
      return union(await this.#all((store) => store.report(reports)));
    }

    /** @param {string} taskId */
    cancel(taskId) {
      return this.#first((store) => store.cancel(taskId), false);
    }

    /** @param {string} taskId */
    retry(taskId) {
      return this.#first((store) => store.retry(taskId), null);
    }

    /**
     * @param {AttemptName[]} lost
     * @param {TaskError} error
     */
    async abandon(lost, error) {
      await this.#all((store) => store.abandon(lost, error));
    }

    /** @param {string[]} taskIds */
    async markSent(taskIds) {
      await this.#all((store) => store.markSent(taskIds));
    }

    /** @param {number} before_ms */
    async sweep(before_ms) {
      return (await this.#all((store) => store.sweep(before_ms))).flat();
    }

    async expire() {
      return (await this.#all((store) => store.expire())).reduce((sum, count) => sum + count, 0);
    }

    /** @param {SweepCounts} counts */
    countSweep(counts) {
      return this.present.countSweep(counts);
    }

    async sweepCounts() {
      return sumCounts(await this.#all((store) => store.sweepCounts()));
    }

    /** @param {Query} query */
    async list(query) {
      return mergePages(await this.#all((store) => store.list(query)), query.limit);
    }

    async recent() {
      const [present, ...others] = await this.#all((store) => store.recent());
      const all = [/** @type {Recent} */ (present), ...others];
      const former = others.map(({ tasks, isAll }, index) => ({ store: this.formers[index]?.name ?? '', tasks, isAll }));
      return { ...mergeRecent(all), former };
    }

    /**
     * @template Result
     * @param {(store: Store) => Promise<Result>} ask
     */
    #all(ask) {
      return Promise.all(this.stores.map(ask));
    }

    /**
     * Asks one store after the other, the present one first, until one has an answer.
     *
     * @template Result
     * @param {(store: Store) => Promise<Result>} ask
     * @param {Result} none what a store says that does not have the task
     */
    async #first(ask, none) {
      for (const store of this.stores) {
        const answer = await ask(store);
        if (answer !== none) return answer;
      }
      return none;
    }
  };
}
