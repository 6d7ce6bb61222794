/** A store made of shards: a task's id tells which of them has it. */

import { shardOf } from '../shards.js';
import { mergePages, mergeRecent, sumCounts, union } from './merge.js';

/** @import { AttemptName, NewTask, Outcome, Progress, TaskError } from '../task.js' */
/** @import { Delivery, Insertion, Query, Store, SweepCounts } from './store.js' */

/** @implements {Store} */
export class ShardedStore {
  /**
   * @param {Store[]} shards
   * @param {number[]} counts over how many of them new tasks are spread, then tasks of earlier deployments: those are looked
   *   for where either has them
   */
  constructor(shards, counts = [shards.length]) {
    this.shards = shards;
    this.counts = counts;
    this.settling_seconds = Math.max(...shards.map(({ settling_seconds }) => settling_seconds));
  }

  /** @param {NewTask[]} tasks those with the same idempotency key belong to the same shard, see `newTaskId` */
  async insert(tasks) {
    const groups = Map.groupBy(tasks, ({ taskId }) => shardOf(taskId, this.counts[0] ?? 1));
    /** @type {Map<NewTask, Insertion | undefined>} */
    const insertions = new Map();
    await Promise.all([...groups].map(async ([number, group]) => {
      const inserted = await this.#shard(number).insert(group);
      group.forEach((task, index) => insertions.set(task, inserted[index]));
    }));
    return tasks.map((task) => /** @type {Insertion} */ (insertions.get(task)));
  }

  /** @param {string} taskId */
  find(taskId) {
    return this.#first(taskId, (shard) => shard.find(taskId), null);
  }

  /** @param {Delivery[]} deliveries */
  async claim(deliveries) {
    return (await this.#each(deliveries, ({ taskId }) => taskId, (shard, group) => shard.claim(group))).flat();
  }

  /** @param {Delivery[]} deliveries */
  async existing(deliveries) {
    return union(await this.#each(deliveries, ({ taskId }) => taskId, (shard, group) => shard.existing(group)));
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    return union(await this.#each(outcomes, ({ taskId }) => taskId, (shard, group) => shard.settle(group)));
  }

  /** @param {(AttemptName & {progress: Progress | null})[]} reports */
  async report(reports) {
    return union(await this.#each(reports, ({ taskId }) => taskId, (shard, group) => shard.report(group)));
  }

  /** @param {string} taskId */
  cancel(taskId) {
    return this.#first(taskId, (shard) => shard.cancel(taskId), false);
  }

  /** @param {string} taskId */
  retry(taskId) {
    return this.#first(taskId, (shard) => shard.retry(taskId), null);
  }

  /**
   * @param {AttemptName[]} lost
   * @param {TaskError} error
   */
  async abandon(lost, error) {
    await this.#each(lost, ({ taskId }) => taskId, (shard, group) => shard.abandon(group, error));
  }

  /** @param {string[]} taskIds */
  async markSent(taskIds) {
    await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.markSent(group));
  }

  /** @param {number} before_ms */
  async sweep(before_ms) {
    return (await Promise.all(this.shards.map((shard) => shard.sweep(before_ms)))).flat();
  }

  async expire() {
    const counts = await Promise.all(this.shards.map((shard) => shard.expire()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** @param {SweepCounts} counts */
  async countSweep(counts) {
    await this.shards[0]?.countSweep(counts);
  }

  async sweepCounts() {
    return sumCounts(await Promise.all(this.shards.map((shard) => shard.sweepCounts())));
  }

  /** @param {Query} query */
  async list(query) {
    return mergePages(await Promise.all(this.shards.map((shard) => shard.list(query))), query.limit);
  }

  async recent() {
    return mergeRecent(await Promise.all(this.shards.map((shard) => shard.recent())));
  }

  /** @param {number} number */
  #shard(number) {
    return /** @type {Store} */ (this.shards[number]);
  }

  /** @param {string} taskId */
  #homes(taskId) {
    return new Set(this.counts.map((count) => shardOf(taskId, count)));
  }

  /**
   * Asks one shard after the other that may have a task, until one has an answer.
   *
   * @template Result
   * @param {string} taskId
   * @param {(shard: Store) => Promise<Result>} ask
   * @param {Result} none what a shard says that does not have it
   */
  async #first(taskId, ask, none) {
    for (const number of this.#homes(taskId)) {
      const answer = await ask(this.#shard(number));
      if (answer !== none) return answer;
    }
    return none;
  }

  /**
   * @template Item, Result
   * @param {Item[]} items
   * @param {(item: Item) => string} idOf
   * @param {(shard: Store, group: Item[]) => Promise<Result>} ask
   * @returns {Promise<Result[]>} of each shard that may have one of the items
   */
  #each(items, idOf, ask) {
    /** @type {Map<number, Item[]>} */
    const groups = new Map();
    for (const item of items) {
      for (const number of this.#homes(idOf(item))) groups.set(number, [...(groups.get(number) ?? []), item]);
    }
    return Promise.all([...groups].map(([number, group]) => ask(this.#shard(number), group)));
  }
}
